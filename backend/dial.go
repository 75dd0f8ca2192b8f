package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pires/go-proxyproto"
)

// Origin is what a backend may be told of the client.
type Origin struct {
	Client    netip.AddrPort
	Local     netip.AddrPort // the address the client connected to
	SessionID string
	TTL       int // proxies that may still follow; 0 ends a loop
}

// Dialer opens backend connections. It is safe for concurrent use.
type Dialer struct {
	Clock   Clock
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil is the system's resolver
}

// Dial connects to a target and brings the connection to where a login may be
// sent: PROXY header, TLS, greeting, STARTTLS and capabilities. The next
// address is tried when one can't be reached. The error is an *Error; no
// socket is left behind it.
func (d *Dialer) Dial(ctx context.Context, t *Target, o Origin) (*Conn, error) {
	if o.TTL <= 0 {
		return nil, &Error{KindLoop, t.Name, "connect", errors.New("x-proxy-ttl is used up: proxies appear to be looping")}
	}
	var failed error
	for _, addr := range t.Addresses {
		c, err := d.dialOne(ctx, t, addr, o)
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil {
		failed = &Error{KindConfig, t.Name, "connect", errors.New("the target has no address")}
	}
	return nil, failed
}

func (d *Dialer) dialOne(ctx context.Context, t *Target, addr string, o Origin) (*Conn, error) {
	raw, err := d.connect(ctx, t, addr)
	if err != nil {
		return nil, wrap(ctx, addr, "connect", err)
	}
	c := &Conn{Target: t, Addr: addr, raw: raw, conn: raw, clock: d.Clock}
	c.in.src = source{c}
	if phase, err := c.prepare(ctx, o); err != nil {
		c.End()
		return nil, wrap(ctx, addr, phase, err)
	}
	return c, nil
}

// connect makes the TCP connection, to each address that the name has until
// one answers, all within one limit.
func (d *Dialer) connect(ctx context.Context, t *Target, addr string) (*net.TCPConn, error) {
	ctx, free := Within(ctx, d.Clock, t.Limits.Connect, errLimit)
	defer free()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs := []string{addr}
	if _, err := netip.ParseAddr(host); err != nil && d.Resolve != nil {
		found, err := d.Resolve(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		addrs = addrs[:0]
		for _, a := range found {
			addrs = append(addrs, net.JoinHostPort(a.String(), port))
		}
	}
	var nd net.Dialer
	for _, a := range addrs {
		conn, e := nd.DialContext(ctx, "tcp", a)
		if e == nil {
			return conn.(*net.TCPConn), nil
		}
		err = e
	}
	if errors.Is(context.Cause(ctx), errLimit) {
		err = errLimit
	}
	return nil, err
}

// prepare runs the phases between connect and login, and names the one that
// failed.
func (c *Conn) prepare(ctx context.Context, o Origin) (string, error) {
	t := c.Target
	if err := c.sendHeader(ctx, o); err != nil {
		return "header", err
	}
	if t.TLS == TLSImplicit {
		if err := c.startTLS(ctx); err != nil {
			return "tls", err
		}
	}
	if err := c.greeting(ctx); err != nil {
		return "greeting", err
	}
	if t.TLS == TLSStartTLS {
		if err := c.during(ctx, t.Limits.Login, c.askSTARTTLS); err != nil {
			return "starttls", err
		}
		if err := c.startTLS(ctx); err != nil {
			return "tls", err
		}
	}
	if !c.caps.known() {
		if err := c.during(ctx, t.Limits.Login, c.askCapability); err != nil {
			return "capability", err
		}
	}
	return "", nil
}

// sendHeader puts the PROXY protocol header in front of everything.
func (c *Conn) sendHeader(ctx context.Context, o Origin) error {
	if c.Target.Header == ProxyNone {
		return nil
	}
	version := byte(1)
	if c.Target.Header == ProxyV2 {
		version = 2
	}
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(o.Client), net.TCPAddrFromAddrPort(o.Local))
	b, err := h.Format()
	if err != nil {
		return err
	}
	return c.during(ctx, c.Target.Limits.Greeting, func() error {
		_, err := c.raw.Write(b)
		return err
	})
}

// startTLS wraps the connection. What was learnt without TLS is forgotten
// (RFC 9051 section 6.2.1).
func (c *Conn) startTLS(ctx context.Context) error {
	if c.in.buffered() > 0 {
		return errors.New("bytes behind the answer to STARTTLS")
	}
	cfg := c.Target.TLSConfig.Clone()
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return err
		}
		cfg.ServerName = host
	}
	c.inStep = false
	tc := tls.Client(c.raw, cfg)
	if err := c.during(ctx, c.Target.Limits.TLS, tc.Handshake); err != nil {
		return err
	}
	c.conn = tc
	c.caps.forget()
	c.inStep = c.Target.TLS == TLSStartTLS
	return nil
}

func (c *Conn) greeting(ctx context.Context) error {
	return c.during(ctx, c.Target.Limits.Greeting, func() error {
		r, err := c.in.response()
		if err != nil {
			return err
		}
		switch {
		case r.tag != "*":
			return errJunk
		case r.word == "PREAUTH":
			return errors.New("PREAUTH: logged in before anybody said who")
		case r.word == "BYE":
			return &refusing{r}
		case r.word != "OK":
			return errJunk
		}
		c.caps.learn(r)
		c.inStep = true
		return nil
	})
}

// refusing is a backend that does not want connections or logins just now.
type refusing struct{ answer }

func (e *refusing) Error() string {
	return fmt.Sprintf("%s [%s] %s", e.word, printable(e.code), printable(e.text))
}

// wrap makes the *Error of a phase.
func wrap(ctx context.Context, addr, phase string, err error) error {
	kind := classify(err)
	var r *refusing
	var verify *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		kind = KindCancelled
	case errors.As(err, &r):
		kind = KindRefusing
	case errors.As(err, &verify):
		kind = KindTLS
	case isProtocol(err):
		kind = KindProtocol
	case phase == "tls" && kind == KindClosed:
		kind = KindTLS
	case phase == "connect" && kind == KindClosed:
		kind = KindConnect
	case phase == "login" && errors.Is(err, errConfig):
		kind = KindConfig
	}
	return &Error{Kind: kind, Addr: addr, Phase: phase, Err: err}
}

func isProtocol(err error) bool {
	for _, e := range []error{errJunk, errLongLine, errTooMuch, errUnexpected} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.HasPrefix(err.Error(), "PREAUTH") || strings.HasPrefix(err.Error(), "bytes behind")
}
