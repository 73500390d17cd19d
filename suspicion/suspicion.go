// Package suspicion decides what is made of signs that a session may not be in the
// hands of the person who began it. It is a policy and nothing else: every decision
// is a pure function of its arguments.
//
// Each [Signal] has a weight. The weights of the signals noticed within [Window] add
// up to a score, and the score decides the [Answer]. By default no single signal
// makes a session suspicious, nor do those that come of a browser's update, a phone
// on the move or another proxy, all together; and none ever ends it. Where an old
// token is used again there is nothing to weigh: that session ends at once.
package suspicion

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is how long a signal counts after it was last noticed.
const Window = 24 * time.Hour

// Signal is something remarkable about how a session is used, compared with how it
// began.
type Signal int

const (
	UserAgentChanged     Signal = iota // another program
	PlatformChanged                    // another kind of device or operating system
	UserAgentOlder                     // the same program in an older version
	LanguageChanged                    // another first language
	NetworkChanged                     // another network: IPv4 /24, IPv6 /48
	TwoPlaces                          // two networks in turn, three changes in ten minutes
	ManyPlatformSwitches               // more than the limit within an hour
	ManyFailures                       // ten refused requests within five minutes
	count
)

var signals = [count]struct {
	name   string
	weight int
	words  string
}{
	{"user_agent_changed", 40, "Another browser has used it."},
	{"platform_changed", 25, "It was used on another kind of device."},
	{"user_agent_older", 20, "An older version of the browser has used it."},
	{"language_changed", 10, "It was used in another language."},
	{"network_changed", 10, "It was used from another network."},
	{"two_places", 10, "It was used from two networks in turn."},
	{"many_platform_switches", 20, "The platform was to be switched too often."},
	{"many_failures", 30, "Many of its requests were refused."},
}

// Signals lists every signal.
func Signals() []Signal {
	list := make([]Signal, count)
	for s := range list {
		list[s] = Signal(s)
	}
	return list
}

// String is the signal's name, as it is stored and sent: "network_changed".
func (s Signal) String() string { return signals[s].name }

// Weight is the one by default.
func (s Signal) Weight() int { return signals[s].weight }

// Words say it to the person whose session it is.
func (s Signal) Words() string { return signals[s].words }

// Answer is what is done about a score, from nothing to the end.
type Answer int

const (
	None   Answer = iota
	Note          // it is marked as suspicious
	StepUp        // and no longer counts as recently authenticated
	End           // it ends
)

// String is the answer as it is sent: "none", "note", "step_up", "end".
func (a Answer) String() string { return [...]string{"none", "note", "step_up", "end"}[a] }

// MarshalText writes [Answer.String].
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Ignore, as a weight, makes a signal count for nothing; as a score, it takes the
// answer away.
const Ignore = -1

// Weights of the signals. A zero stands for [Signal.Weight].
type Weights [count]int

// Policy says from which score on what is done. Zero stands for the default.
type Policy struct {
	Weights     Weights
	NoteScore   int // 50
	StepUpScore int // 80
	EndScore    int // never
}

// The scores by default.
const (
	DefaultNoteScore   = 50
	DefaultStepUpScore = 80
)

// Weight of a signal under the policy.
func (p Policy) Weight(s Signal) int { return max(0, cmp.Or(p.Weights[s], s.Weight())) }

// SecurityInfo is what is remarkable about a session, with what it is held against.
type SecurityInfo struct {
	SessionAgeSeconds   int64 `json:"session_age_seconds"`
	LastActivitySeconds int64 `json:"last_activity_seconds"` // ago
	Verdict
	UserAgent    string    `json:"user_agent"`
	IPAddress    string    `json:"ip_address"`
	CreatedAt    time.Time `json:"created_at"`
	LastActivity time.Time `json:"last_activity"`
}

// Of is the verdict of a session, at now, with what it is held against.
func (v Verdict) Of(created, active, now time.Time, userAgent, address string) SecurityInfo {
	return SecurityInfo{
		SessionAgeSeconds:   int64(now.Sub(created) / time.Second),
		LastActivitySeconds: int64(now.Sub(active) / time.Second),
		Verdict:             v, UserAgent: userAgent, IPAddress: address,
		CreatedAt: created.Truncate(time.Second), LastActivity: active.Truncate(time.Second),
	}
}

// Verdict is what a policy makes of what was noticed, and why.
type Verdict struct {
	IsSuspicious bool     `json:"is_suspicious"`
	Score        int      `json:"score"`
	Answer       Answer   `json:"answer"`
	Signals      []string `json:"signals"` // never null
	Explanation  string   `json:"explanation"`
}

// Judge weighs what still counts at now.
func (p Policy) Judge(m Marks, now time.Time) Verdict {
	v := Verdict{Signals: []string{}}
	var sum []string
	for s, at := range m {
		if counts(at, now) {
			w := p.Weight(Signal(s))
			v.Signals = append(v.Signals, Signal(s).String())
			sum = append(sum, fmt.Sprintf("%s %d", Signal(s), w))
			v.Score += w
		}
	}
	v.Answer = p.answer(v.Score)
	v.IsSuspicious = v.Answer >= Note
	v.Explanation = strings.Join(append(sum, fmt.Sprintf("score %d: %s", v.Score, v.Answer)), ", ")
	return v
}

// answer is the gravest one that the score reaches.
func (p Policy) answer(score int) (answer Answer) {
	for a, from := range [...]int{
		Note: cmp.Or(p.NoteScore, DefaultNoteScore), StepUp: cmp.Or(p.StepUpScore, DefaultStepUpScore), End: cmp.Or(p.EndScore, Ignore),
	} {
		if from > 0 && score >= from {
			answer = Answer(a)
		}
	}
	return answer
}

// Marks say when each signal was last noticed, in Unix seconds; 0: never. They are
// all that is kept of it.
type Marks [count]int64

func counts(at int64, now time.Time) bool { return at > now.Add(-Window).Unix() }

// With marks signals that are noticed at now. first reports that one of them did not
// count before, and news that there is something to store, which is true of the
// others once in half of [Window].
func (m Marks) With(noticed []Signal, now time.Time) (marks Marks, first, news bool) {
	for _, s := range noticed {
		switch at := m[s]; {
		case !counts(at, now):
			first = true
		case at > now.Add(-Window/2).Unix():
			continue
		}
		m[s], news = now.Unix(), true
	}
	return m, first, news
}

// String is the form in which a store keeps marks: "network_changed=1736589600".
func (m Marks) String() string {
	var b strings.Builder
	for s, at := range m {
		if at != 0 {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s=%d", Signal(s), at)
		}
	}
	return b.String()
}

// ParseMarks reads what [Marks.String] wrote, and passes over what it does not
// know: another version may know more signals.
func ParseMarks(text string) (m Marks) {
	for field := range strings.FieldsSeq(text) {
		name, at, _ := strings.Cut(field, "=")
		for s := range m {
			if Signal(s).String() == name {
				m[s], _ = strconv.ParseInt(at, 10, 64) // 0, if it makes no sense
			}
		}
	}
	return m
}
