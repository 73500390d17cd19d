package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/witness"
)

// exitTampered is verify's own: it did its work, and the audit is not what was
// sealed.
const exitTampered = 5

// tampered has been told.
type tampered int

func (t tampered) Error() string {
	return "the audit is not what was sealed: " + count(int(t), "finding")
}

type auditVerify struct {
	File       string   `placeholder:"FILE" help:"Verify an export, on whatever machine, and not the database; - is standard input."`
	Key        []string `placeholder:"KEY" help:"The public key that vedfolnir audit key shows; may be repeated. Default: from the keys file."`
	Checkpoint []string `placeholder:"FILE" help:"A checkpoint that was kept elsewhere, or the JSON itself: what it vouches for has to be there. May be repeated. The one beside the keys file is always used."`
	Known      uint64   `placeholder:"NUMBER" help:"Leave out what is found up to this checkpoint: it is known, such as a backup that was restored."`
	listing
}

func (auditVerify) Help() string {
	return `It finds lines that were altered, removed, put in or moved, checkpoints that were forged, and an end that was cut off, and says which is the first. It exits with 5 if it finds anything. What was done to a line within the second before it was sealed cannot be found.

Examples:

  vedfolnir audit verify
  vedfolnir audit verify --file audit.jsonl --key m2Jh0n1x7mkxQYgyMGzI7WPvXxJ0rXgJm0oXoPzq1mE=
  vedfolnir audit verify --checkpoint last-week.json`
}

func (a auditVerify) Run(c *Call) error {
	kept, err := a.kept(c)
	if err != nil {
		return err
	}
	if a.File != "" {
		return a.file(c, kept)
	}
	return c.with(func(d *opened) error {
		keys, err := a.keys(c, d)
		if err != nil {
			return err
		}
		r, err := audit.Verify(c, d.store, keys, kept...)
		if err != nil {
			return err
		}
		return a.tell(c, r)
	})
}

func (a auditVerify) file(c *Call, kept []audit.Checkpoint) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	var from io.Reader = c.Stdin
	if a.File != "-" {
		f, err := os.Open(a.File)
		if err != nil {
			return hint(err, "vedfolnir audit export writes one")
		}
		defer f.Close()
		from = f
	}
	return c.withNew(config.Database{Memory: true}, func(d *opened) error { // for its keys
		keys, err := a.keys(c, d)
		if err != nil {
			return err
		}
		r, err := audit.VerifyExport(from, keys, kept...)
		if err != nil {
			return err
		}
		return a.tell(c, r)
	})
}

// kept are the checkpoints that were named, and the one beside the keys, unless it
// is another database's.
func (a auditVerify) kept(c *Call) (kept []audit.Checkpoint, err error) {
	if f, ok := witness.Of(c.settings); ok && a.File == "" {
		checkpoint, err := f.Load()
		if err != nil {
			return nil, err
		}
		kept = append(kept, checkpoint)
	}
	for _, text := range a.Checkpoint {
		if !strings.HasPrefix(strings.TrimSpace(text), "{") {
			read, err := os.ReadFile(text)
			if err != nil {
				return nil, err
			}
			text = string(read)
		}
		var checkpoint audit.Checkpoint
		if err := json.Unmarshal([]byte(text), &checkpoint); err != nil || checkpoint.IsZero() {
			return nil, hint(misused{errors.New("--checkpoint: this is none")}, "give a line with \"checkpoint\" in it, from an export, the log, or the file beside the keys")
		}
		kept = append(kept, checkpoint)
	}
	return kept, nil
}

func (a auditVerify) keys(c *Call, d *opened) (audit.Keys, error) {
	if len(a.Key) > 0 {
		keys, err := audit.PublicKeys(a.Key)
		if err != nil {
			return keys, hint(misused{err}, "vedfolnir audit key shows it, where the keys file is")
		}
		return keys, nil
	}
	return c.auditKeys(d.sessions)
}

// auditKeys come from the keys file.
func (c *Call) auditKeys(m *session.Manager) (audit.Keys, error) {
	if len(c.settings.Keys) == 0 {
		return audit.Keys{}, hint(nothing("there is no keys file %s, and so nothing to sign or verify with", c.settings.KeyFile), "name it with --keys FILE; the server makes it at its first start")
	}
	return audit.NewKeys(m.DeriveKeys("audit")), nil
}

