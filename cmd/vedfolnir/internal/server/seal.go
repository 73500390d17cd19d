package server

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

var errSeal = errors.New("the seal is broken, or was made with other keys")

// seals hide what a browser keeps for the server, and show whether it was changed
// (AES-256-GCM, with a random nonce). What is sealed with the first key opens with all.
type seals []cipher.AEAD

// newSeals of keys with 32 bytes each, which serve no other purpose.
func newSeals(keys [][]byte) (seals, error) {
	list := make(seals, len(keys))
	for i, key := range keys {
		block, err := aes.NewCipher(key)
		if err == nil {
			list[i], err = cipher.NewGCMWithRandomNonce(block)
		}
		if err != nil {
			return nil, fmt.Errorf("server: make seal: %w", err)
		}
	}
	return list, nil
}

var sealText = base64.RawURLEncoding.Strict()

// seal returns text that is good in a cookie.
func (s seals) seal(content any) (string, error) {
	plain, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("server: seal: %w", err)
	}
	return sealText.EncodeToString(s[0].Seal(nil, nil, plain, nil)), nil
}

func (s seals) open(text string, content any) error {
	sealed, err := sealText.DecodeString(text)
	if err != nil {
		return errSeal
	}
	for _, one := range s {
		if plain, err := one.Open(nil, nil, sealed, nil); err == nil {
			return json.Unmarshal(plain, content)
		}
	}
	return errSeal
}
