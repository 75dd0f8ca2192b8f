package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"imapproxy/auth"
)

// maxPasswordLine bounds what is read for one password, in bytes; auth allows
// 4096.
const maxPasswordLine = 8192

// readPassword asks for a password on a terminal without echo, or reads one
// line from anything else.
func (p *program) readPassword(prompt string) (auth.Secret, error) {
	if f, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return p.askPassword(f, prompt)
	}
	return firstLine(p.stdin)
}

// onTerminal reports whether standard input is a terminal.
func (p *program) onTerminal() bool {
	f, ok := p.stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// askPassword returns the terminal its echo back even when it is interrupted.
func (p *program) askPassword(f *os.File, prompt string) (auth.Secret, error) {
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer close(done)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			_ = term.Restore(fd, state)
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		case <-done:
		}
	}()
	_, _ = io.WriteString(p.stderr, prompt)
	text, err := term.ReadPassword(fd)
	_, _ = io.WriteString(p.stderr, "\n")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return auth.Secret(text), nil
}

// firstLine reads a password up to the end of the line or of the text.
func firstLine(r io.Reader) (auth.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len(line) == maxPasswordLine {
		return "", fmt.Errorf("the first line is longer than %d bytes", maxPasswordLine-1)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("the first line is empty: it has to hold the password")
	}
	return auth.Secret(line), nil
}

// passwordFile reads a password from the first line of a file.
func passwordFile(name string) (auth.Secret, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return firstLine(f)
}
