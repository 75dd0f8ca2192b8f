package main

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// appendKill is a way for a session to be killed in the middle of an APPEND.
type appendKill struct {
	name   string
	strike func(r *crowd, g *guest) error
}

func appendKills() []appendKill {
	return []appendKill{
		{"close", func(_ *crowd, g *guest) error { return g.close() }},
		{"reset", func(_ *crowd, g *guest) error { return g.reset() }},
		{"death", func(_ *crowd, g *guest) error { return g.die() }},
		{"half-close", func(_ *crowd, g *guest) error { return errors.Join(g.halfClose(), g.gone()) }},
		{"kicked by the proxy", func(r *crowd, g *guest) error { return errors.Join(r.kick(g), g.gone()) }},
		{"kicked by Dovecot", func(_ *crowd, g *guest) error { return errors.Join(g.kickedByDovecot(), g.gone()) }},
		{"Dovecot's process killed", func(_ *crowd, g *guest) error { return errors.Join(g.losesBackend(), g.gone()) }},
	}
}

// appendSizes are how many bytes of a letter are sent. One of them lacks just
// as much as a LOGOUT by mistake would add: that letter would be stored.
func appendSizes() []int {
	return []int{0, 1000, halfLiteral / 2, halfLiteral - len("X9 LOGOUT"), halfLiteral - 1}
}

// gone reads whatever comes up to the end of the connection, and closes.
func (g *guest) gone() error {
	_, err := io.Copy(io.Discard, g.in)
	_ = g.conn.Close()
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return g.trouble("wants the end: %w", err)
	}
	return nil
}

// beginAppend announces a letter and sends so many bytes of it, by turns with
// a literal that the server has to ask for and one that it has not.
func (g *guest) beginAppend(i, bytes int) error {
	g.state = midAppend
	if i%2 == 0 {
		return g.send(fmt.Sprintf("p APPEND INBOX {%d+}\r\n%s", halfLiteral, letter(halfLiteral)[:bytes]))
	}
	if err := g.say(fmt.Sprintf("p APPEND INBOX {%d}", halfLiteral), "+"); err != nil {
		return err
	}
	return g.send(string(letter(halfLiteral)[:bytes]))
}

// TestKillsMidAppend kills 500 sessions within the literal of an APPEND, in
// every way there is and several at a time. No mailbox keeps a part of a
// message, and no LOGOUT has got into one.
func TestKillsMidAppend(t *testing.T) {
	t.Parallel() // most of it is waiting
	const workers = 15
	one, crowded := scaled(420), scaled(40)
	r := newCrowd(t, workers, 100, `kick_timeout = "100ms"`)
	p, before := r.serve(t)
	began := time.Now()
	stored := r.killOneByOne(t, workers, one)
	noSessions(t, r.One, r.Two)
	r.nothingLeft(t, p, before)
	r.onlyWhole(t, stored)
	t.Logf("%d sessions were killed, and %d letters stored whole, within %v", one, stored, time.Since(began))

	r.killWithProxy(t, p, crowded, func(p *process) { p.kill(t) })
	p, _ = r.serve(t)
	r.killWithProxy(t, p, crowded, func(p *process) {
		try(t, "first signal", p.cmd.Process.Signal(syscall.SIGTERM))
		eventually(t, "drain", func() (bool, string) { return !greets(r.PlainPort), "the proxy still listens" })
		p.stop(t, syscall.SIGTERM, 10*time.Second)
	})
	noSessions(t, r.One, r.Two)
	r.noSockets(t)
	r.onlyWhole(t, stored)
	r.lettersByIMAP(t, workers, stored)
}

// killOneByOne has workers kill so many sessions; each has users of its own,
// since a Dovecot kicks by user. Now and then a letter goes through whole: the
// number of them is given.
func (r *crowd) killOneByOne(t *testing.T, workers, number int) int {
	t.Helper()
	ways, sizes := appendKills(), appendSizes()
	var stored atomic.Int64
	no(t, "kills", together(workers, func(worker int) error {
		for i := worker; i < number; i += workers {
			round := i / workers
			g, err := r.arrive(modes()[round%3], worker)
			if err != nil {
				return err
			}
			if err := g.beginAppend(round/2, sizes[i%len(sizes)]); err != nil {
				return err
			}
			way := ways[(round+worker)%len(ways)]
			if err := way.strike(r, g); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			if round%7 == 0 {
				if err := r.storeWhole(modes()[round%3], worker); err != nil {
					return err
				}
				stored.Add(1)
			}
		}
		return nil
	}))
	return int(stored.Load())
}

// storeWhole appends a letter and logs out.
func (r *crowd) storeWhole(m mode, n int) error {
	g, err := r.arrive(m, n)
	if err != nil {
		return err
	}
	if err := g.beginAppend(1, halfLiteral/2); err != nil {
		return err
	}
	if err := g.finishAppend(1, 0); err != nil {
		return err
	}
	return g.leave()
}

// killWithProxy ends the proxy under so many sessions.
func (r *crowd) killWithProxy(t *testing.T, p *process, number int, end func(*process)) {
	t.Helper()
	guests, sizes := make([]*guest, number), appendSizes()
	no(t, "arrivals", together(number, func(i int) error {
		g, err := r.arrive(modes()[i%3], i%5)
		if err != nil {
			return err
		}
		guests[i] = g
		return g.beginAppend(i, sizes[i%len(sizes)])
	}))
	over := make(chan []error, 1)
	go func() { over <- together(number, func(i int) error { return guests[i].gone() }) }()
	end(p)
	no(t, "clients", <-over)
}

// lettersByIMAP counts the letters again, as the Dovecots give them.
func (r *crowd) lettersByIMAP(t *testing.T, users, want int) {
	t.Helper()
	found := 0
	for n := range users {
		for _, m := range modes() {
			found += lettersOf(t, r.account(m, n))
		}
	}
	if found != want {
		t.Errorf("the Dovecots give %d letters, want %d", found, want)
	}
}
