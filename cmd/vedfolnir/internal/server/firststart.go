package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

const (
	firstStartPath = "/first-start"
	// firstStartTime is how long the code is good.
	firstStartTime = 15 * time.Minute
)

// firstStart lets the one who started the server, and so can read what it printed,
// make the first person. The code is in the link's fragment, which no browser
// sends: it is in no log and in no Referer. Only its hash stays here.
type firstStart struct {
	hash  [sha256.Size]byte
	until time.Time
	used  atomic.Bool
}

// newFirstStart returns it with its code of at least 128 random bits.
func newFirstStart(now time.Time) (f *firstStart, code string) {
	code = rand.Text()
	return &firstStart{hash: sha256.Sum256([]byte(code)), until: now.Add(firstStartTime)}, code
}

func (f *firstStart) opens(code string, now time.Time) bool {
	hash := sha256.Sum256([]byte(code))
	return f != nil && !f.used.Load() && now.Before(f.until) && subtle.ConstantTimeCompare(hash[:], f.hash[:]) == 1
}

// showFirstStart is the page of the link. Once somebody is there it leads to the
// sign-in.
func (a *App) showFirstStart(w http.ResponseWriter, r *http.Request) {
	people, err := a.people.People(r.Context())
	switch {
	case err != nil:
		a.sessions.Error(w, r, unavailable(err))
	case people > 0:
		seeOther(w, "/login")
	default:
		a.firstStartPage(w, r, http.StatusOK, ui.FirstStart{})
	}
}

func (a *App) firstStartPage(w http.ResponseWriter, r *http.Request, status int, page ui.FirstStart) {
	w.Header().Set("Cache-Control", "no-store")
	page.CSRF = a.sessions.CSRFToken(w, r)
	page.Username, page.Email, page.Code = r.PostFormValue("username"), r.PostFormValue("email"), r.PostFormValue("code")
	a.sent(r, a.pages.FirstStart(w, status, page))
}

// makeFirst makes the first person, an administrator, and signs them in.
func (a *App) makeFirst(w http.ResponseWriter, r *http.Request) {
	err := a.prove(r.Context(), a.addressBucket(r.Context()), func() error {
		if !a.first.opens(r.PostFormValue("code"), time.Now()) {
			return sessionhttp.ErrBadCredentials
		}
		return nil
	})
	if errors.Is(err, sessionhttp.ErrBadCredentials) {
		a.firstStartPage(w, r, http.StatusForbidden, ui.FirstStart{Mistakes: []string{
			"This link is no longer good, or the code is not the one that the server printed. Start the server again for a new one, or use “vedfolnir user add” in a terminal.",
		}})
		return
	}
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	n := directory.Newcomer{
		Username: r.PostFormValue("username"), Email: r.PostFormValue("email"),
		Password: r.PostFormValue("password"), Role: directory.Admin,
	}
	if err := n.Check(); err != nil {
		a.firstStartPage(w, r, http.StatusUnprocessableEntity, ui.FirstStart{Mistakes: lines(err)})
		return
	}
	id, err := a.people.AddFirst(r.Context(), n)
	if errors.Is(err, directory.ErrNotFirst) {
		seeOther(w, "/login")
		return
	}
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	a.first.used.Store(true)
	a.log.InfoContext(r.Context(), "the first person was made", "user_id", string(id))
	if _, err := a.sessions.SignIn(w, r, id); err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	seeOther(w, "/")
}

// lines are the parts of a joined error.
func lines(err error) (texts []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			texts = append(texts, e.Error())
		}
		return texts
	}
	return []string{err.Error()}
}
