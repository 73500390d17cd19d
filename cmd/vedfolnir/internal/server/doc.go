// Package server puts the parts together: the store, the directory of people,
// the session manager, its HTTP API and the pages; and lets them begin and end in
// the right order.
//
// Beginning: the address is taken first, so that a server that cannot listen has
// made nothing. Ending: readiness goes off, streams end (the browser reconnects,
// to the next server), the listener closes, requests under way finish or are cut
// off after a while, what waits to be stored is stored, and the database closes.
package server
