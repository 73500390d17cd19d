package dbscope_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/vedfolnir/session/dbscope"
)

// openExample stands for sql.Open with the driver of your database.
func openExample() (*sql.DB, *fakeDB) {
	f := &fakeDB{}
	return sql.OpenDB(f), f
}

// post stands for a browser.
func post(h http.Handler) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/notes", nil))
	return rec.Code
}

// A handler asks for the transaction, works, and answers; nobody commits by hand.
func Example() {
	db, kept := openExample()
	defer db.Close()
	scope := dbscope.SQL(db, nil)

	addNote := scope.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tx, err := scope.Tx(r.Context())
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		if _, err := tx.ExecContext(r.Context(), "add note"); err != nil {
			http.Error(w, "not saved", http.StatusInternalServerError) // rolls back
			return
		}
		w.WriteHeader(http.StatusCreated) // commits first
	}))

	fmt.Println(post(addNote), kept.words())
	// Output: 201 note
}

// Outside a request, such as in a job or at the start of a program.
func ExampleScope_Run() {
	db, kept := openExample()
	defer db.Close()
	scope := dbscope.SQL(db, nil)

	rename := func(ctx context.Context, name string) error { // works in a request, too
		tx, err := scope.Tx(ctx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "add "+name)
		return err
	}

	fmt.Println(scope.Run(context.Background(), func(ctx context.Context) error {
		return rename(ctx, "first")
	}))
	fmt.Println(scope.Run(context.Background(), func(ctx context.Context) error {
		return errors.Join(rename(ctx, "second"), errors.New("no such name"))
	}))
	fmt.Println(kept.words())
	// Output:
	// <nil>
	// no such name
	// first
}

// The common mistake: the answer begins, and then the work. It cannot be taken
// back any more, so the work is not begun.
func ExampleScope_Tx_mistake() {
	db, _ := openExample()
	defer db.Close()
	scope := dbscope.SQL(db, nil)

	post(scope.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "saved!")
		_, err := scope.Tx(r.Context())
		fmt.Println(errors.Is(err, dbscope.ErrDone))
		fmt.Println(err)
	})))
	// Output:
	// true
	// dbscope: the transaction is over: ask for it before the answer begins, or do later work in Run(Without(ctx), …)
}

// A refusal undoes the request's work. What must be kept all the same has a
// transaction of its own.
func ExampleScope_Without() {
	db, kept := openExample()
	defer db.Close()
	scope := dbscope.SQL(db, nil)
	add := func(ctx context.Context, word string) error {
		tx, err := scope.Tx(ctx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "add "+word)
		return err
	}

	signIn := scope.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := add(r.Context(), "sign-in"); err != nil {
			fmt.Println(err)
		}
		http.Error(w, "wrong password", http.StatusUnauthorized) // rolls back
		if err := scope.Run(scope.Without(r.Context()), func(ctx context.Context) error {
			return add(ctx, "failed-attempt")
		}); err != nil {
			fmt.Println(err)
		}
	}))

	fmt.Println(post(signIn), kept.words())
	// Output: 401 failed-attempt
}

// pgxTx and pgxPool have the shape of pgx.Tx and pgxpool.Pool.
type pgxTx interface {
	Commit(context.Context) error
	Rollback(context.Context) error
}

type pgxPool struct{}

func (pgxPool) Begin(context.Context) (pgxTx, error) { return pgxPool{}, nil }
func (pgxPool) Commit(context.Context) error         { fmt.Println("committed"); return nil }
func (pgxPool) Rollback(context.Context) error       { fmt.Println("rolled back"); return nil }

// Any transaction will do; pgx's own fits as it is.
func ExampleScope_pgx() {
	var pool pgxPool
	scope := &dbscope.Scope[pgxTx]{
		Begin:    pool.Begin,
		Commit:   pgxTx.Commit,
		Rollback: pgxTx.Rollback,
	}
	post(scope.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := scope.Tx(r.Context()); err != nil {
			fmt.Println(err)
		}
	})))
	// Output: committed
}
