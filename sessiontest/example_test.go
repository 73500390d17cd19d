package sessiontest_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/vedfolnir/session/sessiontest"
)

// A test of an application: a person signs in, switches, and a tab that has not
// heard of it yet still posts as what it shows.
func Example() {
	t := newTest() // func TestQueue(t *testing.T)
	defer t.end()
	handler, _ := app(t, nil) // the application's own

	alex := sessiontest.NewClient(t, handler).SignIn("alex")
	stale := alex.Acting("11")
	alex.SwitchPlatform("12")

	fmt.Println(alex.Get("/queue").Want(200).Body)
	fmt.Println(stale.Post("/queue", nil).Want(200).Body)
	fmt.Println(alex.Post("/queue", nil).Field("error_code"))
	// Output:
	// alex acts as My Mastodon
	// alex acts as My Pixelfed
	// PLATFORM_UNSTATED
}

// Two tabs of one browser: the one hears what the other does.
func ExampleClient_Events() {
	t := newTest() // func TestTabs(t *testing.T)
	defer t.end()
	handler, _ := app(t, nil)

	tab := sessiontest.NewClient(t, handler).SignIn("alex")
	events := tab.Events("")
	events.Await("state")
	tab.SwitchPlatform("12")
	fmt.Println(strings.Contains(events.Await("platform_switched").Data, "My Mastodon"))
	tab.SignOut()
	fmt.Println(events.Await("ended").Kind)
	// Output:
	// true
	// ended
}

// Nothing waits: the test moves the clock. The common mistake is to move it and
// await an event at once; a stream looks again when something wakes it, which
// EnforceTimeouts does.
func ExampleClock() {
	t := newTest() // func TestExpiry(t *testing.T)
	defer t.end()
	clock := sessiontest.NewClock()
	handler, manager := app(t, clock.Now) // session.Config{Now: clock.Now}

	alex := sessiontest.NewClient(t, handler).SignIn("alex")
	events := alex.Events("")
	clock.Advance(25 * time.Hour)
	manager.EnforceTimeouts(t.Context())

	events.Await("ended")
	fmt.Println(alex.Get("/api/session_state").Want(401).Field("reason"))
	// Output: idle_timeout
}

// Two browsers: each has its own cookies.
func ExampleClient_Another() {
	t := newTest() // func TestDevices(t *testing.T)
	defer t.end()
	handler, _ := app(t, nil)

	desk := sessiontest.NewClient(t, handler).SignIn("alex")
	phone := desk.Another().SignIn("alex")
	fmt.Println(desk.Post("/api/sessions/revoke_others", nil).Field("revoked"))
	fmt.Println(phone.Get("/api/session_state").Want(401).Field("reason"))
	// Output:
	// 1
	// revoked_by_user
}
