package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
)

// A password never is an argument: those are seen by everybody on the machine and
// kept by shells.
type passwordInput struct {
	PasswordStdin bool `help:"Read the password from standard input: its first line. Without it the terminal asks, twice."`
}

// read the password.
func (p passwordInput) read(c *Call) (string, error) {
	if p.PasswordStdin {
		line, err := bufio.NewReader(io.LimitReader(c.Stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", hint(errors.New("no password came on standard input"), "printf '%%s\\n' \"$PASSWORD\" | vedfolnir ... --password-stdin")
		}
		return line, nil
	}
	if !term.IsTerminal(int(c.Stdin.Fd())) {
		return "", hint(errors.New("there is no terminal to ask for the password"), "give --password-stdin and the password on standard input")
	}
	first, err := c.ask("Password: ")
	if err != nil {
		return "", err
	}
	second, err := c.ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two are not the same: nothing was changed")
	}
	return first, nil
}

// ask without showing the answer.
func (c *Call) ask(prompt string) (string, error) {
	fmt.Fprint(c.Stderr, prompt)
	answer, err := term.ReadPassword(int(c.Stdin.Fd()))
	fmt.Fprintln(c.Stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(answer), nil
}
