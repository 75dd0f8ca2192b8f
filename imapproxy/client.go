package imapproxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"imapproxy/auth"
	"imapproxy/backend/lines"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// client is the client's socket: the raw connection, TLS over it once there
// is some, and the bytes that were read but not yet used.
type client struct {
	raw    wire.Wire
	wire   clientWire
	conn   net.Conn // &wire, or TLS over it
	remote bool     // a balancer on another machine is in front

	onUnix   bool // it came by a Unix socket, and no PROXY header names another
	frontTLS bool // the balancer in front has ended the client's TLS

	in     *lines.Reader // nil in the relay
	tls    *tls.Conn     // nil without TLS
	verify string        // what came of the client's certificate; "" when none is asked for

	proxied  *auth.Proxied // what the PROXY header says; nil without one
	believed bool          // that
}

func (c *client) init(socket wire.Descriptor) {
	c.raw.Init(socket)
	c.wire.Wire = &c.raw
	c.conn = &c.wire
	c.in = &lines.Reader{Src: c}
	c.onUnix = c.raw.IsUnix()
}

// addr returns the client's address: the peer, or whom a PROXY header names; not valid for a Unix socket.
func (c *client) addr() netip.AddrPort {
	if c.believed {
		return c.proxied.Client
	}
	return c.raw.Remote()
}

// local returns what the client has connected to; not valid for a Unix socket.
func (c *client) local() netip.AddrPort {
	if c.believed {
		return c.proxied.Server
	}
	return c.raw.Local()
}

// secure reports whether the client has TLS, to us or to a balancer in front that
// we trust.
func (c *client) secure() bool { return c.tls != nil || c.frontTLS }

// isLocal reports whether what is said stays on this machine. A PROXY header can
// take that away, not give it.
func (c *client) isLocal() bool {
	return (c.addr().Addr().IsLoopback() || c.onUnix) && !c.remote
}

// Read reads what the client sends. crypto/tls returns io.EOF for a connection
// that was cut between two records; the wire knows better.
func (c *client) Read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	if c.tls != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && c.wire.eof.Load() {
		err = errTLSCut
	}
	return n, err
}

// startTLS makes the connection a TLS one. Nothing that was said before it
// survives (RFC 9051 section 6.2.1). The login's limit bounds it. It begins in the loop; what
// takes long happens outside if the configuration says so (loop.Leave).
func (c *client) startTLS(task *loop.Task, cfg *tls.Config) error {
	t := tls.Server(&c.wire, cfg)
	c.in = &lines.Reader{Src: c}
	defer task.Return()
	if err := t.HandshakeContext(task.Endless()); err != nil {
		return err
	}
	c.conn, c.tls = t, t
	return nil
}

// state returns what TLS has agreed on, nil without TLS. It is not kept: few sessions need it after their login.
func (c *client) state() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// releaseBuffers gives back what TLS has read into, unless something is left in it, and reports whether it has.
func (c *client) releaseBuffers() bool { return c.tls == nil || wire.ReleaseTLSBuffers(c.tls) }

// clientWire is the raw socket as TLS sees it: it notes the FIN, and it leaves
// limits to the session, since crypto/tls would move them to 5 s for its own
// last alert.
type clientWire struct {
	*wire.Wire
	eof atomic.Bool
}

func (*clientWire) SetDeadline(time.Time) error      { return nil }
func (*clientWire) SetReadDeadline(time.Time) error  { return nil }
func (*clientWire) SetWriteDeadline(time.Time) error { return nil }

func (w *clientWire) Read(p []byte) (int, error) {
	n, err := w.Wire.Read(p)
	if errors.Is(err, io.EOF) {
		w.eof.Store(true)
	}
	return n, err
}

// tlsVersion is for the log, "" without TLS.
func (c *client) tlsVersion() string {
	switch {
	case c.tls != nil:
		return tls.VersionName(c.state().Version)
	case c.frontTLS:
		return "balancer"
	}
	return ""
}
