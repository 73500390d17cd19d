package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
)

// BenchmarkBytesPerSession is what a live session takes on the disk, with its indexes
// and its user's row, and how much log is written for its beginning: -benchtime=50000x.
func BenchmarkBytesPerSession(b *testing.B) {
	url := testservers.PostgreSQL(b)
	s := open(b, url, pgstore.Config{})
	look := func() (size, log int64) {
		return number(b, url, `SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest(ARRAY['sessions', 'session_users']) t`), logged(b, url)
	}
	size, log := look()
	fill(b, s, b.N)
	sizeAfter, logAfter := look()
	b.ReportMetric(float64(sizeAfter-size)/float64(b.N), "B/session")
	b.ReportMetric(float64(logAfter-log)/float64(b.N), "WAL-B/session")
}

// BenchmarkIdleNodes is what nodes cost the database while nobody does anything: they
// renew their leases. Each iteration is ten seconds: -benchtime=1x.
func BenchmarkIdleNodes(b *testing.B) {
	for _, nodes := range []int{1, 10} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			url := testservers.PostgreSQL(b)
			for range nodes {
				m, err := session.New(open(b, url, pgstore.Config{}), nil, session.Config{Features: session.Features{NoBackgroundCleanup: true}})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { m.Close() })
			}
			const transactions = `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`
			time.Sleep(time.Second) // until all have begun
			before, log, busy := number(b, url, transactions), logged(b, url), processorTime(b, url)
			b.ResetTimer()
			for range b.N {
				time.Sleep(10 * time.Second)
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric((processorTime(b, url)-busy).Seconds()/seconds*100, "%CPU")
			b.ReportMetric(float64(logged(b, url)-log)/seconds, "WAL-B/s")
			b.ReportMetric(float64(number(b, url, transactions)-before)/seconds, "tx/s")
		})
	}
}

func number(b *testing.B, url, query string) (n int64) {
	b.Helper()
	c, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(b.Context()))
	if err := c.QueryRow(b.Context(), query).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// logged is how much the server has written to its log of changes so far.
func logged(b *testing.B, url string) int64 {
	b.Helper()
	return number(b, url, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`)
}

// processorTime is what the server's processes for this database have used so far.
// They have to be on this machine, and it has to be Linux.
func processorTime(b *testing.B, url string) (sum time.Duration) {
	b.Helper()
	c, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(b.Context()))
	rows, err := c.Query(b.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			b.Skip(err)
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		for _, ticks := range fields[11:13] { // utime and stime, in hundredths of a second
			n, err := strconv.Atoi(ticks)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}
