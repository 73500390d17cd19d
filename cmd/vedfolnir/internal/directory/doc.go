// Package directory keeps the server's own people and their platforms in the
// database that holds the sessions, SQLite or PostgreSQL, and checks passwords.
//
// A [Directory] is the manager's session.Directory and session.PlatformNoter.
// Ids are the rows' integers in decimal. After a change to a person who may be
// signed in, call Manager.DirectoryChanged (or RevokeUser, if they were disabled):
// the directory does not know the manager.
//
// # Who signs in
//
// People sign in by name or by e-mail address. Both are compared in lower case
// and without surrounding space; an address as a whole, since no mail provider in
// use tells "Alex@" from "alex@". A name consists of ASCII letters, digits, dot,
// hyphen and underscore: it holds no "@", so that no name can be another person's
// address, and no look-alike letters.
//
// An unknown person and a wrong password cost the same, one hash, and answer the
// same, [ErrCredentials]; so do disabled people, and demo people on a server that
// is no demo. At most as many hashes run at once as there are processors; who
// waits for one longer than a few seconds gets [ErrBusy].
package directory
