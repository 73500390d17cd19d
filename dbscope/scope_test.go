package dbscope_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/dbscope"
)

type sqlScope = dbscope.Scope[*sql.Tx]

// newScope logs to the test: what the fake breaks on purpose is no news.
func newScope(t testing.TB, f *fakeDB) *sqlScope {
	scope := dbscope.SQL(f.open(t), nil)
	scope.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	return scope
}

// add writes one word within the transaction of ctx.
func add(ctx context.Context, scope *sqlScope, word string) error {
	tx, err := scope.Tx(ctx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "add "+word)
	return err
}

func mustAdd(t testing.TB, ctx context.Context, scope *sqlScope, word string) {
	t.Helper()
	if err := add(ctx, scope, word); err != nil {
		t.Errorf("add %s: %v", word, err)
	}
}

func wantHistory(t testing.TB, f *fakeDB, events, words string) {
	t.Helper()
	if got := f.history(); got != events {
		t.Errorf("transactions: %q, want %q", got, events)
	}
	if got := f.words(); got != words {
		t.Errorf("kept: %q, want %q", got, words)
	}
}

func TestRun(t *testing.T) {
	errOwn := errors.New("own")
	for _, tc := range []struct {
		name   string
		db     *fakeDB // nil: one that works
		fn     func(ctx context.Context, s *sqlScope) error
		err    error
		events string
		words  string
	}{
		{
			name: "nobody asks", events: "",
			fn: func(context.Context, *sqlScope) error { return nil },
		},
		{
			name: "nobody asks and it fails", err: errOwn,
			fn: func(context.Context, *sqlScope) error { return errOwn },
		},
		{
			name: "commits", events: "begin commit", words: "a b",
			fn: func(ctx context.Context, s *sqlScope) error { return errors.Join(add(ctx, s, "a"), add(ctx, s, "b")) },
		},
		{
			name: "an error rolls back", err: errOwn, events: "begin rollback",
			fn: func(ctx context.Context, s *sqlScope) error { return errors.Join(add(ctx, s, "a"), errOwn) },
		},
		{
			name: "begin fails", db: &fakeDB{failBegin: errDisk}, err: errDisk,
			fn: func(ctx context.Context, s *sqlScope) error { return add(ctx, s, "a") },
		},
		{
			name: "commit fails", db: &fakeDB{failCommit: errDisk}, err: errDisk, events: "begin commit-failed",
			fn: func(ctx context.Context, s *sqlScope) error { return add(ctx, s, "a") },
		},
		{
			name: "a failed rollback is told beside the error", db: &fakeDB{failRollback: errDisk},
			err: errDisk, events: "begin rollback",
			fn: func(ctx context.Context, s *sqlScope) error { return errors.Join(add(ctx, s, "a"), errOwn) },
		},
		{
			name: "an inner Run joins", events: "begin commit", words: "outer inner",
			fn: func(ctx context.Context, s *sqlScope) error {
				return errors.Join(add(ctx, s, "outer"), s.Run(ctx, func(ctx context.Context) error { return add(ctx, s, "inner") }))
			},
		},
		{
			name: "an inner error marks the outer, which ignored it", err: errOwn, events: "begin rollback",
			fn: func(ctx context.Context, s *sqlScope) error {
				if err := s.Run(ctx, func(context.Context) error { return errOwn }); !errors.Is(err, errOwn) {
					return errors.New("the inner Run hid its error")
				}
				return add(ctx, s, "outer")
			},
		},
		{
			name: "Without is a transaction of its own", err: errOwn, events: "begin begin commit rollback", words: "apart",
			fn: func(ctx context.Context, s *sqlScope) error {
				outer := add(ctx, s, "outer")
				apart := s.Run(s.Without(ctx), func(ctx context.Context) error { return add(ctx, s, "apart") })
				return errors.Join(outer, apart, errOwn)
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := tc.db
			if db == nil {
				db = &fakeDB{}
			}
			scope := newScope(t, db)
			err := scope.Run(t.Context(), func(ctx context.Context) error { return tc.fn(ctx, scope) })
			if !errors.Is(err, tc.err) {
				t.Errorf("Run: %v, want %v", err, tc.err)
			}
			wantHistory(t, db, tc.events, tc.words)
		})
	}
}

func TestRunReturnsTheErrorOfFnAsItIs(t *testing.T) {
	scope, own := newScope(t, &fakeDB{}), errors.New("own")
	err := scope.Run(t.Context(), func(ctx context.Context) error {
		mustAdd(t, ctx, scope, "a")
		return own
	})
	if err != own { //nolint:errorlint // identity is what is tested
		t.Errorf("got %v", err)
	}
}

func TestRunRollsBackAPanicAndLetsItGoOn(t *testing.T) {
	for _, nested := range []bool{false, true} {
		db := &fakeDB{}
		scope := newScope(t, db)
		boom := func(ctx context.Context) error {
			mustAdd(t, ctx, scope, "a")
			panic("boom")
		}
		var err error
		recovered := func(run func()) (v any) {
			defer func() { v = recover() }()
			run()
			return nil
		}
		if !nested {
			if v := recovered(func() { err = scope.Run(t.Context(), boom) }); v != "boom" {
				t.Errorf("recovered %v", v)
			}
		} else {
			err = scope.Run(t.Context(), func(ctx context.Context) error {
				recovered(func() { err = scope.Run(ctx, boom) })
				return nil
			})
			if err == nil {
				t.Error("the outer Run kept what an inner panic left half done")
			}
		}
		wantHistory(t, db, "begin rollback", "")
	}
}

