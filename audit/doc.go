// Package audit makes lines of what happened evidence: that none of them was
// altered, removed, put in or moved afterwards can be verified, also on another
// machine that knows a public key only.
//
// A store writes lines in the transactions of what they tell, and links nothing
// there, so that they cost little. One [Sealer] among all processes of a database
// links them each second and signs a [Checkpoint] (Ed25519). What somebody who can
// write to the database does to lines before that, within the unsealed second, is
// not found.
//
// The link of a line covers a salted hash of its personal fields. [Line.Erase]
// leaves the hash and drops fields and salt: what was sealed stays verifiable, and
// nobody can guess from the hash what was there.
//
// Times are handed in: neither stores nor this package ask for one.
package audit