func (a auditVerify) tell(c *Call, r audit.Report) error {
	var findings []audit.Finding
	for _, f := range r.Findings {
		if f.Checkpoint == 0 || f.Checkpoint > a.Known {
			findings = append(findings, f)
		}
	}
	r.Findings = findings
	if a.JSON {
		if r.Findings == nil {
			r.Findings = []audit.Finding{}
		}
		if err := writeJSON(c.Stdout, r); err != nil {
			return err
		}
	} else {
		c.summarize(r)
	}
	switch {
	case len(r.Findings) > 0 || r.Further > 0:
		return tampered(len(r.Findings) + int(r.Further))
	case !r.Newest.IsZero() && !r.Sure:
		return hint(fmt.Errorf("the newest checkpoint is signed by the key %s, which is not at hand: whether the lines are what was sealed cannot be told", r.Newest.Key), "name the keys file that the server uses (--keys), or its public key (--key)")
	}
	return nil
}

func (c *Call) summarize(r audit.Report) {
	for _, f := range r.Findings {
		c.say("%s", visible([]string{f.String()})[0])
	}
	if r.Further > 0 {
		c.say("And more: %s.", count(int(r.Further), "further finding"))
	}
	if r.Newest.IsZero() {
		c.say("Nothing has been sealed yet; lines that wait: %d.", r.Unsealed)
		return
	}
	if len(r.Findings) == 0 && r.Further == 0 && r.Sure {
		c.say("Nothing was altered, removed, put in or moved.")
	}
	c.say("Sealed: %s, up to %d, by %s, the newest (%d) of %s.", count(int(r.Sealed), "line"), r.Newest.Last, count(int(r.Checkpoints), "checkpoint"), r.Newest.Number, r.Newest.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	for _, more := range []struct {
		n    uint64
		what string
	}{
		{r.Unsealed, "Not sealed yet: %s; nothing can be said of them. A server seals each second."},
		{r.Erased, "Without personal fields, which were erased: %s."},
	} {
		if more.n > 0 {
			c.say(more.what, count(int(more.n), "line"))
		}
	}
	if r.Unchecked > 0 && r.Sure {
		c.say("Signed by a key that is not at hand: %s. Later ones vouch for the same lines.", count(int(r.Unchecked), "checkpoint"))
	}
}

type auditExport struct {
	Output string `short:"o" placeholder:"FILE" help:"Where to write it; nothing may be there yet. Default: standard output."`
}

func (auditExport) Help() string {
	return `One JSON object a line, in UTC: what happened, with its link, and the checkpoints that sign for it. vedfolnir audit verify --file verifies it anywhere, with the public key that vedfolnir audit key shows. It holds personal data; what is erased later stays in it.

Examples:

  vedfolnir audit export --output audit.jsonl
  vedfolnir audit export | gzip > audit.jsonl.gz`
}

func (a auditExport) Run(c *Call) error {
	return c.with(func(d *opened) error {
		to, done, err := c.output(a.Output)
		if err != nil {
			return err
		}
		if err := d.note(c, "audit_exported", "", ""); err != nil {
			return errors.Join(err, done())
		}
		return errors.Join(audit.Export(c, d.store, to), done())
	})
}

type auditSeal struct{}

func (auditSeal) Help() string {
	return `Without a server nobody seals; with one there is nothing left to do. A server on the same database that ended in disorder is waited for, ten seconds at most, by the next server.

Example:

  vedfolnir audit seal`
}

func (auditSeal) Run(c *Call) error {
	return c.with(func(d *opened) error {
		keys, err := c.auditKeys(d.sessions)
		if err != nil {
			return err
		}
		s := audit.Sealer{Store: d.store, Keys: keys}
		if f, ok := witness.Of(c.settings); ok {
			s.Witness = f
		}
		n, err := s.Finish(c)
		if err != nil {
			return err
		}
		state, err := d.store.AuditState(c)
		if err == nil {
			c.say("Sealed: %s; the newest checkpoint is %d.", count(n, "line"), state.Newest.Number)
		}
		return err
	})
}

type auditKey struct{ listing }

func (auditKey) Help() string {
	return "It verifies, and cannot sign: whoever has it can check an export, and forge none.\n\nExample:\n\n  vedfolnir audit key"
}

func (a auditKey) Run(c *Call) error {
	return c.withNew(config.Database{Memory: true}, func(d *opened) error {
		keys, err := c.auditKeys(d.sessions)
		if err != nil {
			return err
		}
		id, key := keys.Public()
		if a.JSON {
			return writeJSON(c.Stdout, map[string]string{"id": id, "key": key})
		}
		c.say("%s", key)
		return nil
	})
}
