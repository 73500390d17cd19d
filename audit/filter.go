package audit

import (
	"time"

	"github.com/vedfolnir/session"
)

// Filter says which lines are looked for. What is zero does not matter.
type Filter struct {
	User        session.UserID // whom they concern, or who did it
	Session     session.ID
	Action      string
	Reason      session.Reason
	RequestID   string
	From, Until time.Time // stored at or after the one, and before the other
}