// A transaction, or the right to one, ends with its scope: later use is one clear
// error, never a nil or a dead transaction.
func TestLesson20_UseAfterTheEndIsAClearError(t *testing.T) {
	for _, asked := range []bool{true, false} {
		scope := newScope(t, &fakeDB{})
		var kept context.Context
		if err := scope.Run(t.Context(), func(ctx context.Context) error {
			kept = ctx
			if asked {
				return add(ctx, scope, "a")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if tx, err := scope.Tx(kept); !errors.Is(err, dbscope.ErrDone) || tx != nil {
			t.Errorf("asked=%v: Tx: %v, %v", asked, tx, err)
		}
		ran := false
		err := scope.Run(kept, func(context.Context) error { ran = true; return nil })
		if !errors.Is(err, dbscope.ErrDone) || ran {
			t.Errorf("asked=%v: Run: %v, ran=%v", asked, err, ran)
		}
		if err := scope.Run(scope.Without(kept), func(ctx context.Context) error { return add(ctx, scope, "b") }); err != nil {
			t.Errorf("asked=%v: Run without: %v", asked, err)
		}
		if !strings.Contains(dbscope.ErrDone.Error(), "before the answer begins") {
			t.Error("the error does not say what to do")
		}
	}
}

func TestTxOutsideAScope(t *testing.T) {
	scope, other := newScope(t, &fakeDB{}), newScope(t, &fakeDB{})
	if _, err := scope.Tx(t.Context()); !errors.Is(err, dbscope.ErrNoScope) {
		t.Errorf("got %v", err)
	}
	err := other.Run(t.Context(), func(ctx context.Context) error {
		_, err := scope.Tx(ctx)
		return err
	})
	if !errors.Is(err, dbscope.ErrNoScope) {
		t.Errorf("another scope's transaction was taken: %v", err)
	}
}

func TestTwoScopesAreTwoTransactions(t *testing.T) {
	one, two := &fakeDB{failCommit: errDisk}, &fakeDB{}
	first, second := newScope(t, one), newScope(t, two)
	err := first.Run(t.Context(), func(ctx context.Context) error {
		mustAdd(t, ctx, first, "a")
		return second.Run(ctx, func(ctx context.Context) error {
			return errors.Join(add(ctx, first, "b"), add(ctx, second, "c"))
		})
	})
	if !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	wantHistory(t, one, "begin commit-failed", "")
	wantHistory(t, two, "begin commit", "c")
}

// The fake's connection panics when two goroutines use it at once.
func TestLesson16_GoroutinesOfARequestShareOneTransactionSafely(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	err := scope.Run(t.Context(), func(ctx context.Context) error {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { mustAdd(t, ctx, scope, "x") })
		}
		all.Wait()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantHistory(t, db, "begin commit", strings.TrimSpace(strings.Repeat("x ", 16)))
}

func TestLesson16_RequestsDoNotShareATransaction(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if err := scope.Run(t.Context(), func(ctx context.Context) error { return add(ctx, scope, "x") }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if begun, kept := db.count("begin"), db.count("commit"); begun != 32 || kept != 32 {
		t.Errorf("%d begun, %d committed, want 32 each", begun, kept)
	}
}

// A helper that bounds its own work must not end everybody's transaction.
func TestAShortContextOfOneCallerDoesNotEndTheTransaction(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	err := scope.Run(t.Context(), func(ctx context.Context) error {
		short, cancel := context.WithCancel(ctx)
		mustAdd(t, short, scope, "a")
		cancel()
		return add(ctx, scope, "b")
	})
	if err != nil {
		t.Error(err)
	}
	wantHistory(t, db, "begin commit", "a b")
}

func TestAContextThatEndedKeepsNothing(t *testing.T) {
	t.Run("before the first Tx", func(t *testing.T) {
		db := &fakeDB{}
		scope := newScope(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := scope.Run(ctx, func(ctx context.Context) error { return add(ctx, scope, "a") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantHistory(t, db, "", "")
	})
	t.Run("before the commit", func(t *testing.T) {
		db := &fakeDB{}
		scope := newScope(t, db)
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		err := scope.Run(ctx, func(ctx context.Context) error {
			defer cancel(left)
			return add(ctx, scope, "a")
		})
		if !errors.Is(err, left) {
			t.Errorf("got %v", err)
		}
		wantHistory(t, db, "begin rollback", "")
	})
	t.Run("in the middle of the commit it is kept", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		db := &fakeDB{onCommit: cancel}
		scope := newScope(t, db)
		err := scope.Run(ctx, func(ctx context.Context) error { return add(ctx, scope, "a") })
		if err != nil {
			t.Error(err)
		}
		wantHistory(t, db, "begin commit", "a")
	})
}

func TestACommitThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		db := &fakeDB{onCommit: func() { <-release }}
		scope := newScope(t, db)
		start := time.Now()
		err := scope.Run(t.Context(), func(ctx context.Context) error { return add(ctx, scope, "a") })
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "outcome unknown") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want the default of 5s", took)
		}
		close(release)
	})
}

func TestABeginThatHangs(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, tc := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want time.Duration
	}{
		{"is given up after the time-out", context.WithCancel, 2 * time.Second},
		{"ends when the client leaves", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				scope := newScope(t, &fakeDB{onBegin: hang})
				scope.Timeout = 2 * time.Second
				ctx, cancel := tc.ctx(t.Context())
				defer cancel()
				start := time.Now()
				err := scope.Run(ctx, func(ctx context.Context) error { return add(ctx, scope, "a") })
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || time.Since(start) != tc.want {
					t.Errorf("%v after %v, want a deadline after %v", err, time.Since(start), tc.want)
				}
			})
		})
	}
}

