package rigtest

import (
	"context"
	"net"
	"testing"
)

// Server is a server that listens already.
type Server interface {
	Addrs() []net.Addr
	Run(ctx context.Context) error
}

// Start starts a server with its options, runs it until the test ends, and returns its addresses.
func Start[O any, S Server](t *testing.T, start func(context.Context, O) (S, error), options O) []string {
	t.Helper()
	s, err := start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, s.Run)
	var addrs []string
	for _, a := range s.Addrs() {
		addrs = append(addrs, a.String())
	}
	return addrs
}
