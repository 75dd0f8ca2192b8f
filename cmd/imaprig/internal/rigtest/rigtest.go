// Package rigtest has what the tests of several packages of imaprig need. It imports none of them, so that the tests
// inside each of them can use it.
package rigtest

import (
	"context"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// AnyPort is where a server of a test listens.
const AnyPort = "127.0.0.1:0"

// Command is a subcommand of imaprig.
type Command func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// RunCommand runs the subcommand that the program's arguments name, and does not return then. A TestMain calls it
// first, so that the test's program can be started again as a server.
func RunCommand(commands map[string]Command) {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := commands[os.Args[1]](ctx, os.Args[2:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Serve runs a server until the test ends, and wants it to end well.
func Serve(t *testing.T, run func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// Addr parses an address.
func Addr(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// CheckError wants err to hold this text, or to be nil when it is empty.
func CheckError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// WriteFile writes a file.
func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ReadFile returns what is in a file.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
