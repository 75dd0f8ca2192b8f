package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// maxResolved is how many addresses of one name are tried.
const maxResolved = 4

// connect makes the TCP connection, to each address that the name has until one answers, or
// the one to a Unix socket, all within one limit.
func (c *Conn) connect(ctx context.Context) error {
	fault.Point("dial.connect")
	limit := c.Target.Limits.Connect
	end := c.dialer.Clock.Now().Add(limit)
	if path, isUnix := strings.CutPrefix(c.Addr, wire.UnixPrefix); isUnix {
		return c.connectUnix(ctx, path, end)
	}
	addrs, err := c.dialer.resolve(ctx, c.Addr, limit)
	if err != nil {
		return err
	}
	share := limit / time.Duration(len(addrs)) // a silent one must not use up the time of the next
	for _, a := range addrs {
		left := min(share, end.Sub(c.dialer.Clock.Now()))
		if err = c.connectTo(ctx, left, func() (wire.Descriptor, error) { return wire.Connect(a) }); err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

// connectTo makes one connection.
func (c *Conn) connectTo(ctx context.Context, limit time.Duration, begin func() (wire.Descriptor, error)) error {
	if limit <= 0 {
		return errLimit
	}
	socket, err := begin()
	if err != nil {
		return err
	}
	c.raw.Init(socket)
	connected := false
	defer func() {
		if !connected { // it failed, or there was a panic
			c.rest(ctx)
			_ = c.raw.Close()
		}
	}()
	if err := c.hold(ctx); err != nil {
		return err
	}
	err = c.during(ctx, "backend_connect", limit, c.raw.AwaitConnected)
	connected = err == nil
	return err
}

// fullQueuePause is how long a Unix socket with a full queue is not tried.
const fullQueuePause = 10 * time.Millisecond

// connectUnix connects to a Unix socket. When its queue is full the kernel says
// so at once, where TCP would try again by itself.
func (c *Conn) connectUnix(ctx context.Context, path string, end time.Time) error {
	for {
		err := c.connectTo(ctx, end.Sub(c.dialer.Clock.Now()), func() (wire.Descriptor, error) {
			return wire.ConnectUnix(path)
		})
		if !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		if err := loop.Of(ctx).Sleep("unix_queue", fullQueuePause); err != nil {
			return err
		}
	}
}

// resolve returns the addresses to try, at least one. The resolver runs outside the loop.
func (d *Dialer) resolve(ctx context.Context, addr string, limit time.Duration) ([]netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(addr); err == nil {
		return []netip.AddrPort{at}, nil
	}
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	var found []netip.Addr
	var port int
	err = loop.Outside(ctx, func(ctx context.Context) (err error) {
		ctx, free := timing.Within(ctx, d.Clock, "backend_connect", limit, errLimit)
		defer free()
		resolve := d.Resolve
		if resolve == nil {
			resolve = net.DefaultResolver.LookupNetIP
		}
		if port, err = net.DefaultResolver.LookupPort(ctx, "tcp", service); err == nil {
			found, err = resolve(ctx, "ip", host)
		}
		if err != nil && errors.Is(context.Cause(ctx), errLimit) {
			err = errLimit
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errLimit):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNoAddress, err)
	case len(found) == 0:
		return nil, errNoAddress
	}
	var addrs []netip.AddrPort
	for _, a := range found[:min(len(found), maxResolved)] {
		addrs = append(addrs, netip.AddrPortFrom(a.Unmap(), uint16(port)))
	}
	return addrs, nil
}
