package server

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/suspicion"
)

// notices are what a page may say after a form was done. The address names one of
// them, so that it cannot be made to say anything else.
var notices = map[string]string{
	"switched": "You switched the platform, in every tab of this session.",
	"ended":    "That session has ended. Whoever holds it has to sign in again.",
	"others":   "All your other sessions have ended.",

	"linked":   "It is linked: you can sign in there from now on.",
	"unlinked": "The link is removed, and all your other sessions have ended.",

	"passkey-added":        "Your new passkey is good. Try it the next time you sign in.",
	"passkey-renamed":      "The passkey has its new name.",
	"passkey-removed":      "The passkey is removed, and all your other sessions have ended. Remove it from your device or password manager too.",
	"passkey-removed-only": "The passkey is removed, but not all of your other sessions could be ended. Please end them on the home page.",
	"recovered":            "Your new password is set, and all your other sessions have ended. If you have lost a device, remove its passkey below.",

	"password":      "Your password is changed, and all your other sessions have ended.",
	"password-only": "Your password is changed, but not all of your other sessions could be ended. Please end them below.",
}

// signIn shows the form, to people who are not signed in already.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	problem := sessionhttp.LoginProblem(r.Context())
	if problem == nil && session.FromContext(r.Context()).SignedIn() {
		seeOther(w, cmp.Or(sessionhttp.SafeNext(r.FormValue("next")), "/"))
		return
	}
	page := ui.SignIn{}
	status := http.StatusOK
	if why := a.sessions.WhySignedOut(r); why != nil && problem == nil {
		page.Notice = why.Message
	}
	if problem != nil {
		status = problem.Status
		page.Mistake, page.Username = problem.Message, r.PostFormValue("username")
		page.Remember = slices.Contains(r.PostForm["remember"], "1")
	}
	a.signInPage(w, r, status, page)
}

// signInPage fills in what is on every one.
func (a *App) signInPage(w http.ResponseWriter, r *http.Request, status int, page ui.SignIn) {
	w.Header().Set("Cache-Control", "no-store")
	page.Frame = ui.Frame{CSRF: a.sessions.CSRFToken(w, r)}
	page.Next = cmp.Or(sessionhttp.SafeNext(r.FormValue("next")), "/")
	here, elsewhere := a.site(r)
	page.Passkeys, page.Elsewhere = here.Name != "", elsewhere
	if a.demo {
		page.People = demoPeople
	}
	if a.provider != nil {
		page.Provider = ui.Provider{Name: a.provider.Name, Away: page.Mistake == "" && a.provider.Unwell() != nil}
	}
	a.sent(r, a.pages.SignIn(w, status, page))
}

var demoPeople = func() (people []ui.DemoPerson) {
	for _, p := range directory.DemoPeople {
		about := "Three platforms to switch between"
		switch {
		case p.Role == directory.Admin:
			about = "Administrator"
		case len(p.Platforms) == 1:
			about = "One platform"
		case len(p.Platforms) == 0:
			about = "No platform at all"
		}
		people = append(people, ui.DemoPerson{Username: p.Username, Password: p.Password, About: about})
	}
	return people
}()

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	c := session.FromContext(r.Context())
	sessions, err := a.manager.List(r.Context(), c.Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	page := ui.Home{Frame: a.frame(w, r), Notice: notices[r.URL.Query().Get("done")]}
	names := map[session.PlatformID]string{}
	now := a.manager.Now()
	for _, p := range c.Platforms() {
		current := p.ID == c.Session.PlatformID
		if current {
			page.Current = p
		}
		names[p.ID] = p.Name
		page.Platforms = append(page.Platforms, ui.Platform{Platform: p, Current: current, Used: ui.At(p.LastUsed, now)})
	}
	deadlines := c.Deadlines()
	page.Session = ui.Session{
		SignedIn: ui.At(c.Session.CreatedAt, now), Idle: ui.At(deadlines.First(), now), Expiry: ui.At(deadlines.Expiry(), now),
	}
	for _, s := range sessions {
		device := s.Client.Device()
		page.Devices = append(page.Devices, ui.Device{
			ID: s.ID.String(), Name: device, Mobile: mobile(device), Address: s.Client.IPAddress, Platform: names[s.PlatformID],
			SignedIn: ui.At(s.CreatedAt, now), Active: ui.At(s.LastActivity, now), Current: s.ID == c.Session.ID,
			Remembered: s.Persistent, Operator: a.operatorOf(r, s.Session), Suspicious: s.Security.IsSuspicious, Noticed: words(s.Security),
		})
	}
	if page.Links, err = a.links(r.Context(), c.Session.UserID); err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.sent(r, a.pages.Home(w, page))
}

