package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind says in a word what is wrong.
type Kind string

// What may have been done to sealed lines.
const (
	Altered  Kind = "altered"  // a line is not what it was when it was sealed
	Removed  Kind = "removed"  // lines are missing between others, or at the old end
	Inserted Kind = "inserted" // there are lines that nobody sealed
	Moved    Kind = "moved"    // a line stands where another one stood
	Cut      Kind = "cut"      // the newest lines are missing
	Forged   Kind = "forged"   // a checkpoint is not what was signed, or is missing
)

// Finding is something that is wrong, and where.
type Finding struct {
	Kind       Kind   `json:"kind"`
	First      uint64 `json:"first"` // of the lines that it concerns
	Last       uint64 `json:"last"`
	Checkpoint uint64 `json:"checkpoint"` // 0: none
	Text       string `json:"text"`
}

func (f Finding) String() string { return string(f.Kind) + ": " + f.Text }

// Report is what a verification found.
type Report struct {
	Findings    []Finding  `json:"findings"` // the first broken link first; none: all is well
	Further     uint64     `json:"further"`  // findings that are left out, for there are so many
	Oldest      uint64     `json:"oldest"`   // the first line there
	Newest      Checkpoint `json:"newest"`   // zero: nothing was ever sealed
	Sealed      uint64     `json:"sealed"`   // lines that are linked and signed for
	Unsealed    uint64     `json:"unsealed"` // newer lines, which nothing can be said of yet
	Erased      uint64     `json:"erased"`   // lines whose personal fields were erased
	Checkpoints uint64     `json:"checkpoints"`
	Unchecked   uint64     `json:"unchecked"` // checkpoints signed by a key that is not at hand
	// Sure: the newest checkpoint is signed by a key at hand, and so everything is
	// vouched for.
	Sure bool `json:"sure"`
}

// Verifier is given lines in their order, each checkpoint after the lines it seals,
// and says in the end what is wrong. It is for one goroutine.
type Verifier struct {
	keys    Keys
	kept    map[uint64]Checkpoint
	newest  Checkpoint // of those kept
	report  Report
	pending []Line

	first, last Checkpoint // that were given
}

// findingsKept bounds a report: after one broken batch others often follow.
const findingsKept = 100

// NewVerifier returns one that knows of checkpoints which were kept elsewhere: what
// they vouch for and is not there any more was cut off.
func NewVerifier(keys Keys, kept ...Checkpoint) (*Verifier, error) {
	v := &Verifier{keys: keys, kept: map[uint64]Checkpoint{}}
	for _, c := range kept {
		if c.IsZero() {
			continue
		}
		if err := keys.check(c); errors.Is(err, errSignature) {
			return nil, fmt.Errorf("the checkpoint %d that was kept: %w: give the one that was written", c.Number, err)
		}
		v.kept[c.Number] = c
		if c.Number > v.newest.Number {
			v.newest = c
		}
	}
	return v, nil
}

func (v *Verifier) found(kind Kind, first, last, checkpoint uint64, format string, args ...any) {
	if len(v.report.Findings) >= findingsKept {
		v.report.Further++
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{kind, first, last, checkpoint, fmt.Sprintf(format, args...)})
}

// Line takes the next one.
func (v *Verifier) Line(l Line) {
	if v.report.Oldest == 0 {
		v.report.Oldest = l.Seq
	}
	if l.Erased() {
		v.report.Erased++
	}
	v.pending = append(v.pending, l)
}

// Checkpoint judges it and the lines before it.
func (v *Verifier) Checkpoint(b Batch) {
	v.report.Checkpoints++
	if v.first.IsZero() {
		v.first = b.Checkpoint
	}
	v.signature(b.Checkpoint)
	v.order(b.Checkpoint)
	if kept, ok := v.kept[b.Number]; ok && kept.Link != b.Link {
		v.found(Forged, b.From, b.Last, b.Number, "checkpoint %d is another than the one that was kept elsewhere: history was written anew", b.Number)
	}
	n := 0 // lines that this checkpoint should have sealed
	for n < len(v.pending) && v.pending[n].Seq <= b.Last {
		n++
	}
	v.lines(b, v.pending[:n])
	v.pending = slices.Clone(v.pending[n:])
	v.last = b.Checkpoint
}

