package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/internal/wake"
)

const (
	// lookEvery is how soon a message is found that nobody said was there: another
	// process put it there, or it waited for another attempt.
	lookEvery = 5 * time.Second
	// batch is how many are on their way at once from one node.
	batch = 16
	// lostAfter is when a message counts as not delivered whose courier says no
	// more: longer than an attempt can take.
	lostAfter = 3 * sendTimeout

	firstPause   = 5 * time.Second
	longestPause = 6 * time.Hour
	// tooOld is when a message is given up.
	tooOld = 72 * time.Hour
)

// Outbox is what a courier empties: a [*directory.Directory].
type Outbox interface {
	TakeMessages(ctx context.Context, now, until time.Time, most int) ([]directory.Message, error)
	DropMessage(ctx context.Context, m directory.Message) error
	PutBackMessage(ctx context.Context, m directory.Message, due time.Time, problem string) error
}

// Outcome of an attempt.
type Outcome string

const (
	Delivered Outcome = "delivered"
	Failed    Outcome = "failed"   // and it is tried again
	GivenUp   Outcome = "given_up" // it failed, and was too old to be tried again
)

// Outcomes are all of them.
var Outcomes = []Outcome{Delivered, Failed, GivenUp}

// Courier delivers what is in the outbox. Couriers of several nodes share the work.
type Courier struct {
	Outbox Outbox
	Send   func(ctx context.Context, m directory.Message, now time.Time) error
	Now    func() time.Time
	Count  func(Outcome)
	Logger *slog.Logger

	bell wake.Bell
}

// New completes a courier, which Run sends on its way.
func New(c Courier) *Courier {
	c.bell = wake.NewBell()
	return &c
}

// Wake has it look into the outbox now. A nil courier has nothing to do.
func (c *Courier) Wake() {
	if c != nil {
		c.bell.Ring()
	}
}

// Run delivers until ctx is done. What is under way then goes back into the outbox.
func (c *Courier) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for c.round(ctx) {
		}
		select {
		case <-c.bell:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// round delivers what is due, a batch of it, and reports whether there may be more:
// the next of somebody's messages is due when the one before it has gone.
func (c *Courier) round(ctx context.Context) (more bool) {
	now := c.Now()
	taken, err := c.Outbox.TakeMessages(ctx, now, now.Add(lostAfter), batch)
	if err != nil {
		if ctx.Err() == nil {
			c.Logger.Warn("webhook: cannot look into the outbox; it is tried again", "error", err)
		}
		return false
	}
	var all sync.WaitGroup
	for _, m := range taken {
		all.Go(func() { c.deliver(ctx, m) })
	}
	all.Wait()
	return len(taken) > 0 && ctx.Err() == nil
}

// deliver makes one attempt, and notes what became of it.
func (c *Courier) deliver(ctx context.Context, m directory.Message) {
	err := c.Send(ctx, m, c.Now())
	stored := context.WithoutCancel(ctx)
	now := c.Now()
	switch {
	case err == nil:
		c.Count(Delivered)
		err = c.Outbox.DropMessage(stored, m) // or it is sent once more
	case ctx.Err() != nil:
		err = c.Outbox.PutBackMessage(stored, m, now, "")
	case now.Sub(m.Made) > tooOld:
		c.Count(GivenUp)
		c.Logger.Error("webhook: a message was given up", "webhook_id", m.ID, "attempts", m.Attempts, "made", m.Made, "problem", err)
		err = c.Outbox.DropMessage(stored, m)
	default:
		c.Count(Failed)
		c.Logger.Warn("webhook: a message could not be delivered; it is tried again", "webhook_id", m.ID, "attempts", m.Attempts, "problem", err)
		err = c.Outbox.PutBackMessage(stored, m, now.Add(pause(m.Attempts, err)), err.Error())
	}
	if err != nil {
		c.Logger.Warn("webhook: cannot note what became of a message; it may be sent twice", "webhook_id", m.ID, "error", err)
	}
}

// pause before the next attempt: 5 seconds, four times as long each time, at most 6
// hours, a quarter more or less so that not all come back at once; longer if the
// receiver says so.
func pause(attempts int, err error) time.Duration {
	p := firstPause
	for range attempts - 1 {
		if p *= 4; p >= longestPause {
			p = longestPause
			break
		}
	}
	p = time.Duration(float64(p) * (0.75 + rand.Float64()/2))
	var refused *StatusError
	if errors.As(err, &refused) {
		p = max(p, refused.RetryAfter)
	}
	return p
}
