package test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	scsmemstore "github.com/alexedwards/scs/v2/memstore"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
	"github.com/vedfolnir/session/sqlitestore"
)

// What docs/coming-from-scs.md shows stands here too, and is run.

func checkPassword(r *http.Request) string { return r.URL.Query().Get("user") }

func helloWithSCS(store scs.Store) http.Handler {
	sessions := scs.New()
	sessions.Store = store
	sessions.IdleTimeout = 24 * time.Hour
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user := checkPassword(r)
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", user)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		user := sessions.GetString(r.Context(), "user")
		if user == "" {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		fmt.Fprintln(w, "Hello,", user)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
		}
	})
	return sessions.LoadAndSave(mux)
}

func helloWithVedfolnir(store session.Store) (http.Handler, error) {
	manager, err := session.New(store, nil, session.Config{})
	if err != nil {
		return nil, err
	}
	sessions, err := sessionhttp.New(manager, sessionhttp.Config{})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.SignIn(w, r, session.UserID(checkPassword(r))); err != nil {
			sessions.Error(w, r, err)
		}
	})
	mux.Handle("GET /{$}", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello,", session.FromContext(r.Context()).User().ID)
	})))
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.SignOut(w, r); err != nil {
			sessions.Error(w, r, err)
		}
	})
	return sessions.Wrap(mux), nil
}

func TestSCSSideBySide(t *testing.T) {
	ours, err := helloWithVedfolnir(memstore.New())
	if err != nil {
		t.Fatal(err)
	}
	for name, app := range map[string]http.Handler{"scs": helloWithSCS(scsmemstore.NewWithCleanupInterval(0)), "Vedfolnir": ours} {
		t.Run(name, func(t *testing.T) {
			tab := sessiontest.NewClient(t, app)
			post := func(path string) {
				r := tab.Request(http.MethodPost, path, nil)
				if name == "Vedfolnir" {
					r.Header.Set("X-CSRFToken", tab.CSRFToken())
				}
				tab.Do(r).Want(200)
			}
			tab.Open("/").Want(303)
			post("/login?user=7")
			if body := tab.Open("/").Want(200).Body; body != "Hello, 7\n" {
				t.Errorf("the page says %q", body)
			}
			post("/logout")
			tab.Open("/").Want(303)
		})
	}
}

// awayStore is one that does not answer.
type awayStore struct{ scs.Store }

func (awayStore) Find(string) ([]byte, bool, error) { return nil, false, errors.New("away") }

type awaySessions struct{ session.Store }

func (awaySessions) Get(context.Context, session.ID) (session.Record, error) {
	return session.Record{}, fmt.Errorf("%w: away", session.ErrUnavailable)
}

func TestSCSOutage(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: "x"})
	helloWithSCS(awayStore{scsmemstore.NewWithCleanupInterval(0)}).ServeHTTP(w, r)
	if w.Code != 500 {
		t.Errorf("scs answers %d", w.Code)
	}
	store := memstore.New()
	here, err := helloWithVedfolnir(store)
	if err != nil {
		t.Fatal(err)
	}
	there, err := helloWithVedfolnir(awaySessions{store})
	if err != nil {
		t.Fatal(err)
	}
	w, r = httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "http://127.0.0.1/login?user=7", nil)
	r.RemoteAddr = "127.0.0.1:1" // no token is sent further over plain HTTP
	here.ServeHTTP(w, r)
	r = httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	w = httptest.NewRecorder()
	there.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("Vedfolnir answers %d, %v", w.Code, w.Header())
	}
}

// meeting lets requests wait for each other between what they read and what they
// write.
type meeting struct{ arrived, leave chan struct{} }

func newMeeting() meeting { return meeting{make(chan struct{}), make(chan struct{})} }

func (m meeting) attend() { m.arrived <- struct{}{}; <-m.leave }

func TestSCSLastSaveWins(t *testing.T) {
	sessions, m := scs.New(), newMeeting()
	tab := sessiontest.NewClient(t, sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch key := r.URL.Query().Get("put"); key {
		case "":
			fmt.Fprint(w, sessions.Keys(r.Context()))
		case "first":
			sessions.Put(r.Context(), key, true)
		default:
			m.attend()
			sessions.Put(r.Context(), key, true)
		}
	})))
	tab.Get("/?put=first")
	var both sync.WaitGroup
	for _, key := range []string{"a", "b"} {
		both.Go(func() { tab.Get("/?put=" + key) })
		<-m.arrived
	}
	close(m.leave)
	both.Wait()
	if keys := tab.Get("/").Body; keys != "[a first]" && keys != "[b first]" {
		t.Errorf("scs kept %s of two requests at once", keys)
	}
}

