// Package attack tries to break the program from outside: the built binary, over
// real TLS, by what an attacker can send, see and time. It knows nothing of the
// code, nor of that of the shop which stands in for an application with guests; a new
// attack is one more value in a list. Run it with its report by
// "make attack".
package attack