// A driver that does not look at its context may begin although nobody waits any
// more.
func TestABeginThatComesTooLateIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rolledBack int
		scope := &dbscope.Scope[int]{
			Begin:    func(context.Context) (int, error) { <-time.After(time.Minute); return 1, nil },
			Commit:   func(int, context.Context) error { return nil },
			Rollback: func(int, context.Context) error { rolledBack++; return nil },
		}
		err := scope.Run(t.Context(), func(ctx context.Context) error {
			tx, err := scope.Tx(ctx)
			if tx != 0 {
				t.Error("a dead transaction was handed out")
			}
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) || rolledBack != 1 {
			t.Errorf("%v, rolled back %d times", err, rolledBack)
		}
	})
}

func TestABeginThatFailedCanBeTriedAgain(t *testing.T) {
	fail := true
	db := &fakeDB{onBegin: func(context.Context) error {
		if fail {
			return errDisk
		}
		return nil
	}}
	scope := newScope(t, db)
	err := scope.Run(t.Context(), func(ctx context.Context) error {
		if err := add(ctx, scope, "a"); !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
		fail = false
		return add(ctx, scope, "b")
	})
	if err != nil {
		t.Error(err)
	}
	wantHistory(t, db, "begin commit", "b")
}

func TestTheEndHasABoundedContextThatTheRequestCannotEnd(t *testing.T) {
	type key struct{}
	for _, tc := range []struct {
		name string
		err  error
	}{{"commit", nil}, {"rollback", errDisk}} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
			called := ""
			end := func(name string) func(int, context.Context) error {
				return func(_ int, ctx context.Context) error {
					called += name
					leave()
					if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil || ctx.Value(key{}) != "v" {
						t.Errorf("bounded=%v err=%v value=%v", bounded, ctx.Err(), ctx.Value(key{}))
					}
					return nil
				}
			}
			scope := &dbscope.Scope[int]{
				Begin:    func(context.Context) (int, error) { return 1, nil },
				Commit:   end("commit"),
				Rollback: end("rollback"),
			}
			err := scope.Run(ctx, func(ctx context.Context) error {
				_, err := scope.Tx(ctx)
				return errors.Join(err, tc.err)
			})
			if !errors.Is(err, tc.err) || called != tc.name {
				t.Errorf("%v, called %q", err, called)
			}
		})
	}
}

func TestADriverThatPanicsInCommitIsAnError(t *testing.T) {
	scope := newScope(t, &fakeDB{onCommit: func() { panic("driver") }})
	err := scope.Run(t.Context(), func(ctx context.Context) error { return add(ctx, scope, "a") })
	if err == nil || !strings.Contains(err.Error(), "driver panicked") {
		t.Errorf("got %v", err)
	}
}

func TestATransactionEndedByHand(t *testing.T) {
	for _, tc := range []struct {
		name     string
		own, err error
	}{
		{"is not a success", nil, sql.ErrTxDone},
		{"has nothing left to undo", errDisk, errDisk},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scope := newScope(t, &fakeDB{})
			err := scope.Run(t.Context(), func(ctx context.Context) error {
				tx, err := scope.Tx(ctx)
				if err == nil {
					err = tx.Rollback()
				}
				if err != nil {
					t.Error(err)
				}
				return tc.own
			})
			if !errors.Is(err, tc.err) || tc.own != nil && err.Error() != tc.own.Error() {
				t.Errorf("got %v, want %v", err, tc.err)
			}
		})
	}
}

func TestAnIncompleteScopePanicsAtOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(&sqlScope{}).Wrap(nil)
}

func TestAFailedRollbackIsLogged(t *testing.T) {
	var log bytes.Buffer
	scope := newScope(t, &fakeDB{failRollback: errDisk})
	scope.Log = slog.New(slog.NewTextHandler(&log, nil))
	func() {
		defer func() { _ = recover() }()
		_ = scope.Run(t.Context(), func(ctx context.Context) error {
			mustAdd(t, ctx, scope, "a")
			panic("boom")
		})
	}()
	if !strings.Contains(log.String(), "disk full") {
		t.Errorf("log: %q", log.String())
	}
}
