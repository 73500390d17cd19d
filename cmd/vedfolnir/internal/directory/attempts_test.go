package directory_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/sqlitestore"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func attempt(t *testing.T, d *directory.Directory, now time.Time, want time.Duration, buckets ...directory.Bucket) {
	t.Helper()
	wait, err := d.Attempt(t.Context(), now, buckets...)
	if err != nil || wait != want {
		t.Errorf("at %s: wait %v, %v; want %v", now.Format(time.TimeOnly), wait, err, want)
	}
}

func TestABucketHoldsSoManyAttempts(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	b := directory.Bucket{Name: "b", PerHour: 4}
	for range 4 {
		attempt(t, d, noon, 0, b)
	}
	attempt(t, d, noon, 15*time.Minute, b)
	attempt(t, d, noon.Add(10*time.Minute), 5*time.Minute, b)
	attempt(t, d, noon.Add(15*time.Minute), 0, b) // one came back
	attempt(t, d, noon.Add(15*time.Minute), 15*time.Minute, b)
	for range 4 { // all came back, and not one more
		attempt(t, d, noon.Add(9*time.Hour), 0, b)
	}
	attempt(t, d, noon.Add(9*time.Hour), 15*time.Minute, b)
}

func TestAnEmptyBucketKeepsTheOthersFull(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	small, large := directory.Bucket{Name: "small", PerHour: 1}, directory.Bucket{Name: "large", PerHour: 2}
	attempt(t, d, noon, 0, small, large)
	for range 5 {
		attempt(t, d, noon, time.Hour, small, large)
	}
	attempt(t, d, noon, 0, large) // the refused ones took nothing
	attempt(t, d, noon, 30*time.Minute, large)
}

func TestAForgivenAttemptWasNone(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	b := directory.Bucket{Name: "b", PerHour: 2}
	for range 5 {
		attempt(t, d, noon, 0, b)
		if err := d.Forgive(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // nor does it make room for more
		if err := d.Forgive(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	attempt(t, d, noon, 0, b)
	attempt(t, d, noon, 0, b)
	attempt(t, d, noon, 30*time.Minute, b)
}

// A clock that was a year ahead, or a limit that was lower, locks nobody out for
// longer than an hour.
func TestABucketIsNeverEmptyForLongerThanItMayBe(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	b := directory.Bucket{Name: "b", PerHour: 2}
	attempt(t, d, noon.AddDate(1, 0, 0), 0, b)
	attempt(t, d, noon, 30*time.Minute, b)
	attempt(t, d, noon.Add(30*time.Minute), 30*time.Minute, b) // refused ones store nothing
	attempt(t, d, noon, 15*time.Minute, directory.Bucket{Name: "b", PerHour: 4})
}

// What was used is known to whoever opens the database next, or has it open too; and
// of many at once not one more gets through than the bucket holds.
func TestServersShareTheBuckets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.db")
	server := func() *directory.Directory {
		store, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return open(t, store.DB(), directory.Config{})
	}
	b := directory.Bucket{Name: "b", PerHour: 7}
	servers := []*directory.Directory{server(), server()}
	var passed atomic.Int32
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			wait, err := servers[i%2].Attempt(t.Context(), noon, b)
			if err != nil {
				t.Error(err)
			} else if wait == 0 {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 7 {
		t.Errorf("%d attempts passed, not 7", passed.Load())
	}
	if wait, err := server().Attempt(t.Context(), noon, b); wait == 0 || err != nil {
		t.Errorf("after a restart: %v, %v", wait, err)
	}
}

// Buckets that are full again are rows no more.
func TestFullBucketsGo(t *testing.T) {
	db := database(t)
	d := open(t, db, directory.Config{})
	for _, name := range []string{"a", "b", "c"} {
		attempt(t, d, noon, 0, directory.Bucket{Name: name, PerHour: 4})
	}
	if n := count(t, db, "directory_attempts"); n != 3 {
		t.Errorf("%d rows, not 3", n)
	}
	attempt(t, d, noon.Add(15*time.Minute), 0, directory.Bucket{Name: "d", PerHour: 4})
	if n := count(t, db, "directory_attempts"); n != 1 {
		t.Errorf("%d rows, not 1", n)
	}
}
