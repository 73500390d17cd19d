// Package dbscope gives each request one database transaction that ends before
// its answer begins.
//
// # Contract
//
// Lazy. The transaction is begun by the first [Scope.Tx]. A request that never
// asks takes no connection and pays two allocations.
//
// Kept before it is told. The transaction ends before the first byte of the
// answer leaves: when the handler first calls WriteHeader, Write, Flush or
// Hijack, or returns. The status decides how:
//
//   - 2xx and 3xx commit; a redirect after a form and a 304 are successes, and a
//     handler that writes nothing has answered 200. So are 101 and a hijacked
//     connection.
//   - 4xx and 5xx roll back: the answer says that it was not done, so it must not
//     have been.
//   - the other 1xx are sent on and decide nothing.
//
// A transaction that cannot be kept is never answered with success. If the commit
// fails, the context of the request has ended (the client left, a deadline
// passed), or an inner [Scope.Run] failed and the handler went on as if it had
// not, then nothing of the handler's answer is sent: neither status and body, nor
// cookies and Location. The client gets 503 with Retry-After, in JSON where it
// expects JSON, and the handler's Write returns the error. If the connection broke
// during the commit, nobody knows whether the database did it: what a client may
// repeat should be harmless when repeated.
//
// A panic rolls back and then goes on to whoever recovers it. After the first
// byte there is nothing left to undo: what was answered is kept.
//
// Over is over. Once the transaction has ended, and also once the answer has
// begun without one, Tx and Run return [ErrDone]. Read what you need, then write:
// rows cannot be streamed from the transaction into the answer. A handler that
// streams, or work that goes on after the answer, uses Run with [Scope.Without].
//
// Nesting joins. A Wrap within a Wrap, or a Run within either, uses the outer
// transaction. An error or panic of an inner Run, or an answer of 400 or more of
// an inner Wrap, marks the outer one, which then rolls back whatever follows.
// Two scopes, say of two databases, do not see each other.
//
// Concurrency. Goroutines of one request may ask at the same time; one transaction
// is begun, and all get it. It is one connection: they share it, one statement
// after the other, and must be done with it before the answer begins.
//
// Time. A transaction is begun under the request's context, but lives apart from
// it: a client that leaves cannot break a commit in the middle. Begin, Commit and
// Rollback are each given up after [Scope.Timeout].
//
// The response writer. [http.ResponseController] reaches the server's writer, and
// the handler is offered [http.Flusher] and [http.Hijacker] if, and only if, the
// writer below has them. [http.Pusher] is not passed on.
//
// # Use
//
//	scope := dbscope.SQL(db, nil)
//	http.Handle("POST /notes", scope.Wrap(addNote))
//
//	func addNote(w http.ResponseWriter, r *http.Request) {
//		tx, err := scope.Tx(r.Context())
//		…
//		tx.ExecContext(r.Context(), "INSERT …")
//		w.WriteHeader(http.StatusCreated) // commits first
//	}
//
// Outside a request, [Scope.Run] is the transaction. pgx needs no adapter:
//
//	scope := &dbscope.Scope[pgx.Tx]{
//		Begin:    pool.Begin,
//		Commit:   pgx.Tx.Commit,
//		Rollback: pgx.Tx.Rollback,
//	}
//
// What must be kept although the request is refused (a count of failed sign-ins,
// an audit line) is not part of its transaction: write it in Run with
// [Scope.Without], best after the refusal was written. Before that the request's
// transaction may hold the lock or the connection that the other one waits for;
// on SQLite, or with a pool of one, it does.
package dbscope
