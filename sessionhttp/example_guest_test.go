package sessionhttp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// baskets are the application's own table, by whose they are.
type baskets struct {
	mu sync.Mutex
	of map[session.UserID][]string
}

func (b *baskets) add(of session.UserID, what ...string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[of] = append(b.of[of], what...)
	return len(b.of[of])
}

// take is one step, so that it does no harm to call it twice.
func (b *baskets) take(of session.UserID) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer delete(b.of, of)
	return b.of[of]
}

// A shop keeps a basket of people who are not signed in. The first thing that is put
// into it begins a guest's session; whoever signs in finds the basket again, in a
// session that is new.
func ExampleHandler_StartGuest() {
	manager, err := session.New(memstore.New(), exampleDirectory, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	kept := baskets{of: map[session.UserID][]string{}}
	h, err := sessionhttp.New(manager, sessionhttp.Config{
		Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
			return session.CreateRequest{UserID: "1"}, nil
		},
		GuestSignedIn: func(_ context.Context, guest, person *session.Context) error {
			kept.add(person.Session.UserID, kept.take(guest.Session.UserID)...)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /basket", func(w http.ResponseWriter, r *http.Request) {
		c, err := h.StartGuest(w, r) // or the session that there is
		if err != nil {
			h.Error(w, r, err)
			return
		}
		fmt.Fprintf(w, "%d in the basket, signed in: %t", kept.add(c.Session.UserID, "tea"), c.SignedIn())
	})
	mux.Handle("POST /order", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := session.FromContext(r.Context())
		fmt.Fprintf(w, "%s orders %v", c.User().Username, kept.take(c.Session.UserID))
	})))

	browser := newBrowser(h.Wrap(mux))
	fmt.Println(browser.post("/basket", ""))
	fmt.Println(browser.post("/basket", ""))
	fmt.Println(browser.post("/login", `{"username":"alex","password":"correct horse"}`))
	fmt.Println(browser.post("/order", ""))
	// Output:
	// 200 1 in the basket, signed in: false
	// 200 2 in the basket, signed in: false
	// 200
	// 200 alex orders [tea tea]
}
