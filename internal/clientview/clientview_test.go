package clientview_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/clientview"
)

func person(platformName string) *clientview.Person {
	p := clientview.NewPerson("7", `a"<b>`, "a@example.com")
	p.AddPlatform("11", platformName, "pixelfed", "https://pixelfed.social", true)
	return p
}

func TestAppend(t *testing.T) {
	at := time.Date(2025, 1, 11, 10, 0, 0, 999, time.FixedZone("", 3600))
	s := clientview.Session{ID: [16]byte{15: 1}, Platform: "11", Version: 3, Created: at, Activity: at, Expires: at, IdleExpires: at}
	const want = `{"user":{"id":7,"username":"a\"\u003cb\u003e","email":"a@example.com"},` +
		`"platform":{"id":11,"name":"One","type":"pixelfed","instance_url":"https://pixelfed.social","is_default":true},` +
		`"session":{"session_id":"00000000000000000000000000000001","created_at":"2025-01-11T09:00:00Z","last_activity":"2025-01-11T09:00:00Z",` +
		`"expires_at":"2025-01-11T09:00:00Z","idle_expires_at":"2025-01-11T09:00:00Z","version":3},"stamp":"1.3.9"`
	if got := string(person("One").Append([]byte{'{'}, s, clientview.Stamp{Epoch: 1, Version: 3, Rev: 9})); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	buf := make([]byte, 0, 1024)
	if p := person("One"); testing.AllocsPerRun(100, func() { p.Append(buf, s, clientview.Stamp{}) }) != 0 {
		t.Error("it allocates")
	}
}

func TestContext(t *testing.T) {
	const user, platform = `{"id":7,"username":"a\"\u003cb\u003e","email":"a@example.com"}`, `{"id":11,"name":"One","type":"pixelfed","instance_url":"https://pixelfed.social","is_default":true}`
	for acting, want := range map[string]string{
		"11": `{"session_id":"00000000000000000000000000000001","user_id":7,"platform_connection_id":11,"platform_name":"One","platform_info":` + platform + `,"user_info":` + user + `}`,
		"":   `{"session_id":"00000000000000000000000000000001","user_id":7,"platform_connection_id":null,"platform_name":null,"platform_info":null,"user_info":` + user + `}`,
	} {
		if got := string(person("One").Context([16]byte{15: 1}, "7", acting, acting)); got != want {
			t.Errorf("%q: %s\nwant\n%s", acting, got, want)
		}
	}
}

func TestEqualIsWhatClientsSee(t *testing.T) {
	if a := person("One"); !a.Equal(a) || !a.Equal(person("One")) || a.Equal(person("Two")) || a.Equal(clientview.NewPerson("7", `a"<b>`, "a@example.com")) {
		t.Error("they are told apart by something else")
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[clientview.ID]string{
		"123": "123", "0": "0", "9007199254740991": "9007199254740991",
		"9007199254740992": `"9007199254740992"`, "007": `"007"`, "-1": `"-1"`, "1e3": `"1e3"`, "": `""`, `a"b`: `"a\"b"`,
	} {
		got, err := json.Marshal(id)
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", id, got, err)
		}
		var back string
		if err := clientview.ParseID(got, &back); err != nil || back != string(id) {
			t.Errorf("%s comes back as %q, %v", got, back, err)
		}
	}
}
