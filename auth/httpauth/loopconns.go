package httpauth

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// loopConns are kept-alive connections to an auth server without TLS whose address needs no lookup:
// tasks of event loops ask by them without a goroutine. Each loop has its own.
type loopConns struct {
	connect func() (wire.Descriptor, error)
	most    int // connections of a loop

	mu     sync.Mutex // protects what follows; nothing blocks under it
	loops  map[*loop.Loop]*loopPool
	closed bool
}

// loopPool has the connections of a loop.
type loopPool struct {
	idle    []*loopConn  // protected by loopConns.mu, since any goroutine may close them
	open    int          // connections, idle ones included
	waiting []*loop.Task // for one
}

// newLoopConns returns nil where tasks can't ask by themselves: net/http asks then. The bound on all
// connections is shared out among the loops; where it is too low for that, net/http keeps it.
func newLoopConns(t target, most int) *loopConns {
	c := &loopConns{most: most / max(1, runtime.GOMAXPROCS(0)-1), loops: map[*loop.Loop]*loopPool{}}
	if c.most == 0 {
		return nil
	}
	if t.socket != "" {
		c.connect = func() (wire.Descriptor, error) { return wire.ConnectUnix(t.socket) }
		return c
	}
	if t.url.Scheme != "http" {
		return nil
	}
	host := t.url.Host
	if t.url.Port() == "" {
		host += ":80"
	}
	to, err := netip.ParseAddrPort(host)
	if err != nil {
		return nil
	}
	c.connect = func() (wire.Descriptor, error) { return wire.Connect(to) }
	return c
}

// close closes the idle connections. Those that are in use, and later ones, are not kept.
func (c *loopConns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.loops {
		for _, conn := range p.idle {
			_ = conn.raw.Close()
			conn.loop.Post(loop.Func(conn.forget))
		}
		p.idle = nil
	}
}

// of returns the pool of a loop.
func (c *loopConns) of(l *loop.Loop) *loopPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.loops[l]
	if p == nil {
		p = &loopPool{}
		c.loops[l] = p
	}
	return p
}

// get returns an idle connection or a new one. It waits while there are as many as there may be.
func (c *loopConns) get(t *loop.Task, end time.Time) (*loopConn, error) {
	p := c.of(t.Loop())
	for {
		if conn := c.takeIdle(p); conn != nil {
			if wire.Unread(&conn.raw) { // closed, or an answer to no question, which the loop has still to report
				conn.end()
				continue
			}
			t.Loop().Stop(&conn.idleEnd)
			conn.holdBy(t, end)
			conn.used = true
			return conn, nil
		}
		if p.open < c.most {
			return c.dial(t, p, end)
		}
		if err := p.await(t, end); err != nil {
			return nil, err
		}
	}
}

// await waits for wakeNext. It may return earlier, so the task is in the list only as long as it waits; one that
// gives up passes its turn on.
func (p *loopPool) await(t *loop.Task, end time.Time) error {
	p.waiting = append(p.waiting, t)
	err := t.Pause(limitName, end)
	p.waiting = slices.DeleteFunc(p.waiting, func(x *loop.Task) bool { return x == t })
	if err != nil {
		p.wakeNext()
	}
	return err
}

func (c *loopConns) takeIdle(p *loopPool) *loopConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	conn := p.idle[last]
	p.idle = p.idle[:last]
	return conn
}

// dial makes a connection.
func (c *loopConns) dial(t *loop.Task, p *loopPool, end time.Time) (*loopConn, error) {
	socket, err := c.connect()
	if err != nil {
		p.wakeNext() // it need not wait
		return nil, err
	}
	conn := newLoopConn(c, p, t.Loop(), socket)
	p.open++
	connected := false
	defer func() {
		if !connected { // it failed, or there was a panic
			conn.end()
		}
	}()
	conn.holdBy(t, end)
	if err := t.Loop().Add(&conn.raw); err != nil {
		return nil, err
	}
	err = conn.raw.AwaitConnected()
	connected = err == nil
	return conn, err
}

// keep makes a connection idle. It reports whether it may be kept.
func (c *loopConns) keep(conn *loopConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	conn.pool.idle = append(conn.pool.idle, conn)
	return true
}

// drop takes an idle connection out; false when another has taken it.
func (c *loopConns) drop(conn *loopConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, x := range conn.pool.idle {
		if x == conn {
			conn.pool.idle = append(conn.pool.idle[:i], conn.pool.idle[i+1:]...)
			return true
		}
	}
	return false
}

// wakeNext lets the next task that waits look for a connection.
func (p *loopPool) wakeNext() {
	if len(p.waiting) > 0 {
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		next.Loop().Soon(next)
	}
}
