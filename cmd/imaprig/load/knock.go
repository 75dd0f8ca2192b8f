package load

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"
)

// knockLimit is how long a client waits for its greeting before it is said to wait.
const knockLimit = 2 * time.Second

// knocks are clients that come before and at a proxy's descriptor limit, and what they got. They do not log in.
type knocks struct {
	target Target

	mu                            sync.Mutex // protects what follows
	served, bye, waiting, refused int
	conns                         []net.Conn // kept open, so that the proxy has them to deal with
}

// fill connects clients until one gets no greeting, or all have one.
func (s *scaleRun) fill(ctx context.Context, most int) *knocks {
	t := s.target
	k := &knocks{target: Target{Addr: t.Addr, TLS: t.TLS, config: t.config, sources: t.sources, Limit: knockLimit}}
	k.target.keep = k.keep
	inParallel(ctx, most, func(int) {
		if k.turned() == 0 {
			k.one()
			s.progress.Say("towards the descriptor limit: %d clients more", k.inside())
		}
	})
	return k
}

// knock connects the clients that are counted. What became of those that filled is not.
func (k *knocks) knock() {
	k.bye, k.waiting, k.refused = 0, 0, 0
	inParallel(context.Background(), scaleKnocks, func(int) { k.one() })
}

// one runs a client that waits for its greeting.
func (k *knocks) one() {
	c, err := k.target.Dial()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		k.served++
		k.conns = append(k.conns, c.conn)
	case strings.HasPrefix(causeOf(err), "BYE"):
		k.bye++
	case causeOf(err) == "no answer in time":
		k.waiting++
	default:
		k.refused++
	}
}

func (k *knocks) keep(conn net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = append(k.conns, conn)
}

func (k *knocks) inside() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.served
}

// turned counts those that got no session.
func (k *knocks) turned() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bye + k.waiting + k.refused
}

func (k *knocks) close() {
	for _, conn := range k.conns {
		_ = conn.Close() // they have said nothing that could be lost
	}
}
