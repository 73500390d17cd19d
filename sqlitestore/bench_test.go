package sqlitestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

// filled opens a store with n sessions of as many users.
func filled(b *testing.B, n int) (*sqlitestore.Store, []session.ID) {
	s := open(b, file(b))
	return s, fill(b, s, n)
}

func fill(b *testing.B, s *sqlitestore.Store, n int) []session.ID {
	b.Helper()
	ids := make([]session.ID, n)
	inParallel(256, n, func(i int) {
		r := storetest.NewRecord(session.UserID(fmt.Sprint(i)), start)
		ids[i] = r.ID
		if _, err := s.Create(b.Context(), session.Creation{Record: r, Limit: 5}); err != nil {
			b.Error(err)
		}
	})
	return ids
}

// inParallel runs do n times on so many goroutines.
func inParallel(goroutines, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// perSecond reports the rate, and how long the slow ones took.
func perSecond(b *testing.B, goroutines int, do func(i int)) {
	b.Helper()
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	begun := time.Now()
	inParallel(goroutines, b.N, func(i int) {
		begun := time.Now()
		do(i)
		took[i] = time.Since(begun)
	})
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "calls/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[b.N*999/1000].Microseconds())/1000, "p99.9-ms")
}

func BenchmarkSwitchPlatform(b *testing.B) {
	s, ids := filled(b, 10_000)
	var platforms atomic.Int64 // so that each is another
	for _, goroutines := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			perSecond(b, goroutines, func(int) {
				platform := session.PlatformID(fmt.Sprint(platforms.Add(1)))
				if _, _, err := s.SwitchPlatform(b.Context(), ids[rand.N(len(ids))], platform, start, 0); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// The same with an audit line in each transaction, and a sealer beside.
func BenchmarkAuditedSwitch(b *testing.B) {
	s := audited(b, file(b))
	ids := fill(b, s, 10_000)
	sealer := &audit.Sealer{Store: s, Keys: audit.NewKeys([][]byte{make([]byte, 32)})}
	ctx, stop := context.WithCancel(b.Context())
	var sealing sync.WaitGroup
	sealing.Go(func() { sealer.Run(ctx) })
	defer sealing.Wait()
	defer stop()
	var platforms atomic.Int64
	for _, goroutines := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			perSecond(b, goroutines, func(int) {
				platform := session.PlatformID(fmt.Sprint(platforms.Add(1)))
				if _, _, err := s.SwitchPlatform(b.Context(), ids[rand.N(len(ids))], platform, start, 0); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	s, _ := filled(b, 10_000)
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			perSecond(b, goroutines, func(int) {
				r := storetest.NewRecord(session.UserID(fmt.Sprint(rand.N(10_000))), start)
				if _, err := s.Create(b.Context(), session.Creation{Record: r, Limit: 5}); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s, ids := filled(b, 10_000)
	for _, goroutines := range []int{1, 16} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			b.ReportAllocs()
			perSecond(b, goroutines, func(int) {
				if _, err := s.Get(b.Context(), ids[rand.N(len(ids))]); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkTouch(b *testing.B) {
	s, ids := filled(b, 10_000)
	at := start
	for b.Loop() {
		at = at.Add(time.Minute)
		activity := make([]session.Activity, 1000)
		for i := range activity {
			activity[i] = session.Activity{ID: ids[rand.N(len(ids))], At: at}
		}
		if err := s.Touch(b.Context(), activity); err != nil {
			b.Fatal(err)
		}
	}
}
