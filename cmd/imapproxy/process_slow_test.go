package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowKind is a client that holds a connection and never logs in: what it says
// first, what it says again and again, and whether it reads the answers.
type slowKind struct {
	name         string
	first, again string
	tls, deaf    bool
}

func slowKinds() []slowKind {
	return []slowKind{
		{name: "silent"},
		{name: "drip of one byte", again: "a"},
		{name: "NOOPs", again: "a NOOP\r\n"},
		{name: "open literal", first: "a LOGIN {8000+}\r\n", again: "x"},
		{name: "huge tag", first: strings.Repeat("t", 8000)},
		{name: "deep parentheses", first: "a ID " + strings.Repeat("(", 8000), again: "("},
		{name: "large ID", first: `a ID ("x" "` + strings.Repeat("v", 32000), again: "v"},
		{name: "open SASL exchange", first: "a AUTHENTICATE LOGIN\r\n", again: "A"},
		{name: "half a TLS handshake", first: "\x16\x03\x01\x02\x00\x01", again: "\x00", tls: true},
		{name: "bad logins", again: "a LOGIN joe wrong\r\n"},
		{name: "never reads", again: strings.Repeat("a CAPABILITY\r\n", 1000), deaf: true},
	}
}

const (
	slowOfEach = 100
	slowLimit  = 15 * time.Second      // login_timeout: all are there for a while, on a busy machine too
	slowGrowth = 48 << 20              // of all kinds, so that 100 of one stay below 32 MiB
	slowOthers = 50 * time.Millisecond // more than ten times the usual greeting
)

// TestSlowClients holds 100 connections of each kind at once: the memory stays
// bounded, other clients are greeted as fast as ever, and each connection ends at
// the login limit, which counts from accept and which no traffic extends.
func TestSlowClients(t *testing.T) {
	notQuick(t)
	r := strangers(t, fmt.Sprintf("login_timeout = %q\nbye_timeout = \"500ms\"\nfailed_logins = 100\n", slowLimit),
		"joe:{SSHA}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
	p, before := r.launch(t, r.plainProgram(t), 2)
	usual := r.series(t)
	memory := p.resident(t)
	var clients, arriving sync.WaitGroup
	errs := make(chan error, slowOfEach*len(slowKinds()))
	arriving.Add(slowOfEach * len(slowKinds()))
	for range slowOfEach {
		for _, k := range slowKinds() {
			clients.Go(func() {
				if err := k.hold(r, &arriving); err != nil {
					errs <- fmt.Errorf("%s: %w", k.name, err)
				}
			})
		}
	}
	eventually(t, "slow clients", func() (bool, string) {
		n := count(p.descriptors(t), "socket:") - count(before, "socket:")
		return n == slowOfEach*len(slowKinds()), fmt.Sprint(n, " connections")
	})
	waits := r.greetings(t)
	growth := p.resident(t) - memory
	for end := time.Now().Add(slowLimit / 2); growth > slowGrowth && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond) // the collector of garbage may be late
		growth = min(growth, p.resident(t)-memory)
	}
	clients.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	no(t, "ends of slow clients", all)
	t.Logf("growth %d KiB; another client's greeting: median %v, p99 %v; before %v, %v", growth>>10, waits[50],
		waits[98], usual[50], usual[98])
	if growth > slowGrowth {
		t.Errorf("the memory grew by %d bytes, %d at most", growth, slowGrowth)
	}
	if most := 10*usual[50] + slowOthers; waits[50] > most {
		t.Errorf("another client's greeting takes %v, and %v before; %v at most", waits[50], usual[50], most)
	}
	p.endAtLimit(t, slowOfEach*len(slowKinds()))
	eventually(t, "descriptors of the proxy", func() (bool, string) {
		now := p.descriptors(t)
		return slices.Equal(now, before), fmt.Sprintf("%q, before they were %q", now, before)
	})
}

// endAtLimit looks at how long the sessions were that ran into the limit, by
// the proxy's clock: the client's side of a busy machine may learn of it late.
func (p *process) endAtLimit(t *testing.T, want int) {
	t.Helper()
	eventually(t, "ends in the log", func() (bool, string) { // a line comes a moment after its connection's end
		n := strings.Count(p.text(t), `"reason":"login_timeout"`)
		return n == want, fmt.Sprintf("%d at the login limit, want %d", n, want)
	})
	for text := range strings.Lines(p.text(t)) {
		var l struct {
			Reason   string
			Duration int64 `json:"duration_ms"`
		}
		if json.Unmarshal([]byte(text), &l) != nil || l.Reason != "login_timeout" {
			continue
		}
		// Traffic that began the time anew would make it twice as long.
		if took := time.Duration(l.Duration) * time.Millisecond; took < slowLimit || took > slowLimit*3/2 {
			t.Errorf("it ended %v after accept, want %v: %s", took, slowLimit, text)
		}
	}
}

// greetings are the times of a hundred greetings, the shortest first: of three
// such series the quickest, since the machine may be busy with other things.
func (r *rig) greetings(t *testing.T) []time.Duration {
	t.Helper()
	best := r.series(t)
	for range 2 {
		if s := r.series(t); s[50] < best[50] {
			best = s
		}
	}
	return best
}

func (r *rig) series(t *testing.T) []time.Duration {
	t.Helper()
	var waits []time.Duration
	for range 100 {
		begun := time.Now()
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.PlainPort))
		try(t, "another client", err)
		try(t, "another client", awaitGreeting(c))
		waits = append(waits, time.Since(begun))
		try(t, "another client", c.Close())
	}
	slices.Sort(waits)
	return waits
}

// hold is a slow client's life, to the end of its connection.
// It says nothing before all have arrived: what they say keeps a machine busy.
func (k slowKind) hold(r *rig, arriving *sync.WaitGroup) error {
	port := r.PlainPort
	if k.tls {
		port = r.TLSPort
	}
	begun := time.Now()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	arriving.Done()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	arriving.Wait()
	if !k.tls { // what comes ahead of the greeting is as good, but this is what clients do
		if err := awaitGreeting(c); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(c, k.first); err != nil {
		return err
	}
	for k.alive(c) {
		if time.Since(begun) > slowLimit+guestLimit {
			return errors.New("it does not end")
		}
	}
	if took := time.Since(begun); took < slowLimit {
		return fmt.Errorf("it ended after %v, want %v", took, slowLimit)
	}
	return nil
}

// alive says the next bit and looks for half a second whether the connection
// has ended. One that does not read learns of it by its writes.
func (k slowKind) alive(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if k.deaf {
		_, err := io.WriteString(c, k.again)
		return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
	}
	_, err := io.WriteString(c, k.again)
	if err == nil {
		_, err = io.Copy(io.Discard, c)
	}
	return errors.Is(err, os.ErrDeadlineExceeded)
}