func TestSCSBringsBackWhatWasDestroyed(t *testing.T) {
	sessions, m := scs.New(), newMeeting()
	sessions.IdleTimeout = time.Hour
	tab := sessiontest.NewClient(t, sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/in":
			sessions.Put(r.Context(), "user", "7")
		case "/slow":
			m.attend()
		case "/out":
			if err := sessions.Destroy(r.Context()); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, sessions.GetString(r.Context(), "user"))
	})))
	tab.Get("/in")
	var slow sync.WaitGroup
	slow.Go(func() { tab.Get("/slow") })
	<-m.arrived
	tab.Get("/out")
	close(m.leave)
	slow.Wait()
	if user := tab.Get("/").Body; user != "7" {
		t.Errorf("scs says %q", user)
	}
}

func TestSCSDeletesTheOldTokenAtOnce(t *testing.T) {
	sessions := scs.New()
	tab := sessiontest.NewClient(t, sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/in":
			sessions.Put(r.Context(), "user", "7")
		case "/renew":
			if err := sessions.RenewToken(r.Context()); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, sessions.GetString(r.Context(), "user"))
	})))
	before := tab.Get("/in").Header.Get("Set-Cookie")
	tab.Get("/renew")
	late := tab.Another()
	late.Header.Set("Cookie", strings.Split(before, ";")[0])
	if user := late.Get("/").Body; user != "" {
		t.Errorf("scs knows the old token as %q's", user)
	}
}

type drafts struct{ db *sql.DB }

func (d drafts) keep(ctx context.Context, text string) error {
	c := session.FromContext(ctx)
	_, err := d.db.ExecContext(ctx, `INSERT INTO drafts (user_id, text) VALUES (?, ?)
		ON CONFLICT (user_id) DO UPDATE SET text = excluded.text`, string(c.User().ID), text)
	return err
}

func (d drafts) read(ctx context.Context) (text string, err error) {
	c := session.FromContext(ctx)
	err = d.db.QueryRowContext(ctx, `SELECT text FROM drafts WHERE user_id = ?`, string(c.User().ID)).Scan(&text)
	return text, err
}

var notices = map[string]string{"saved": "Your draft is saved."}

func save(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/?done=saved", http.StatusSeeOther)
}

func notice(r *http.Request) string { return notices[r.URL.Query().Get("done")] }

func both(old *scs.SessionManager, sessions *sessionhttp.Handler, mux http.Handler) http.Handler {
	return old.LoadAndSave(sessions.Wrap(mux))
}

// Both libraries in front of one app, and what the bag held in the app's table.
func TestSCSMovingOver(t *testing.T) {
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "app.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if _, err := store.DB().ExecContext(t.Context(), `CREATE TABLE drafts (user_id TEXT PRIMARY KEY, text TEXT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	manager, err := session.New(store, nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	sessions, err := sessionhttp.New(manager, sessionhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	old, kept := scs.New(), drafts{store.DB()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		old.Put(r.Context(), "cart", "a lamp")
		if _, err := sessions.SignIn(w, r, "7"); err != nil {
			sessions.Error(w, r, err)
		}
	})
	mux.Handle("POST /draft", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := kept.keep(r.Context(), r.PostFormValue("text")); err != nil {
			sessions.Error(w, r, err)
			return
		}
		save(w, r)
	})))
	mux.Handle("GET /{$}", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := kept.read(r.Context())
		if err != nil {
			sessions.Error(w, r, err)
			return
		}
		fmt.Fprint(w, notice(r), " ", text, ", ", old.GetString(r.Context(), "cart"))
	})))
	tab := sessiontest.NewClient(t, both(old, sessions, mux))
	tab.Post("/login", nil).Want(200)
	tab.PostForm("/draft", map[string][]string{"text": {"one"}}).Want(303)
	to := tab.PostForm("/draft", map[string][]string{"text": {"two"}}).Want(303).Header.Get("Location")
	if body := tab.Open(to).Want(200).Body; body != "Your draft is saved. two, a lamp" {
		t.Errorf("the page says %q", body)
	}
	if body := tab.Open("/?done=<b>"); strings.Contains(body.Body, "<b>") {
		t.Errorf("the address makes the page say %q", body.Body)
	}
}
