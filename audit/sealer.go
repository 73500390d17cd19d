package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/vedfolnir/session"
)

// Store is what a sealer needs of a database. Implementations are safe for
// concurrent use.
type Store interface {
	// AuditState reads how things stand.
	AuditState(ctx context.Context) (State, error)
	// AuditAfter returns up to limit lines after that of seq, the oldest first. A line
	// that is shown is committed, and no line before it is still to come.
	AuditAfter(ctx context.Context, seq uint64, limit int) ([]Line, error)
	// SealAudit stores a checkpoint and takes the lease until then. [ErrNotSealer]:
	// somebody else holds the lease at Now, or has sealed since.
	SealAudit(ctx context.Context, s Sealing) error
	// CheckpointsAfter returns up to limit of those after that of number which seal
	// lines from the oldest on, or none at all; in their order.
	CheckpointsAfter(ctx context.Context, number, oldest uint64, limit int) ([]Batch, error)
	// RemoveAudit removes up to limit lines before that of oldest, the oldest first,
	// and, once none is left, the checkpoints that sealed them. It returns how many
	// lines that were.
	RemoveAudit(ctx context.Context, oldest uint64, limit int) (int, error)
	// SearchAudit yields the lines that the filter names, the oldest first.
	SearchAudit(ctx context.Context, f Filter) iter.Seq2[Line, error]
	// EraseAudit does [Line.Erase] to every line that concerns the user, and returns
	// how many that were.
	EraseAudit(ctx context.Context, user session.UserID) (int, error)
}

// State of a store's audit.
type State struct {
	Newest Checkpoint // zero: none
	End    uint64     // seq of the newest line; 0: there is none
	Holder string     // of the lease
	Until  time.Time
}

// Sealing is a checkpoint to be stored.
type Sealing struct {
	Batch
	After  uint64 // the number of the newest one that is there
	Holder string
	Now    time.Time
	Until  time.Time // not after Now: the lease is given back
	Latest time.Time // another's lease that lasts longer is none
}

// ErrNotSealer means that another process seals.
var ErrNotSealer = errors.New("audit: another process seals: try again when its lease is over")

// Witness keeps the newest checkpoint apart from the database, so that an end that
// was cut off is noticed. Load returns the zero one if there is none.
type Witness interface {
	Load() (Checkpoint, error)
	Save(Checkpoint) error
}

const (
	sealInterval  = time.Second
	purgeInterval = time.Hour
	// tellInterval is how often the newest checkpoint is logged: a log that leaves the
	// machine is one more witness.
	tellInterval = time.Hour
	// lease is how long a sealer that died keeps others from sealing. One that lasts
	// longer is none: it was taken by a clock that was ahead.
	lease      = 10 * time.Second
	sealAtOnce = 4096
)

// Sealer seals the lines of a store. One in each process may run: they agree by the
// store's lease on which one does it. Its methods are for one goroutine, and its fields
// are set before the first of them is called; Store and Keys have to be.
type Sealer struct {
	Store   Store
	Keys    Keys
	Witness Witness              // nil: none
	Keep    func() time.Duration // how long lines are kept; nil: for good
	Now     func() time.Time     // nil: time.Now
	Logger  *slog.Logger         // nil: slog.Default()

	name  string
	known Checkpoint // the newest that this one has seen
}

