package pgstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/storetest"
)

// filled has n sessions of as many users.
func filled(b *testing.B, cfg pgstore.Config, n int) (s *pgstore.Store, url string, ids []session.ID) {
	b.Helper()
	url = testservers.PostgreSQL(b)
	s = open(b, url, cfg)
	ids = fill(b, s, n)
	if err := s.OptimizePool(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, url, ids
}

// fill signs in n people.
func fill(b *testing.B, s session.Store, n int) []session.ID {
	b.Helper()
	ids := make([]session.ID, n)
	inParallel(256, n, func(i int) {
		c, err := s.Create(b.Context(), session.Creation{Record: storetest.NewRecord(session.UserID(fmt.Sprint(i)), start), Limit: 5})
		if err != nil {
			b.Error(err)
		}
		ids[i] = c.Record.ID
	})
	return ids
}

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

func perSecond(b *testing.B, goroutines int, do func(i int)) {
	b.Helper()
	b.ResetTimer()
	inParallel(goroutines, b.N, do)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
}

func BenchmarkSwitch(b *testing.B) {
	for name, cfg := range map[string]pgstore.Config{"plain": {}, "audited": {Audit: true}} {
		s, _, ids := filled(b, cfg, 10_000)
		var platforms atomic.Int64
		for _, goroutines := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", name, goroutines), func(b *testing.B) {
				perSecond(b, goroutines, func(int) {
					platform := session.PlatformID(fmt.Sprint(platforms.Add(1)))
					if _, _, err := s.SwitchPlatform(b.Context(), ids[rand.N(len(ids))], platform, start, 0); err != nil {
						b.Error(err)
					}
				})
			})
		}
	}
}

// BenchmarkBareUpdate is what pgx does at most with the same rows: one statement for
// each change, in batches on one connection, with neither feed nor lines, nor anybody
// who waits for an answer of their own.
func BenchmarkBareUpdate(b *testing.B) {
	_, url, ids := filled(b, pgstore.Config{}, 10_000)
	c, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(b.Context()))
	for _, size := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for done := 0; done < b.N; done += size {
				batch := &pgx.Batch{}
				for i := range size {
					id := ids[rand.N(len(ids))]
					batch.Queue(`UPDATE sessions SET platform_id = $2, version = version + 1 WHERE id = $1 AND ended_at IS NULL`, id[:], fmt.Append(nil, done+i))
				}
				if err := c.SendBatch(b.Context(), batch).Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
		})
	}
}

// BenchmarkTouch stores activity as a node gathers it: many sessions at once.
func BenchmarkTouch(b *testing.B) {
	s, _, ids := filled(b, pgstore.Config{}, 10_000)
	const together = 1000
	at := start
	for done := 0; done < b.N; done += together {
		at = at.Add(time.Minute)
		activity := make([]session.Activity, together)
		for i := range activity {
			activity[i] = session.Activity{ID: ids[(done+i)%len(ids)], At: at}
		}
		if err := s.Touch(b.Context(), activity); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
}

func BenchmarkCreate(b *testing.B) {
	s, _, _ := filled(b, pgstore.Config{}, 10_000)
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
	s, _, ids := filled(b, pgstore.Config{}, 10_000)
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

// BenchmarkChanges is what a lease costs the database.
func BenchmarkChanges(b *testing.B) {
	s, _, _ := filled(b, pgstore.Config{}, 100)
	feed, err := s.Changes(b.Context(), 0, true)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if feed, err = s.Changes(b.Context(), feed.Next, true); err != nil {
			b.Fatal(err)
		}
	}
}
