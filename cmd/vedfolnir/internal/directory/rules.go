package directory

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
)

// The rules for passwords are those of NIST SP 800-63B-4, 3.1.1.2: only length and
// what is known to be guessed first, never a mixture of kinds of characters, and no
// change without a reason.
const (
	// passwordLeast characters, where the password stands alone.
	passwordLeast = 15
	// passwordMost bytes: 256 characters of any script.
	passwordMost = 1024
	// passwordGuesses is the least number of guesses that an attacker needs who
	// begins with what is common. At ten an hour it takes more than a thousand years.
	passwordGuesses = 1e8
	// passwordLooked is how many characters are looked at for that, since the time
	// grows with their square.
	passwordLooked = 64
)

// RuleError says what is wrong with a new password.
type RuleError string

func (e RuleError) Error() string { return string(e) }

func broken(format string, args ...any) error { return RuleError(fmt.Sprintf(format, args...)) }

// checkPassword says what is wrong with a new password of a person who is called so.
func checkPassword(password string, called ...string) error {
	switch {
	case !utf8.ValidString(password):
		return RuleError("the password is no text in UTF-8")
	case utf8.RuneCountInString(password) < passwordLeast:
		return broken("the password has fewer than %d characters: a few words make a good one", passwordLeast)
	case len(password) > passwordMost:
		return broken("the password has more than %d bytes: shorten it", passwordMost)
	case guessable(password, called):
		return RuleError("the password is among the first that would be guessed: common passwords, names, rows of keys, repetitions; a few words that do not belong together make a good one")
	}
	return nil
}

// guessable reports whether the password is made of little but what is on the lists
// of common passwords, words and names (zxcvbn's, MIT licence), of repetitions,
// sequences and rows of keys, and of what the person and this server are called.
func guessable(password string, called []string) bool {
	words := []string{"vedfolnir"}
	for _, name := range called {
		local, domain, _ := strings.Cut(name, "@")
		words = append(words, name, local, domain)
	}
	if runes := []rune(password); len(runes) > passwordLooked {
		password = string(runes[:passwordLooked])
	}
	return zxcvbn.PasswordStrength(password, words).Guesses < passwordGuesses
}