func (v *Verifier) signature(c Checkpoint) {
	err := v.keys.check(c)
	v.report.Sure = err == nil
	switch {
	case errors.Is(err, errUnknownKey):
		v.report.Unchecked++
	case err != nil:
		v.found(Forged, c.From, c.Last, c.Number, "checkpoint %d, which seals the lines %d to %d, is not what was signed", c.Number, c.From, c.Last)
	}
}

// order holds a checkpoint against the one before it.
func (v *Verifier) order(c Checkpoint) {
	if v.last.IsZero() {
		return
	}
	continues := c.From == v.last.Last+1 && c.Before == v.last.Link
	switch want := v.last.Number + 1; {
	case c.Number < want:
		v.found(Moved, c.From, c.Last, c.Number, "checkpoint %d stands after checkpoint %d", c.Number, v.last.Number)
	case c.Number > want && continues:
		v.found(Cut, c.From, c.From, c.Number, "after line %d, which checkpoint %d sealed, the end was cut off or an older database was put back: the server noticed on %s that the checkpoints up to %d were gone, and went on from there", v.last.Last, v.last.Number, c.At.UTC().Format(time.RFC3339), c.Number-1)
	case c.Number > want:
		v.found(Removed, v.last.Last+1, c.From-1, c.Number, "checkpoints %d to %d are missing, which sealed the %s nothing vouches for what is there of them", want, c.Number-1, span(v.last.Last+1, c.From-1))
	case !continues:
		v.found(Forged, c.From, c.Last, c.Number, "checkpoint %d does not continue from checkpoint %d", c.Number, v.last.Number)
	}
}

// lines follows the links. After a broken one it goes on from the link that is
// stored, to tell whether what comes later is as it was.
func (v *Verifier) lines(b Batch, lines []Line) {
	if !b.sound() || uint64(len(b.Links)) != b.Lines() {
		v.found(Forged, b.From, b.Last, b.Number, "checkpoint %d has %d links for %d lines", b.Number, len(b.Links), b.Lines())
		return
	}
	before := len(v.report.Findings)
	link, want, known := b.Before, b.From, true
	skip := func(to uint64) { // from want on, to is the next that is there
		v.found(Removed, want, to-1, b.Number, "%s missing", span(want, to-1))
		link, want = b.Links[to-1-b.From], to
		known = link != Digest{} // an export has the links of lines that are there
	}
	for i, l := range lines {
		switch {
		case i > 0 && l.Seq < lines[i-1].Seq:
			v.found(Moved, l.Seq, l.Seq, b.Number, "line %d stands after line %d", l.Seq, lines[i-1].Seq)
			continue
		case l.Seq < b.From && l.Seq > v.last.Last && !v.last.IsZero():
			continue // whose checkpoint is missing, as was said
		case l.Seq < want:
			v.found(Inserted, l.Seq, l.Seq, b.Number, "line %d is one that nobody sealed", l.Seq)
			continue
		case l.Seq > want:
			skip(l.Seq)
		}
		stored := b.Links[want-b.From]
		if known && next(link, l.Digest()) != stored {
			v.judge(b, l)
		}
		link, known = stored, true
		v.report.Sealed++
		want++
	}
	if want <= b.Last {
		skip(b.Last + 1)
	}
	if link != b.Link && len(v.report.Findings) == before {
		v.found(Altered, b.From, b.Last, b.Number, "%s: at least one is not what was sealed, and the links were made to fit; checkpoint %d says otherwise", span(b.From, b.Last), b.Number)
	}
}

// judge says what happened to a line that does not fit its link.
func (v *Verifier) judge(b Batch, l Line) {
	if len(v.report.Findings) >= findingsKept {
		v.report.Further++
		return
	}
	before := b.Before
	for i, link := range b.Links {
		was := l
		was.Seq = b.From + uint64(i)
		if next(before, was.Digest()) == link {
			v.found(Moved, l.Seq, l.Seq, b.Number, "line %d holds what was sealed as line %d", l.Seq, was.Seq)
			return
		}
		before = link
	}
	v.found(Altered, l.Seq, l.Seq, b.Number, "line %d (%s, %s) is not what was sealed", l.Seq, l.Action, l.Time.UTC().Format(time.RFC3339Nano))
}

