package session_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// BenchmarkAuthenticate is the way in, over 10,000 sessions at random.
func BenchmarkAuthenticate(b *testing.B) {
	m := open(b, memstore.New(), nil, session.Config{Security: session.Security{NoAuditLogging: true}})
	tokens := make([]string, 10_000)
	for i := range tokens {
		_, token := signIn(b, m, session.UserID(strconv.Itoa(i)))
		tokens[i] = token.Reveal()
	}
	for _, text := range tokens { // what is measured is remembered
		token, err := session.ParseToken(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Authenticate(b.Context(), token, session.Client{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			token, err := session.ParseToken(tokens[rand.IntN(len(tokens))])
			if err != nil {
				b.Fatal(err)
			}
			if _, err := m.Authenticate(b.Context(), token, session.Client{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
