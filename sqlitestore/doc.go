// Package sqlitestore keeps sessions in a SQLite file: the store for one machine,
// with nothing to install beside the program.
//
// What is acknowledged is on the disk: the file is in WAL mode with
// synchronous=FULL, and nobody is answered before the commit that holds their
// change has been synced. One goroutine writes. It gathers the changes that wait
// while the last commit is under way and commits them together, so that the disk
// is asked once for all of them; a change that fails unexpectedly has the others
// tried again without it. Readers have connections of their own, which cannot
// write, and never wait for the writer.
//
// Several processes on one machine may open one file. They take turns, and a
// change waits for its turn as long as [Config.BusyTimeout]. The file must not
// lie on a network file system.
//
// The file may be shared with an application's own tables: see [Store.DB]. It
// holds SHA-256 hashes of the tokens' secrets, never a token: a copy of it opens
// no session. It does hold user agents and addresses, and is created for its
// owner's eyes only (0600).
//
// History that was lost is noticed when the file is opened: whoever opens it
// while nobody else has it open raises its epoch, to the Unix time or by one.
package sqlitestore
