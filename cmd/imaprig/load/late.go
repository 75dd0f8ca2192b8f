package load

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"
)

// lateLimit is how long a client waits for its greeting before it counts as waiting.
const lateLimit = 2 * time.Second

// lateClients are clients that connect before and at a proxy's descriptor limit, and what they got. They do not log in.
type lateClients struct {
	target Target

	mu                            sync.Mutex // protects what follows
	served, bye, waiting, refused int
	conns                         []net.Conn // kept open, so that the proxy has them to deal with
}

// fill connects clients until one gets no greeting, or all have one.
func (s *scaleRun) fill(ctx context.Context, most int) *lateClients {
	t := s.target
	k := &lateClients{target: Target{Addr: t.Addr, TLS: t.TLS, config: t.config, sources: t.sources, Limit: lateLimit}}
	k.target.keep = k.keep
	inParallel(ctx, most, func(int) {
		if k.unserved() == 0 {
			k.one()
			s.progress.Say("towards the descriptor limit: %d clients more", k.servedCount())
		}
	})
	return k
}

// connect connects the clients that are counted. What became of those that filled is not.
func (k *lateClients) connect() {
	k.bye, k.waiting, k.refused = 0, 0, 0
	inParallel(context.Background(), scaleLate, func(int) { k.one() })
}

// one connects a client and waits for its greeting.
func (k *lateClients) one() {
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

func (k *lateClients) keep(conn net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = append(k.conns, conn)
}

func (k *lateClients) servedCount() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.served
}

// unserved returns how many got no session.
func (k *lateClients) unserved() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bye + k.waiting + k.refused
}

func (k *lateClients) close() {
	for _, conn := range k.conns {
		_ = conn.Close() // they have said nothing that could be lost
	}
}
