package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/monitor"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/webhook"
	"github.com/vedfolnir/session/sessionhttp"
)

// contentPolicy allows this server's own scripts, styles and images, and nothing
// inline.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// App is everything behind the listener.
type App struct {
	log      *slog.Logger
	store    *storage
	bus      database.Bus // nil: there are no other nodes
	people   *directory.Directory
	manager  *session.Manager
	sessions *sessionhttp.Handler
	pages    *ui.Pages
	monitor  *monitor.Monitor
	handler  http.Handler
	demo     bool
	first    *firstStart // nil: there are people
	code     string      // of first, until it has been printed
	draining atomic.Bool
	current  current
	keys     [][]byte // in use; none: they were made for this process alone
	auditor  auditor
	limits   limits
	origin   passkeys.Site // as the settings say; zero: they do not
	passkeys *passkeys.Ceremonies
	recent   time.Duration // how long a proof of who somebody is counts for what is sensitive
	sealer   *audit.Sealer // nil: there is no audit
	finished sync.Once
	notes    sync.WaitGroup // audit lines on their way
	soon     soon           // notices to people, gathered
	courier  *webhook.Courier
	sender   *webhook.Sender // of the courier; both nil: there is no webhook

	provider *provider // nil: people sign in here only

	exporting chan struct{} // holds one at a time
}

