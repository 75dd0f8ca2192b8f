package exits

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
)

// storyResult is what one proxy leaves of one story's clients.
type storyResult struct {
	version   string // of the proxy
	accepted  int    // connections that the server saw
	closeWait stateCount
	after     time.Duration // from the clients' end to this count
}

func (r storyResult) String() string {
	if r.closeWait.Sockets == 0 {
		return fmt.Sprintf("none, %.1f s later", r.after.Seconds())
	}
	return fmt.Sprintf("%d, still %.0f s later", r.closeWait.Sockets, r.after.Seconds())
}

// runStory starts a server and a proxy, runs the clients, and counts until no socket is left, or its time is over.
// Nothing is left running.
func (o *runOptions) runStory(ctx context.Context, name string, story closeWaitStory) (r storyResult, err error) {
	ctx, cancel := context.WithCancel(ctx)
	server, err := rig.NewFastBackend(ctx, rig.BackendOptions{Listen: "127.0.0.1:0", IgnoreEOF: true})
	if err != nil {
		cancel()
		return r, err
	}
	var served error
	var serving sync.WaitGroup
	serving.Go(func() { served = server.Run(ctx) })
	defer func() { cancel(); serving.Wait(); err = errors.Join(err, served) }()

	addr, err := netip.ParseAddrPort(server.Addrs()[0].String())
	if err != nil {
		return r, err
	}
	proxy, err := o.startProxy(ctx, name, addr, netip.Addr{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	r.version = proxy.Version
	if err := o.comeAndGo(proxy.Addr, server, story); err != nil {
		return r, err
	}
	r.accepted = server.Accepted()
	return r, r.watch(ctx, addr, watchOf(name))
}

// comeAndGo opens all of a story's clients, then ends them.
func (o *runOptions) comeAndGo(proxy netip.AddrPort, server *rig.FastBackend, story closeWaitStory) error {
	way := endingOf(cell{Ending: story.ending})
	clients := make([]*client, o.sessions)
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for i := range clients {
		c := o.newClient(i + 1)
		if way.password != "" {
			c.password = way.password
		}
		clients[i] = c
		group.Go(func() error {
			if err := c.connect(dialTCP, proxy.String(), netip.Addr{}, false); err != nil {
				return err
			}
			return way.open(c)
		})
	}
	err := group.Wait()
	if story.hangs {
		server.Hang()
	}
	for _, c := range clients {
		if c.conn != nil {
			err = errors.Join(err, way.end(c))
		}
	}
	return err
}

// watchOf is how long a proxy's sockets are watched. Ours are gone long before, whatever else the machine does.
func watchOf(name string) time.Duration {
	if name == rig.OwnProxy {
		return 20 * time.Second
	}
	return 3 * time.Second
}

// watch counts the server's sockets until none is left, or the time is over.
func (r *storyResult) watch(ctx context.Context, server netip.AddrPort, limit time.Duration) error {
	began := time.Now()
	for {
		entries, err := wire.ReadTable("/proc/self/net")
		if err != nil {
			return err
		}
		found := states{}
		for _, e := range entries {
			if e.Local == server && lingering(e.State) {
				found.add(e)
			}
		}
		r.closeWait, r.after = found[wire.StateCloseWait], time.Since(began)
		if len(found) == 0 || r.after >= limit {
			return nil
		}
		if err := rig.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
