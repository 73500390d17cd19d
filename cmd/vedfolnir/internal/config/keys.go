package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// SecretPrefix is what the Standard Webhooks specification puts in front of a secret.
const SecretPrefix = "whsec_"

// KeyLength is how many random bytes a new key has.
const KeyLength = 32

// ReadKeys returns the keys of a file: one a line, in base64, with comments after
// a #. A file that others may read is refused, since they may have.
func ReadKeys(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o), so its keys may be known: remove it to have new ones made, or, if you are sure, chmod 600", path, info.Mode().Perm())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for i, line := range strings.Split(string(content), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, SecretPrefix))
		if err != nil || len(key) < KeyLength {
			return nil, fmt.Errorf("%s, line %d: this is no key: at least %d random bytes in base64", path, i+1, KeyLength)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no key: remove it to have one made", path)
	}
	return keys, nil
}

// MakeKeys writes a file with one new key, for nobody else to read, and returns
// the key. If another process was quicker, its keys are returned.
func MakeKeys(path string) ([][]byte, error) {
	key := make([]byte, KeyLength)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	err := writeOnce(path, keyFile([][]byte{key}))
	if errors.Is(err, os.ErrExist) {
		return ReadKeys(path)
	}
	if err != nil {
		return nil, fmt.Errorf("make key file: %w", err)
	}
	return [][]byte{key}, nil
}

// RotateKeys puts a new key before the others, which stay good. With drop it keeps
// only the newest of those. It returns how many keys there are then; without a file
// the error is [os.ErrNotExist].
func RotateKeys(path string, drop bool) (int, error) {
	keys, err := ReadKeys(path)
	if err != nil {
		return 0, err
	}
	key := make([]byte, KeyLength)
	if _, err := rand.Read(key); err != nil {
		return 0, fmt.Errorf("make key: %w", err)
	}
	if drop {
		keys = keys[:1]
	}
	keys = append([][]byte{key}, keys...)
	if err := replace(path, keyFile(keys)); err != nil {
		return 0, fmt.Errorf("write keys: %w", err)
	}
	return len(keys), nil
}

// AddSecret puts a new secret of the webhook into a file, which it makes if there is
// none, and keeps only the one that was in front before. It returns how many there
// are then.
func AddSecret(path string) (int, error) {
	secrets, err := ReadKeys(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	secret := make([]byte, KeyLength)
	if _, err := rand.Read(secret); err != nil {
		return 0, fmt.Errorf("make secret: %w", err)
	}
	secrets = append([][]byte{secret}, secrets[:min(1, len(secrets))]...)
	text := "# Secrets of Vedfolnir's webhook, for the server and the receiver: whoever has one can\n" +
		"# forge messages. Remove the older one when the receiver knows the one in front.\n" + keyLines(SecretPrefix, secrets)
	if err := replace(path, text); err != nil {
		return 0, fmt.Errorf("write secrets: %w", err)
	}
	return len(secrets), nil
}

func keyFile(keys [][]byte) string {
	return "# Vedfolnir's keys, the first in use. Whoever has one can forge what the server signs.\n" +
		"# vedfolnir keys rotate puts a new one in front.\n" + keyLines("", keys)
}

func keyLines(prefix string, keys [][]byte) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(prefix + base64.StdEncoding.EncodeToString(key) + "\n")
	}
	return b.String()
}

// replace leaves a whole new file at path, or the old one.
func replace(path, text string) error {
	draft, err := writeDraft(path, text)
	if err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return nil
}

// writeOnce leaves a whole file or none, and never writes over one.
func writeOnce(path, text string) error {
	draft, err := writeDraft(path, text)
	if err != nil {
		return err
	}
	defer os.Remove(draft)
	return os.Link(draft, path)
}

// writeDraft leaves a whole file beside path, for nobody else to read, or none.
func writeDraft(path, text string) (name string, err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), ".vedfolnir.keys-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = draft.WriteString(text)
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(draft.Name()))
	}
	return draft.Name(), nil
}
