// Package witness keeps the audit's newest checkpoint in a file beside the secret
// keys, apart from the database: an end that was cut off there is noticed.
package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// File is an [audit.Witness] at that path.
type File string

// Of returns where the witness of a server is: beside its keys, named for its
// database. ok is false if either is gone with the process.
func Of(s config.Settings) (f File, ok bool) {
	if s.KeyFile == "" || !s.Database.Stays() {
		return "", false
	}
	name := filepath.Base(s.Database.Path)
	if u, err := url.Parse(s.Database.URL); s.Database.URL != "" && err == nil {
		name = path.Base(u.Path)
	}
	return File(filepath.Join(filepath.Dir(s.KeyFile), name+".sealed")), true
}

// Load implements [audit.Witness].
func (f File) Load() (c audit.Checkpoint, err error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil && len(text) > 0 { // none: power failed at the wrong moment
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return audit.Checkpoint{}, fmt.Errorf("%s: %w: it is the audit's newest checkpoint, and nothing is sealed without it; if it is damaged, remove it, and run vedfolnir audit verify --checkpoint with the newest one that the log has", f, err)
	}
	return c, nil
}

// Save implements [audit.Witness]. The file is replaced as a whole; after a power
// failure it may be an older one, which still says how far the audit came.
func (f File) Save(c audit.Checkpoint) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(string(f)), ".vedfolnir.sealed-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = draft.Write(append(text, '\n'))
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), string(f))
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}