func (s *Sealer) begin() error {
	if s.name != "" {
		return nil
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.Logger = cmp.Or(s.Logger, slog.Default())
	if s.Witness != nil {
		kept, err := s.Witness.Load()
		if err != nil {
			return fmt.Errorf("audit: read the checkpoint that was kept: %w", err)
		}
		s.known = kept
	}
	s.name = rand.Text()
	return nil
}

// Seal links and signs what is there, and returns how many lines that were. With
// another process's lease in force it does nothing.
func (s *Sealer) Seal(ctx context.Context) (int, error) { return s.seal(ctx, lease) }

func (s *Sealer) seal(ctx context.Context, hold time.Duration) (sealed int, err error) {
	for {
		state, ours, err := s.state(ctx)
		if err != nil || !ours {
			return sealed, err
		}
		lines, err := s.Store.AuditAfter(ctx, state.Newest.Last, sealAtOnce)
		if err != nil {
			return sealed, err
		}
		if len(lines) == 0 && !s.due(state, hold) {
			return sealed, nil
		}
		if err := s.store(ctx, seal(state.Newest, lines), state, hold); err != nil {
			if errors.Is(err, ErrNotSealer) {
				err = nil
			}
			return sealed, err
		}
		sealed += len(lines)
		if len(lines) < sealAtOnce {
			return sealed, nil
		}
	}
}

// due reports whether a checkpoint is, though there are no lines for it: under a new
// key, so that the older one can be dropped; where the end was cut off; to give the
// lease back.
func (s *Sealer) due(state State, hold time.Duration) bool {
	id, _ := s.Keys.Public()
	renew := !state.Newest.IsZero() && state.Newest.Key != id
	return renew || s.lost(state.Newest) || hold == 0 && state.Holder == s.name
}

// lost reports whether the store's newest checkpoint is none that this one, or the
// witness, last saw, nor a later one.
func (s *Sealer) lost(newest Checkpoint) bool {
	return s.known.Number > newest.Number || s.known.Number == newest.Number && s.known.Link != newest.Link
}

// state reads it, and reports whether it is this one's turn.
func (s *Sealer) state(ctx context.Context) (State, bool, error) {
	if err := s.begin(); err != nil {
		return State{}, false, err
	}
	state, err := s.Store.AuditState(ctx)
	if err != nil {
		return state, false, err
	}
	now := s.Now()
	if state.Holder != s.name && now.Before(state.Until) && !state.Until.After(now.Add(lease)) {
		if !s.lost(state.Newest) {
			s.known = state.Newest
		}
		return state, false, nil
	}
	return state, true, nil
}

// store signs the batch and stores it. Numbers that were given once are not given
// again: an end that was cut off stays to be seen.
func (s *Sealer) store(ctx context.Context, b Batch, state State, hold time.Duration) error {
	newest := state.Newest
	if s.lost(newest) {
		s.Logger.ErrorContext(ctx, "audit: lines that were sealed are gone: either an older database was put back, or somebody cut them off; run vedfolnir audit verify",
			"sealed_up_to", s.known.Last, "checkpoint", s.known.Number, "there_up_to", newest.Last, "checkpoint_there", newest.Number)
		b.Number = max(s.known.Number+1, newest.Number+2) // with a hole before it
	}
	if err := s.Keys.check(newest); !newest.IsZero() && errors.Is(err, errSignature) {
		s.Logger.ErrorContext(ctx, "audit: the newest checkpoint is not what was signed: somebody wrote to the database; run vedfolnir audit verify", "checkpoint", newest.Number)
	}
	now := s.Now()
	b.At = now.UTC().Truncate(time.Microsecond)
	s.Keys.sign(&b.Checkpoint)
	err := s.Store.SealAudit(ctx, Sealing{Batch: b, After: newest.Number, Holder: s.name, Now: now, Until: now.Add(hold), Latest: now.Add(lease)})
	if err != nil {
		return err
	}
	s.known = b.Checkpoint
	if s.Witness != nil {
		if err := s.Witness.Save(b.Checkpoint); err != nil {
			return fmt.Errorf("audit: keep the checkpoint: %w", err)
		}
	}
	return nil
}

// Run seals each second, and removes what is too old each hour, until ctx is done. A
// failure is logged, and tried again.
func (s *Sealer) Run(ctx context.Context) {
	tick := time.NewTicker(sealInterval)
	defer tick.Stop()
	failing, purged, told := false, time.Time{}, Checkpoint{}
	for {
		_, err := s.Seal(ctx)
		if err == nil && s.Keep != nil && s.Now().Sub(purged) >= purgeInterval {
			purged = s.Now()
			_, err = s.Purge(ctx, purged.Add(-s.Keep()))
		}
		if now := s.Now(); err == nil && !s.known.IsZero() && s.known.Number != told.Number && now.Sub(told.At) >= tellInterval {
			s.tell(ctx)
			told = s.known
		}
		if err != nil && !failing && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "audit: cannot seal or remove lines; it is tried again each second", "error", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sealer) tell(ctx context.Context) {
	text, err := json.Marshal(s.known)
	if err != nil {
		panic(err) // it is made of numbers and texts
	}
	s.Logger.InfoContext(ctx, "audit checkpoint", "checkpoint", string(text))
}

// Finish seals what is left and gives the lease back.
func (s *Sealer) Finish(ctx context.Context) (int, error) {
	n, err := s.seal(ctx, 0)
	if err == nil && n > 0 {
		s.tell(ctx)
	}
	return n, err
}

// Purge removes sealed lines from before then, from the old end on and up to a
// checkpoint, and returns how many. It first signs where the lines begin from now
// on, so that those that stay can be verified, and whether older ones are missing
// too. It is the sealer's to do: with another process's lease in force it does
// nothing.
func (s *Sealer) Purge(ctx context.Context, before time.Time) (removed int, err error) {
	state, ours, err := s.state(ctx)
	if err != nil || !ours || state.Newest.IsZero() {
		return 0, err
	}
	oldest, err := s.keptFrom(ctx, state, before)
	if err != nil {
		return 0, err
	}
	if oldest > state.Newest.Oldest {
		b := seal(state.Newest, nil)
		b.Oldest = oldest
		if err := s.store(ctx, b, state, lease); err != nil {
			return 0, err
		}
	}
	for {
		n, err := s.Store.RemoveAudit(ctx, oldest, readAtOnce)
		removed += n
		if err != nil || n < readAtOnce {
			return removed, err
		}
	}
}

// keptFrom finds the line after the last checkpoint all of whose lines are older.
// The newest line always stays.
func (s *Sealer) keptFrom(ctx context.Context, state State, before time.Time) (uint64, error) {
	oldest, number := state.Newest.Oldest, uint64(0)
	for {
		batches, err := s.Store.CheckpointsAfter(ctx, number, oldest, batchesAtOnce)
		if err != nil || len(batches) == 0 {
			return oldest, err
		}
		for _, b := range batches {
			number = b.Number
			// Lines are older than the checkpoint that seals them.
			if !b.At.Before(before) || b.Last >= state.End {
				return oldest, nil
			}
			oldest = max(oldest, b.Last+1)
		}
	}
}