func span(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("line %d:", first)
	}
	return fmt.Sprintf("lines %d to %d:", first, last)
}

// Report ends the verification.
func (v *Verifier) Report() Report {
	r := &v.report
	r.Newest = v.last
	if c := r.Newest; !c.IsZero() && v.first.From > c.Oldest {
		v.found(Removed, c.Oldest, v.first.From-1, c.Number, "%s missing at the old end, and their checkpoints: by checkpoint %d they should still be here", span(c.Oldest, v.first.From-1), c.Number)
	}
	if c := v.first; c.Number > 1 && c.Before == (Digest{}) {
		v.found(Cut, c.From, c.From, c.Number, "everything up to checkpoint %d was cut off, or a database without an audit was put back: the server noticed on %s, and began anew", c.Number-1, c.At.UTC().Format(time.RFC3339))
	}
	if kept := v.newest; kept.Number > r.Newest.Number {
		v.found(Cut, r.Newest.Last+1, kept.Last, kept.Number, "the end was cut off: checkpoint %d, signed on %s for the lines up to %d, is known from elsewhere, and the newest here is checkpoint %d, for the lines up to %d", kept.Number, kept.At.UTC().Format(time.RFC3339), kept.Last, r.Newest.Number, r.Newest.Last)
	}
	want := r.Newest.Last + 1
	for _, l := range v.pending {
		if l.Seq > want && !r.Newest.IsZero() {
			v.found(Removed, want, l.Seq-1, 0, "%s missing after the newest checkpoint", span(want, l.Seq-1))
		}
		want = l.Seq + 1
		r.Unsealed++
	}
	return *r
}

// Verify reads what a store has.
func Verify(ctx context.Context, s Store, keys Keys, kept ...Checkpoint) (Report, error) {
	v, err := NewVerifier(keys, kept...)
	if err != nil {
		return Report{}, err
	}
	err = Read(ctx, s, v.Line, v.Checkpoint)
	return v.Report(), err
}

// Read hands out all lines that are kept, the oldest first, and each checkpoint
// after the lines that it seals.
func Read(ctx context.Context, s Store, line func(Line), checkpoint func(Batch)) error {
	state, err := s.AuditState(ctx)
	if err != nil {
		return err
	}
	lines := reader{store: s, seq: max(state.Newest.Oldest, 1) - 1}
	for number := uint64(0); number < state.Newest.Number; {
		batches, err := s.CheckpointsAfter(ctx, number, state.Newest.Oldest, batchesAtOnce)
		if err != nil {
			return err
		}
		for _, b := range batches {
			if b.Number > state.Newest.Number { // sealed since
				break
			}
			if err := lines.to(ctx, b.Last, line); err != nil {
				return err
			}
			checkpoint(b)
			number = b.Number
		}
		if len(batches) < batchesAtOnce {
			break
		}
	}
	return lines.to(ctx, max(state.End, state.Newest.Last), line)
}

// reader reads lines ahead.
type reader struct {
	store Store
	seq   uint64 // of the last one read
	ahead []Line
	over  bool
}

// to hands out the lines up to that of end.
func (r *reader) to(ctx context.Context, end uint64, line func(Line)) (err error) {
	for {
		for len(r.ahead) > 0 {
			if r.ahead[0].Seq > end {
				return nil
			}
			line(r.ahead[0])
			r.ahead = r.ahead[1:]
		}
		if r.over {
			return nil
		}
		if r.ahead, err = r.store.AuditAfter(ctx, r.seq, readAtOnce); err != nil {
			return err
		}
		r.over = len(r.ahead) < readAtOnce
		if n := len(r.ahead); n > 0 {
			r.seq = r.ahead[n-1].Seq
		}
	}
}

const (
	readAtOnce    = 1000
	batchesAtOnce = 100
)
