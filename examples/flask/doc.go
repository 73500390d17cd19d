// Package flask holds the test of a Flask app behind the server: the server, the
// app and nginx run as its README says.
package flask
