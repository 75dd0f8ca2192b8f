package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// byeShutdown is what clients of a proxy that is ending read.
const byeShutdown = "The server is shutting down"

// farewell is what a guest does while the proxy drains: one in a transfer waits
// until no new client can come, and goes on with it, slowly, to the end. Then comes BYE.
func (g *guest) farewell(closed <-chan struct{}) error {
	var err error
	pause := 80*time.Millisecond + rand.N(40*time.Millisecond) // not all at once
	if g.state == midAppend || g.state == midFetch {
		<-closed
	}
	switch g.state {
	case midAppend:
		err = g.finishAppend(20, pause)
	case midFetch:
		err = g.finishFetch(20, pause)
	}
	return errors.Join(err, g.bye(byeShutdown))
}

// whenRefused connects to the ports, once it is told to, until nothing listens
// there, and prints the time. It is a process of its own, because this one is
// too busy with its clients to measure anything.
const whenRefused = `
import socket, sys, time
print("ready", flush=True)
sys.stdin.readline()
for port in sys.argv[1:]:
    while True:
        with socket.socket() as s:
            try:
                s.connect(("127.0.0.1", int(port)))
            except ConnectionRefusedError:
                break
            except ConnectionError:
                pass
print(time.time_ns(), flush=True)
`

// watchPorts gives a function that waits until the proxy's ports refuse
// clients, and gives the time.
func (r *crowd) watchPorts(t *testing.T) func() time.Time {
	t.Helper()
	need(t, "python3")
	ctx, cancel := context.WithTimeout(context.Background(), guestLimit)
	cmd := exec.CommandContext(ctx, "python3", "-c", whenRefused, fmt.Sprint(r.PlainPort), fmt.Sprint(r.TLSPort))
	stdin, err := cmd.StdinPipe()
	try(t, "watcher", err)
	stdout, err := cmd.StdoutPipe()
	try(t, "watcher", err)
	try(t, "watcher", cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // an error when it has been waited for
	lines := bufio.NewReader(stdout)
	_, err = lines.ReadString('\n')
	try(t, "watcher", err)
	return func() time.Time {
		_, err := io.WriteString(stdin, "go\n")
		try(t, "watcher", err)
		text, err := lines.ReadString('\n')
		try(t, "watcher", errors.Join(err, cmd.Wait()))
		nanoseconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		try(t, "watcher", err)
		return time.Unix(0, nanoseconds)
	}
}

// TestDrain1000 stops the proxy under 1,000 sessions: 500 silent, 300 in IDLE,
// 100 that append slowly and 100 that fetch slowly. The transfers end after
// the listeners only: a proxy that drains first keeps the ports open for ever.
func TestDrain1000(t *testing.T) {
	t.Parallel()                            // most of it is waiting
	const users, limit = 5, 2 * time.Minute // more than a busy machine takes
	r := newCrowd(t, users, 2_000_000, fmt.Sprintf("drain_timeout = %q\nbye_timeout = \"10s\"", limit))
	p, _ := r.serve(t)
	began := time.Now()
	guests := r.arrivals(t, scaled(1000), func(i int) (mode, int, state) {
		return []mode{plain, plain, plain, startTLS, tlsFirst}[i%5], i / 5 % users, drainedState(i / 5 % 10)
	})
	r.settled(t)
	arrived := time.Since(began)
	r.midTransfer(t, guests)

	refused := r.watchPorts(t)
	over, closed := make(chan []error, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(closed) })
	defer release() // also when the ports stay open
	go func() { over <- all(len(guests), func(i int) error { return guests[i].farewell(closed) }) }()
	signalled := time.Now()
	try(t, "signal", p.cmd.Process.Signal(syscall.SIGTERM))
	closing := refused().Sub(signalled)
	release()
	p.ends(t, signalled, limit+time.Second)
	exited := time.Since(signalled)
	no(t, "clients", <-over)
	r.noSockets(t)
	noSessions(t, r.One, r.Two)
	p.ended(t, 0, guests, always("shutdown"))
	r.onlyWhole(t, len(guests)/10)
	t.Logf("%d sessions came within %v; listeners closed after %v, all drained after %v", len(guests), arrived, closing,
		exited)
}

// drainedState is the state of one in ten sessions.
func drainedState(i int) state {
	switch {
	case i < 5:
		return relayIdle
	case i < 8:
		return inIDLE
	case i < 9:
		return midAppend
	}
	return midFetch
}

// midTransfer checks that the proxy itself, and not only the client, has yet
// to move the rest of each literal.
func (r *crowd) midTransfer(t *testing.T, guests []*guest) {
	t.Helper()
	sessions, err := r.sessions()
	try(t, "sessions", err)
	transfers := 0
	for _, g := range guests {
		s, known := sessions[g.visit()]
		switch {
		case !known:
			t.Errorf("%v: the proxy has no such session", g)
		case g.state == midFetch && s.BytesOut < int64(len(g.big)), g.state == midAppend && s.BytesIn < halfLiteral:
			transfers++
		}
	}
	if want := len(guests) / 5; transfers != want {
		t.Errorf("%d sessions are in the middle of a literal, want %d", transfers, want)
	}
}

// all runs f for 0 to n-1, all at once, and gives the errors.
func all(n int, f func(i int) error) []error {
	results := make(chan error, n)
	for i := range n {
		go func() { results <- f(i) }()
	}
	var errs []error
	for range n {
		if err := <-results; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// ends waits for the proxy's end with exit code 0, so long after a moment.
func (p *process) ends(t *testing.T, since time.Time, limit time.Duration) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Until(since.Add(limit))):
		t.Fatalf("the proxy runs still, %v after the signal", limit)
	}
	if text := p.text(t); p.result != nil || strings.Contains(text, "DATA RACE") {
		t.Errorf("the proxy ended with %v, want exit code 0; it says:\n%s", p.result, text)
	}
}