// New opens the database, making it and the keys if they are not there, and
// returns an app that works.
func New(ctx context.Context, s config.Settings, version string, log *slog.Logger) (app *App, err error) {
	a := &App{log: log, demo: s.Demo, monitor: monitor.New(), exporting: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if s.Session.Security.Keys == nil && s.KeyFile != "" {
		if s.Session.Security.Keys, err = config.MakeKeys(s.KeyFile); err != nil {
			return nil, err
		}
	}
	a.keys = s.Session.Security.Keys
	audited := !s.Session.Security.NoAuditLogging
	if a.store, err = openStorage(ctx, s.Database, database.Options{Audit: audited, Committed: a.monitor.Committed, Logger: log}); err != nil {
		return nil, err
	}
	if err := a.openDirectory(ctx, s); err != nil {
		return nil, err
	}
	a.soon.tell = func(user session.UserID, n notice.Notice) { a.tell(context.Background(), user, n) }
	if err := a.openManager(ctx, s); err != nil {
		return nil, err
	}
	a.limits = limits{
		cmp.Or(s.AttemptsPerAccount, config.DefaultAttemptsPerAccount), cmp.Or(s.AttemptsPerAddress, config.DefaultAttemptsPerAddress),
		a.manager.DeriveKeys("attempts")[0],
	}
	a.recent = cmp.Or(s.ReauthAfter, config.DefaultReauthAfter)
	if a.provider, err = newProvider(s.OpenID, a.manager); err != nil {
		return nil, err
	}
	a.passkeys = passkeys.New(a.manager.DeriveKeys("passkeys"), a.manager.Now)
	if s.Origin != "" {
		if a.origin, err = passkeys.SiteAt(s.Origin); err != nil {
			return nil, err
		}
	}
	if audited {
		a.sealer = a.newSealer(s)
	}
	if s.Webhook.URL != "" {
		a.sender = webhook.NewSender(s.Webhook, version)
		a.courier = webhook.New(webhook.Courier{Outbox: a.people, Send: a.sender.Send, Now: a.manager.Now, Count: func(o webhook.Outcome) { a.monitor.Sent(string(o)) }, Logger: log})
	}
	a.monitor.Watch(a.manager, func(ctx context.Context) (int, error) {
		w, err := a.people.WaitingMessages(ctx)
		return w.Messages, err
	})
	if a.pages, err = ui.New(ui.Site{Version: version, Demo: s.Demo}); err != nil {
		return nil, err
	}
	a.sessions, err = sessionhttp.New(a.manager, sessionhttp.Config{
		Login: a.login, LoginPage: http.HandlerFunc(a.signIn), ErrorPage: a.errorPage,
		Reauth: a.proveAnew, ReauthOptions: a.howToProve, ReauthPage: http.HandlerFunc(a.reauth), RecentToEnd: a.recent,
		TrustedProxies: s.Proxies, DangerouslyAllowPlainHTTP: s.Plain && !s.Loopback,
		KnownDevices: true, ContentSecurityPolicy: contentPolicy, Logger: log, Refused: a.refused, SignedIn: a.signedIn,
		MayImpersonate: a.mayImpersonate,
	})
	if err != nil {
		return nil, err
	}
	a.handler, err = a.serving()
	return a, err
}

func (a *App) openDirectory(ctx context.Context, s config.Settings) (err error) {
	a.people, err = directory.Open(ctx, a.store.DB(), directory.Config{Dialect: database.Dialect(a.store.where), AllowDemoPeople: a.demo, Note: a.store.NoteIn, Message: webhook.Messages(s), Logger: a.log})
	if err != nil {
		return err
	}
	if a.demo {
		return a.people.AddDemoPeople(ctx)
	}
	n, err := a.people.People(ctx)
	if err == nil && n == 0 {
		a.first, a.code = newFirstStart(time.Now())
	}
	return err
}

// openManager has the manager say what happens, also where it is not to be kept:
// people are told of it all the same.
func (a *App) openManager(ctx context.Context, s config.Settings) (err error) {
	if a.bus, err = database.OpenBus(ctx, s.Database, s.Bus, a.log); err != nil {
		return err
	}
	c := s.Session
	c.Logger = a.log
	if a.bus != nil {
		c.Bus = a.bus
	}
	a.auditor = auditor{session.LogAudit(a.log), a.store.Store, a.log, &a.notes}
	c.Audit = a.monitor.Audit(hearing{a.tellOf, a.auditor, !c.Security.NoAuditLogging})
	c.Security.NoAuditLogging = false
	a.manager, err = session.New(a.monitor.Store(a.store), a.people, c)
	return err
}

// Close stores what waits and closes the database. Nothing may be served any
// more. It may be called twice.
func (a *App) Close() error {
	var errs []error
	a.soon.close()
	if a.manager != nil {
		errs = append(errs, a.manager.Close())
	}
	if a.bus != nil {
		errs = append(errs, a.bus.Close())
	}
	a.notes.Wait()
	a.finished.Do(a.finishSealing)
	if a.sender != nil {
		a.sender.Close()
	}
	if a.people != nil {
		if err := a.people.Close(); err != nil { // no failure: a crash may lose as much
			a.log.Warn("when platforms were last used is not stored: the last second of it is lost", "error", err)
		}
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// finishSealing seals what is left. To be unable to is no failure: the next server
// seals it.
func (a *App) finishSealing() {
	if a.sealer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	_, err := a.sealer.Finish(ctx)
	if err != nil && !database.IsClosed(err) {
		a.log.Warn("the audit's last lines are not sealed; the next start seals them", "error", err)
	}
}

// login lets people in by name or e-mail address.
func (a *App) login(ctx context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	account, err := a.people.Find(ctx, c.Username)
	if err != nil {
		return session.CreateRequest{}, unavailable(err)
	}
	tries(ctx, account.ID)
	req := session.CreateRequest{UserID: account.ID}
	err = a.prove(ctx, a.bucketsOf(ctx, c.Username, account.ID), func() (err error) {
		// Read before the password is looked at: whoever is signed out everywhere in
		// between stays out.
		if req.SignInEpoch, err = a.manager.SignInEpoch(ctx, account.ID); err != nil {
			return err
		}
		return a.check(ctx, account, c.Password)
	})
	return req, err
}

// check returns nil if the password is the account's.
func (a *App) check(ctx context.Context, account directory.Account, password string) error {
	err := a.people.Check(ctx, account, password)
	if errors.Is(err, directory.ErrCredentials) {
		return sessionhttp.ErrBadCredentials
	}
	return unavailable(err)
}

// unavailable marks what the database did not answer.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}
