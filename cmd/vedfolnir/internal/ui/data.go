package ui

import (
	"net/http"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

// SignIn is the page for people who are not signed in.
type SignIn struct {
	Frame
	Next     string // a path of this server to go on to
	Username string // as it was typed
	Remember bool   // as it was chosen
	Mistake  string // why the last attempt failed
	Notice   string // why they are here
	People   []DemoPerson
	Provider Provider
	// Passkeys work here; Elsewhere is the origin at which they do otherwise, empty
	// if there is none.
	Passkeys  bool
	Elsewhere string
}

// Provider is where people may sign in instead of here. The zero one is none.
type Provider struct {
	Name string
	Away bool // it did not answer a moment ago
}

// Leaving is the page on the way to a provider.
type Leaving struct {
	Frame
	To, Address string
}

// Links are who the person is at providers.
type Links struct {
	Provider string // where one can be linked; empty: nowhere
	Linkable bool   // none is linked there yet
	Links    []Link
}

// Link is one of them.
type Link struct {
	Issuer, Subject, Name string
	Made, Used            Moment // Used is zero if it never was
}

// DemoPerson can be signed in as with one click.
type DemoPerson struct {
	Username, Password, About string
}

// FirstStart is the page on which the first person is made.
type FirstStart struct {
	Frame
	Username, Email, Code string   // as they were typed
	Mistakes              []string // why the last attempt failed
}

// Reauth is the page on which a person proves anew who they are.
type Reauth struct {
	Frame
	Next     string // a path of this server to go on to
	Username string
	Mistake  string // why the last attempt failed
	Password bool   // they have one
	Passkey  bool   // they have one that works here
	Provider string // where they may do it instead; empty: nowhere
}

// Password is the page on which a person changes theirs, or is told that they have none
// here.
type Password struct {
	Frame
	WaysIn
	Mistake string // why the last attempt failed
}

// WaysIn are how a person signs in, beside passkeys.
type WaysIn struct {
	Password bool   // they have one here
	Provider string // where they can sign in instead, the first one; empty: nowhere
}

// Safety is the page of what a person was told of their account, the newest first.
type Safety struct {
	Frame
	WaysIn
	Notice string
	Told   []Told
	Others int // live sessions beside this one
}

// Told is one line of it.
type Told struct {
	notice.Notice
	At, Since Moment // the last time, and the first
}

// From says from where, as the list of sessions does.
func (t Told) From() string {
	switch {
	case t.Device == "" && t.Address == "":
		return ""
	case t.Several:
		return "from several places, the last " + t.Device + " at " + t.Address
	}
	return t.Device + ", from " + t.Address
}

// Lasted reports whether the first time is worth telling beside the last.
func (t Told) Lasted() bool { return t.Last.Sub(t.First) >= time.Minute }

// Newest is the id up to which the page shows all.
func (s Safety) Newest() (id int64) {
	for _, t := range s.Told { // in the order of what happened
		id = max(id, t.ID)
	}
	return id
}

// Passkeys is the page of how a person signs in beside their password.
type Passkeys struct {
	Frame
	Notice, Mistake string
	Keys            []Passkey
	Here            bool   // they work at the page's address
	Elsewhere       string // the origin at which they do otherwise; empty: there is none
	Codes           int    // recovery codes, those that were used too
	CodesLeft       int
	CodesMade       Moment
}

// Passkey is one of them.
type Passkey struct {
	ID     string
	Name   string
	Synced bool   // it is on other devices of the person too
	Site   string // where it works, if that is not here
	Made   Moment
	Used   Moment // zero: never
}

// RecoveryCodes is the page that shows them, this once.
type RecoveryCodes struct {
	Frame
	Codes []string
	Made  Moment
}

// Recover is the page on which a recovery code sets a new password.
type Recover struct {
	Frame
	Username string // as it was typed
	Mistake  string // why the last attempt failed
}

// People is the page on which an operator finds somebody.
type People struct {
	Frame
	Sought string // as it was typed; empty: anybody
	People []Person
	More   bool // there are more than these
}

// Person is one of them.
type Person struct {
	ID, Username, Email string
	Operator, Disabled  bool
}

// Home is the page of a person who is signed in.
type Home struct {
	Frame
	Notice    string
	Current   session.Platform // zero: none
	Platforms []Platform
	Session   Session
	Devices   []Device
	Links     Links
}

// Platform is one that the person may act as.
type Platform struct {
	session.Platform
	Current bool
	Used    Moment // zero: never
}

// Session is the one that the page is seen through.
type Session struct {
	SignedIn Moment
	Idle     Moment // when it ends if nothing is done
	Expiry   Moment // when it ends whatever is done
}

// Device is one of the person's live sessions.
type Device struct {
	ID       string
	Name     string // "Firefox on Linux"
	Mobile   bool
	Address  string
	Platform string
	SignedIn Moment
	Active   Moment
	Current  bool

	Remembered bool   // its cookie outlives the browser
	Operator   string // who acts as the person in it; empty: nobody does

	Suspicious bool
	Noticed    []string // what is remarkable about it, in sentences
}

// Others counts the sessions that are not this one.
func (h Home) Others() int {
	n := 0
	for _, d := range h.Devices {
		if !d.Current {
			n++
		}
	}
	return n
}

// Host is the platform's address as people say it.
func (p Platform) Host() string { return host(p.InstanceURL) }

// initial is the first letter of a name, in whatever script.
func initial(name string) string {
	for _, letter := range name {
		return string(letter)
	}
	return "?"
}

func host(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/") }

// Problem is what went wrong with a request.
type Problem struct {
	Frame
	Status    int
	Heading   string // in a few words what happened; empty: those that go with the status
	Words     string // for a person; empty: those that go with the status
	RequestID string // empty: nothing was logged
}

// Title says in a few words what happened, or what the status means.
func (p Problem) Title() string {
	if p.Heading != "" {
		return p.Heading
	}
	switch p.Status {
	case http.StatusNotFound:
		return "There is nothing here"
	case http.StatusForbidden:
		return "That is not allowed"
	case http.StatusServiceUnavailable:
		return "Back in a moment"
	case http.StatusTooManyRequests:
		return "Too many attempts"
	case http.StatusMethodNotAllowed, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return "That request makes no sense here"
	case http.StatusMisdirectedRequest:
		return "This is not that address"
	}
	return "Something went wrong"
}

// Advice says what to do about it.
func (p Problem) Advice() string {
	switch {
	case p.Words != "":
		return p.Words
	case p.Status == http.StatusNotFound:
		return "The address may be mistyped, or the page has moved."
	case p.Status == http.StatusForbidden:
		return "The form may have been open for too long. Go back, load the page again, and retry."
	case p.Status == http.StatusServiceUnavailable:
		return "The server cannot reach its database just now. You are still signed in; try again in a few seconds."
	case p.Status >= 500:
		return "It is the server's fault, not yours, and it has been logged. Trying again may help."
	}
	return "Go back and try again."
}