// words say what was noticed about a session to the person whose it is.
func words(v suspicion.Verdict) (said []string) {
	for _, s := range suspicion.Signals() {
		if slices.Contains(v.Signals, s.String()) {
			said = append(said, s.Words())
		}
	}
	return said
}

func mobile(device string) bool {
	return strings.HasSuffix(device, "iPhone") || strings.HasSuffix(device, "iPad") || strings.HasSuffix(device, "Android")
}

// switchPlatform names the new platform "to": "platform_id" would state as which
// one the form was filled in.
func (a *App) switchPlatform(w http.ResponseWriter, r *http.Request) {
	c := session.FromContext(r.Context())
	_, err := a.manager.SwitchPlatform(r.Context(), c.Session.ID, session.PlatformID(r.PostFormValue("to")))
	a.done(w, r, "switched", err)
}

func (a *App) endSession(w http.ResponseWriter, r *http.Request) {
	a.done(w, r, "ended", a.sessions.EndOwn(r, session.FromContext(r.Context()), r.PathValue("id")))
}

func (a *App) endOthers(w http.ResponseWriter, r *http.Request) {
	_, err := a.sessions.EndOthers(r, session.FromContext(r.Context()))
	a.done(w, r, "others", err)
}

// done answers a form: back home, or what went wrong.
func (a *App) done(w http.ResponseWriter, r *http.Request, what string, err error) {
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	back := "/"
	if r.PostFormValue("back") == safetyPath { // where the form was
		back = safetyPath
	}
	seeOther(w, back+"?done="+what)
}

func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// frame is what every page of a person who is signed in shows.
func (a *App) frame(w http.ResponseWriter, r *http.Request) ui.Frame {
	c := session.FromContext(r.Context())
	if !c.SignedIn() {
		return ui.Frame{}
	}
	return ui.Frame{
		Head: a.sessions.Head(w, r), CSRF: a.sessions.CSRFToken(w, r), User: c.User(), Stamp: c.Stamp(), Path: r.URL.Path, News: a.news(r, c.Session.UserID),
		Operator: a.operatorOf(r, c.Session), Administers: a.mustBeAdmin(r) == nil,
		NoDialog: a.provesThereOnly(r, c.Session.UserID),
	}
}

// news counts what the person was told and has not seen. A page is shown all the
// same if that cannot be read.
func (a *App) news(r *http.Request, user session.UserID) int {
	n, err := a.people.NewNotices(r.Context(), user)
	if err != nil && r.Context().Err() == nil {
		a.log.WarnContext(r.Context(), "cannot count what a person was told", "error", err)
	}
	return n
}

// nothingHere shows nothing of the person where the address looks like a file:
// some caches keep files, whatever they are told, and hand them to everybody.
func (a *App) nothingHere(w http.ResponseWriter, r *http.Request) {
	p := ui.Problem{Status: http.StatusNotFound}
	if strings.Contains(path.Base(r.URL.Path), ".") || strings.HasPrefix(r.URL.Path, ui.AssetPrefix) {
		w.Header().Set("Cache-Control", "no-store")
		a.sent(r, a.pages.Problem(w, p))
		return
	}
	a.problem(w, r, p)
}

// errorPage shows what the session handler refuses.
func (a *App) errorPage(w http.ResponseWriter, r *http.Request, p sessionhttp.Problem) {
	shown := ui.Problem{Status: p.Status, Words: p.Message}
	if p.Status >= 500 {
		shown.RequestID = p.RequestID
	}
	a.problem(w, r, shown)
}

func (a *App) problem(w http.ResponseWriter, r *http.Request, p ui.Problem) {
	w.Header().Set("Cache-Control", "no-store")
	p.Frame = a.frame(w, r)
	a.sent(r, a.pages.Problem(w, p))
}

// sent notes a page that could not be sent: above all, whoever asked has gone.
func (a *App) sent(r *http.Request, err error) {
	if err != nil && r.Context().Err() == nil {
		a.log.ErrorContext(r.Context(), "cannot send page", "path", r.URL.Path, "error", err)
	}
}
