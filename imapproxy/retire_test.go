package imapproxy

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestRetire: no new client is let in; who is there goes on, whether logged in or
// not; the last one's end is the server's.
func TestRetire(t *testing.T) {
	r := newRig(t)
	logged, greeted := r.login("plain", "joe"), r.dial("plain")
	over := make(chan error, 1)
	go func() { over <- r.server.Retire(context.Background(), 100*time.Millisecond) }()
	r.await("no more listening", r.server.isClosing)
	if conn, err := net.Dial("tcp", r.address("plain")); err == nil {
		t.Error("a client is let in")
		_ = conn.Close()
	}
	greeted.send("a LOGIN joe %s", canary)
	greeted.expect("a OK .*")
	for i, c := range []*testClient{logged, greeted} {
		c.send("n NOOP")
		c.expect("n OK .*")
		select {
		case err := <-over:
			t.Fatalf("Retire returned %v before session %d ended", err, i)
		default:
		}
		c.send("l LOGOUT")
		c.expect(`\* BYE .*`)
		c.expect("l OK .*")
		c.expectEOF()
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if err := r.server.Serve(listen(t), "plain"); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve gives %v", err)
	}
}

// TestRetireServesTheQueue: whoever connects within the grace is served.
func TestRetireServesTheQueue(t *testing.T) {
	r := newRig(t)
	address := r.address("plain")
	r.dial("plain").close()
	over := make(chan error, 1)
	go func() { over <- r.server.Retire(context.Background(), 500*time.Millisecond) }()
	r.await("retiring", r.server.retiring.Load)
	var late []*testClient
	for range 20 {
		c := r.connectRaw("plain")
		c.expect(`\* OK .*`)
		late = append(late, c)
	}
	r.await("no more listening", r.server.isClosing)
	if conn, err := net.Dial("tcp", address); err == nil {
		t.Error("a client is let in")
		_ = conn.Close()
	}
	for _, c := range late {
		c.send("l LOGOUT")
		c.expect(`\* BYE .*`)
		c.expect("l OK .*")
		c.close()
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// TestDrainAfterRetire: what is left is drained as ever.
func TestDrainAfterRetire(t *testing.T) {
	r := newRig(t)
	logged, greeted := r.login("plain", "joe"), r.dial("plain")
	ctx, cancel := context.WithCancelCause(context.Background())
	over := make(chan error, 1)
	go func() { over <- r.server.Retire(ctx, time.Millisecond) }()
	r.await("no more listening", r.server.isClosing)
	cancel(errDirectory)
	if err := <-over; !errors.Is(err, errDirectory) {
		t.Errorf("Retire gives %v", err)
	}
	go func() { over <- r.server.Drain(context.Background()) }()
	logged.expectBye(byeShutdown)
	greeted.expectBye(byeShutdown)
	if err := <-over; err != nil {
		t.Error(err)
	}
}
