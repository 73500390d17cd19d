package audit_test

import (
	"fmt"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

// A person's data can be erased from a sealed line, and the seal still holds: it
// covers a salted hash of what is personal, which stays.
func ExampleLine_Erase() {
	line := audit.Line{Seq: 7, Salt: audit.Salt{1, 2, 3}, AuditEvent: session.AuditEvent{
		Time: time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC), Action: "created", User: "alex",
		Client: session.Client{IPAddress: "192.0.2.7"},
	}}
	erased := line.Erase()
	fmt.Printf("%q, sealed alike: %t\n", erased.Client.IPAddress, erased.Digest() == line.Digest())
	// Output: "", sealed alike: true
}
