package webhook

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

// TestType is the type of a message that tells nothing, but that it arrives.
const TestType = "safety.test"

// message is the body that is sent. It holds no secret.
type message struct {
	Type string    `json:"type"` // "safety." and the kind
	Time time.Time `json:"timestamp"`
	Data data      `json:"data"`
}

type data struct {
	notice.View
	Person    person `json:"person"`
	SafetyURL string `json:"safety_url"`
}

type person struct {
	ID       session.UserID `json:"id"`
	Username string         `json:"username"`
	Email    string         `json:"email"`
}

// Messages says what is sent of which notices, for a directory's Config.Message: nil
// without a receiver.
func Messages(s config.Settings) func(e directory.Entry, n notice.Notice, before int) directory.Message {
	if s.Webhook.URL == "" {
		return nil
	}
	kinds, origin := s.Webhook.Kinds, s.Origin
	return func(e directory.Entry, n notice.Notice, before int) directory.Message {
		if len(kinds) > 0 && !slices.Contains(kinds, n.Kind) || !worth(n, before) {
			return directory.Message{}
		}
		return build("safety."+string(n.Kind), origin, e, n)
	}
}

// failuresWorth is how many failed attempts are worth a message: nobody is to be
// mailed for a mistyped password.
const failuresWorth = 5

// worth reports whether a line that had grown to so many times before is worth a
// message: five failed attempts are, and then twice as many each time, so that whoever
// goes on for a day causes a handful of mails.
func worth(n notice.Notice, before int) bool {
	if n.Kind != notice.FailedAttempts {
		return true
	}
	at := failuresWorth
	for at*2 <= n.Times {
		at *= 2
	}
	return before < at && at <= n.Times
}

// Test is a message about nobody.
func Test(origin string, now time.Time) directory.Message {
	return build(TestType, origin, directory.Entry{ID: directory.Nobody, Username: "nobody", Email: "nobody@example.org"}, notice.At(now, "test"))
}

func build(kind, origin string, e directory.Entry, n notice.Notice) directory.Message {
	body, err := json.Marshal(message{kind, n.Last.UTC(), data{n.View(), person{e.ID, e.Username, e.Email}, origin + "/safety"}})
	if err != nil {
		panic(err) // texts, numbers and times of this program: they can be written
	}
	return directory.Message{ID: "msg_" + rand.Text(), Body: body, Made: n.Last}
}
