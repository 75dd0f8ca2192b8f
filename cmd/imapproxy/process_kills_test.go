package main

import (
	"sync"
	"syscall"
	"testing"
	"time"
)

// kill is a way for sessions to lose their client or their backend.
type kill struct {
	name   string
	strike func(r *crowd, g *guest) error
	reason func(g *guest) string // what the log has to say
	sees   func(g *guest) error  // what the client reads; nil when it is gone
}

func always(reason string) func(*guest) string { return func(*guest) string { return reason } }

// byLiteral gives the one reason in the middle of a message from the
// backend, where a client that closes leaves unread bytes and so resets, and
// the other elsewhere.
func byLiteral(inside, outside string) func(*guest) string {
	return func(g *guest) string {
		if g.state == midFetch {
			return inside
		}
		return outside
	}
}

// afterLoss is what a client reads that has lost its backend: BYE, but a reset
// in the middle of a message.
func afterLoss(words string) func(*guest) error {
	return func(g *guest) error {
		if g.state == midFetch {
			return g.cutShort()
		}
		return g.bye(words)
	}
}

func kills() []kill {
	clientClosed := byLiteral("client_aborted", "client_closed")
	return []kill{
		{"client closes", func(_ *crowd, g *guest) error { return g.close() }, clientClosed, nil},
		{"client resets", func(_ *crowd, g *guest) error { return g.reset() }, always("client_aborted"), nil},
		{"client is killed", func(_ *crowd, g *guest) error { return g.die() }, func(g *guest) string {
			if g.mode != plain {
				return "client_aborted" // there was no close_notify
			}
			return clientClosed(g)
		}, nil},
		{"client half-closes", func(_ *crowd, g *guest) error { return g.halfClose() }, always("client_closed"),
			func(g *guest) error {
				if g.state == midFetch {
					if err := g.finishFetch(1, 0); err != nil {
						return err
					}
				}
				return g.end()
			}},
		{"Dovecot kicks", func(_ *crowd, g *guest) error { return g.kickedByDovecot() }, always("backend_closed"),
			func(g *guest) error {
				if g.state == midFetch {
					return g.cutShortAfter("* BYE Server shutting down.\r\n") // Dovecot says it within the literal
				}
				return g.bye("Server shutting down")
			}},
		{"Dovecot's process is killed", func(_ *crowd, g *guest) error { return g.losesBackend() },
			always("backend_closed"), afterLoss("The mail server closed the connection")},
		{"the proxy kicks", kickedByProxy, always("kicked"), afterLoss("Disconnected by an administrator")},
	}
}

// kickedByProxy ends the guest's session by the proxy's administrator. A guest
// within a message reads on when that has happened: it would come to the end
// otherwise.
func kickedByProxy(r *crowd, g *guest) error {
	if err := r.kick(g); err != nil || g.state != midFetch {
		return err
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		all, err := r.sessions()
		if _, there := all[g.visit()]; err != nil || !there {
			return err
		}
	}
	return g.trouble("the session goes on after the kick")
}

// beyondBuffers is more than all the kernel's buffers between a backend and a
// client that does not read take: the backend stays within the message.
const beyondBuffers = 10_000_000

// inEveryState brings one guest for each mode into each state; each is
// another user.
func (r *crowd) inEveryState(t *testing.T) []*guest {
	t.Helper()
	all := states()
	guests := r.arrivals(t, len(modes())*len(all), func(i int) (mode, int, state) {
		s := i % len(all)
		return modes()[i/len(all)], s, all[s]
	})
	r.settled(t)
	return guests
}

// TestProcessKills kills clients, and backends under them, in each state and
// mode: both sockets go, the log says why, and no client reads half a message as
// if it were whole.
func TestProcessKills(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newCrowd(t, len(states()), beyondBuffers, `kick_timeout = "100ms"`)
	p, before := r.serve(t)
	for _, k := range kills() {
		t.Run(k.name, func(t *testing.T) {
			from := p.written(t)
			guests := r.inEveryState(t)
			for _, g := range guests {
				try(t, k.name, k.strike(r, g))
			}
			r.parted(t, p, before, from, guests, k)
		})
	}
	t.Run("Dovecot stops", func(t *testing.T) { r.dovecotStops(t, p) })
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// dovecotStops stops both Dovecots. A process that is within a message goes on
// as long as the client reads; whether it comes to the end is none of ours.
func (r *crowd) dovecotStops(t *testing.T, p *process) {
	from := p.written(t)
	guests := r.inEveryState(t)
	var both sync.WaitGroup
	both.Go(r.One.Stop)
	both.Go(r.Two.Stop)
	no(t, "clients", together(len(guests), func(i int) error {
		if guests[i].state == midFetch {
			return guests[i].wholeOrCut("* BYE Server shutting down.\r\n")
		}
		return guests[i].bye("Server shutting down")
	}))
	both.Wait()
	p.ended(t, from, guests, always("backend_closed"))
	r.noSockets(t)
}

// parted checks what a kill has left.
func (r *crowd) parted(t *testing.T, p *process, before []string, from int, guests []*guest, k kill) {
	t.Helper()
	if k.sees != nil {
		no(t, "clients", together(len(guests), func(i int) error { return k.sees(guests[i]) }))
	}
	p.ended(t, from, guests, k.reason)
	r.nothingLeft(t, p, before)
	r.onlyWhole(t, 0)
}

// TestProxyKilled kills the proxy under sessions in each state: the backend's
// end by themselves.
func TestProxyKilled(t *testing.T) {
	r := newCrowd(t, len(states()), beyondBuffers, "")
	p, _ := r.serve(t)
	guests := r.inEveryState(t)
	for _, d := range []*dovecot{r.One, r.Two} {
		if len(d.Who(t)) == 0 {
			t.Errorf("nobody is logged in at Dovecot %s: the test shows nothing", d.Name)
		}
	}
	p.kill(t)
	for _, g := range guests {
		_ = g.reset()
	}
	noSessions(t, r.One, r.Two)
	r.noSockets(t)
	r.onlyWhole(t, 0)
}
