// Package pgstore keeps sessions in PostgreSQL 14 or newer: the store for any number
// of nodes.
//
// What is acknowledged is on the disk of the primary, and on that of its
// synchronous standby if one is named: nobody is answered before the commit that
// holds their change, and a connection on which the server would answer earlier
// (synchronous_commit) is told not to. Everything is read on the primary too.
//
// One goroutine writes. It gathers the changes that wait while the last commit is
// under way and commits them together, sorted, so that the nodes do not lock each
// other out. A change of one session is one round trip: its row is locked, judged
// and changed, and its place in the feed taken, in one statement for the whole
// batch. What begins or ends sessions is two, for what has to end is decided in
// between, while the rows of the users, and then the sessions, are locked. A change
// that the server refuses has the others tried again without it. One whose outcome
// is not known, because the connection broke, is never tried again.
//
// The feed is read by snapshots: a reader keeps the one of its last read, and asks
// for what is not visible in it. So a transaction that commits late is not missed,
// and one that stays open, in this database or another of the cluster, holds up
// nothing. A cursor is good for the [Store] that returned it. A read that renews a
// lease writes the node's row in its transaction, so that a primary which has lost its
// synchronous standby, and may have a successor, renews none; any other writes nothing,
// and waits for no disk.
//
// History that was lost is noticed: whoever finds that the rows belong to another
// server, another timeline (a promoted standby, a restored backup), another start of
// the server (a copy of its files that was put back) or another table than when they
// were last looked at raises the epoch.
//
// The tables lie in the first schema of the connection's search_path; give the
// sessions a database or a schema of their own. They hold SHA-256 hashes of the
// tokens' secrets, never a token: a copy opens no session. They do hold user agents
// and addresses.
//
// While the server is away, each node asks for it with one connection at a time, every
// half second, and everything else fails at once. Reads wait for a free connection
// within a bound; the feed has its own, so that the lease is renewed however many wait.
//
// A pooler in between must pool by session, not by transaction: prepared
// statements and settings belong to the connection.
package pgstore
