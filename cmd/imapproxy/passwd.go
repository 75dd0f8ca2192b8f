package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"imapproxy/auth"
)

func passwdCommand() command {
	return command{
		name:    "passwd",
		extra:   "user",
		summary: "prints the hash of a password, for the file of users",
		details: `
On a terminal it asks twice and does not show what is typed; otherwise it reads
the first line of standard input. With --user it prints a line for the file.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			scheme := fs.String("scheme", auth.Schemes()[0], "the `SCHEME`: "+strings.Join(auth.Schemes(), ", "))
			user := fs.String("user", "", "print the line of the user `NAME`")
			return func(p *program, _ []string) int { return p.passwd(*scheme, *user) }
		},
	}
}

func (p *program) passwd(scheme, user string) int {
	if !slices.Contains(auth.Schemes(), scheme) {
		return p.wrongUsage(fmt.Sprintf("there is no scheme %q; take one of %s", scheme,
			strings.Join(auth.Schemes(), ", ")))
	}
	if user != "" && !fitsUserFile(user) {
		return p.wrongUsage(fmt.Sprintf("the user name %q can't stand in the file: it begins with # or a space, "+
			"ends with a space, is too long, or holds a colon or a control character", user))
	}
	secret, err := p.newPassword()
	if err != nil {
		return p.failure("%v", err)
	}
	hash, err := auth.HashPassword(secret, scheme)
	if err != nil {
		return p.failure("%v", err)
	}
	if user != "" {
		hash = user + ":" + hash
	}
	_, _ = fmt.Fprintln(p.stdout, hash)
	return exitOK
}

// fitsUserFile reports whether a name can begin a line of the file of users.
func fitsUserFile(user string) bool {
	return auth.CheckCredentials(user, "", "unused") == nil && !strings.Contains(user, ":") &&
		user[0] != '#' && strings.TrimSpace(user) == user
}

// newPassword asks twice on a terminal.
func (p *program) newPassword() (auth.Secret, error) {
	first, err := p.readPassword("Password: ")
	if err == nil && first == "" {
		err = errors.New("the password is empty")
	}
	if err != nil || !p.onTerminal() {
		return first, err
	}
	second, err := p.readPassword("The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", fmt.Errorf("the passwords differ")
	}
	return first, nil
}
