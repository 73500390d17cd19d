package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vedfolnir/session"
)

// View is a line with the names of the JSON API.
type View struct {
	Seq        uint64             `json:"seq"`
	At         time.Time          `json:"at"`
	Action     string             `json:"action"`
	Result     string             `json:"result"`
	UserID     session.UserID     `json:"user_id"`
	SessionID  *session.ID        `json:"session_id"` // null: none was made
	PlatformID session.PlatformID `json:"platform_connection_id"`
	Reason     session.Reason     `json:"reason"`
	By         string             `json:"by"`
	IPAddress  string             `json:"ip_address"`
	UserAgent  string             `json:"user_agent"`
	RequestID  string             `json:"request_id"`
	Erased     bool               `json:"erased"` // the personal fields were
}

// View returns the line as it is shown.
func (l Line) View() View {
	v := View{
		l.Seq, l.Time.UTC(), l.Action, l.Result(), l.User, nil, l.Platform, l.Reason, l.By, l.Client.IPAddress, l.Client.UserAgent, l.RequestID, l.Erased(),
	}
	if !l.Session.IsZero() {
		v.SessionID = &l.Session
	}
	return v
}

func (v View) line() Line {
	l := Line{Seq: v.Seq, RequestID: v.RequestID, AuditEvent: session.AuditEvent{
		Time: v.At, Action: v.Action, User: v.UserID, Platform: v.PlatformID, Reason: v.Reason, By: v.By,
		Client: session.Client{IPAddress: v.IPAddress, UserAgent: v.UserAgent},
	}}
	if v.SessionID != nil {
		l.Session = *v.SessionID
	}
	return l
}

// exported is a line of an export: of the audit, or a checkpoint. What is not its
// kind is nil.
type exported struct {
	*View
	Salt     Salt   `json:"salt,omitzero"`
	Personal Digest `json:"personal,omitzero"`
	Link     Digest `json:"link,omitzero"` // zero: not sealed yet
}

// Export writes JSON Lines: each line of the audit with its link, and each checkpoint
// after the lines that it seals. It holds personal data, and all that is needed to
// verify it.
func Export(ctx context.Context, s Store, to io.Writer) error {
	w := bufio.NewWriter(to)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // what it escapes all the same: control characters, U+2028, U+2029
	var failed error
	write := func(value any) {
		if failed == nil {
			failed = e.Encode(value)
		}
	}
	var waiting []Line
	writeLine := func(l Line, link Digest) {
		v := l.View()
		write(exported{&v, l.Salt, l.Personal, link})
	}
	err := Read(ctx, s, func(l Line) { waiting = append(waiting, l) }, func(b Batch) {
		for _, l := range waiting {
			var link Digest
			if i := l.Seq - b.From; l.Seq >= b.From && i < uint64(len(b.Links)) {
				link = b.Links[i]
			}
			writeLine(l, link)
		}
		waiting = waiting[:0]
		write(b.Checkpoint)
	})
	for _, l := range waiting {
		writeLine(l, Digest{})
	}
	switch {
	case err != nil:
		return fmt.Errorf("audit: read what is to be exported: %w", err)
	case failed == nil:
		failed = w.Flush()
	}
	if failed != nil {
		return fmt.Errorf("audit: write export: %w", failed)
	}
	return nil
}

// VerifyExport reads what Export wrote.
func VerifyExport(from io.Reader, keys Keys, kept ...Checkpoint) (Report, error) {
	v, err := NewVerifier(keys, kept...)
	if err != nil {
		return Report{}, err
	}
	var links []Digest // of the lines since the last checkpoint
	r := bufio.NewReader(from)
	for number := 1; ; number++ {
		text, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			if err := v.exported(text, &links); err != nil {
				return Report{}, fmt.Errorf("audit: line %d of the file is none of an export (%w): give the file as it was written", number, err)
			}
		}
		if err == io.EOF {
			return v.Report(), nil
		}
		if err != nil {
			return Report{}, fmt.Errorf("audit: read export: %w", err)
		}
	}
}

func (v *Verifier) exported(text []byte, links *[]Digest) error {
	var c Checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if !c.IsZero() {
		b := Batch{Checkpoint: c}
		v.linked(&b, *links)
		*links = nil
		v.Checkpoint(b)
		return nil
	}
	x := exported{View: &View{}}
	if err := json.Unmarshal(text, &x); err != nil {
		return err
	}
	if x.Seq == 0 {
		return errors.New("neither a line of the audit nor a checkpoint")
	}
	l := x.View.line()
	l.Salt, l.Personal = x.Salt, x.Personal
	v.Line(l)
	*links = append(*links, x.Link)
	return nil
}

// linked gives the batch the links that stand beside its lines; for a line that is
// missing none is known.
func (v *Verifier) linked(b *Batch, links []Digest) {
	if !b.sound() || b.Lines() > maxBatch {
		return // which is told by their number
	}
	b.Links = make([]Digest, b.Lines())
	from := len(v.pending) - len(links)
	for i, link := range links {
		if from+i < 0 {
			continue
		}
		if seq := v.pending[from+i].Seq; seq >= b.From && seq <= b.Last {
			b.Links[seq-b.From] = link
		}
	}
	if n := len(b.Links); n > 0 {
		b.Links[n-1] = b.Link
	}
}

// maxBatch is more than any sealer seals at once.
const maxBatch = 1 << 20
