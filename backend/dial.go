package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"

	"imapproxy/backend/fault"
	"imapproxy/backend/login"
	"imapproxy/backend/printable"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// Origin is what a backend may be told of the client.
type Origin struct {
	Client    netip.AddrPort // not valid: it came by a Unix socket
	Local     netip.AddrPort // the address the client connected to
	SessionID string
	TTL       int // proxies that may still follow; 0 ends a loop

	// Aside ends a connection that did not get as far as the login, concurrently; nil ends it at once.
	Aside func(*Conn)
}

// Dialer opens backend connections. It is safe for concurrent use.
type Dialer struct {
	Clock   timing.Clock
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil is the system's resolver

	// Observers, called in the owner's task; nil for none.
	Dialled func(t *Target, result Kind, took time.Duration) // "" is success
	Ended   func(c *Conn, e Ending)
	Skipped func(t *Target, failed *Error) // an address was tried and failed, and a later one answered
	Greeted func(c *Conn, text string)     // text is the backend's, made printable
	// Fallback is called when a target does not accept a mechanism that it offers, and another one goes; once in
	// ten minutes.
	Fallback func(t *Target, what string)

	Registry Registry
	health   health
	methods  memory[method]   // that are accepted where the first one is not
	offers   memory[[]string] // capabilities before the login
	lists    lists            // of capabilities
}

// Dial connects to a target and brings the connection to where a login may be
// sent: PROXY header, TLS, greeting, STARTTLS and capabilities. The next
// address is tried when one can't be reached. The error is an *Error; no
// socket is left open.
func (d *Dialer) Dial(ctx context.Context, t *Target, o Origin) (*Conn, error) {
	if o.TTL <= 0 {
		return nil, &Error{Kind: KindLoop, Target: t.Name, Addr: t.Name, Phase: "connect",
			Err: errors.New("x-proxy-ttl is used up: proxies appear to be looping")}
	}
	var failed *Error
	for _, addr := range t.Addresses {
		c, err := d.dialOne(ctx, t, addr, o)
		if err == nil {
			if failed != nil && failed.Kind != kindBackedOff && d.Skipped != nil {
				d.Skipped(t, failed)
			}
			return c, nil
		}
		failed = joinDialErrors(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil {
		failed = &Error{Kind: KindConfig, Target: t.Name, Addr: t.Name, Phase: "connect",
			Err: errors.New("the target has no address")}
	}
	return nil, failed
}

// joinDialErrors returns one error for two attempts: the first one's, which was
// the preferred address, with the words of both.
func joinDialErrors(first, next *Error) *Error {
	if first == nil {
		return next
	}
	first.Err = fmt.Errorf("%w; %w", first.Err, next)
	first.Alerts = append(first.Alerts, next.Alerts...)
	return first
}

func (d *Dialer) dialOne(ctx context.Context, t *Target, addr string, o Origin) (*Conn, *Error) {
	begun := d.Clock.Now()
	known := t.Name + " " + addr // targets with other limits judge for themselves
	if err := d.health.mayTry(known, begun); err != nil {
		return nil, wrap(ctx, t, addr, "connect", err)
	}
	c, failed := d.open(ctx, t, addr, o)
	d.judge(t, known, failed, d.Clock.Now().Sub(begun))
	return c, failed
}

// open makes the socket and the connection around it.
func (d *Dialer) open(ctx context.Context, t *Target, addr string, o Origin) (*Conn, *Error) {
	c := d.newConn(t, addr)
	if err := c.connect(ctx); err != nil {
		return nil, wrap(ctx, t, addr, "connect", err)
	}
	c.begin(o.SessionID)
	ready := false
	defer func() {
		if !ready { // it failed, or there was a panic
			o.discard(ctx, c)
		}
	}()
	if phase, err := c.prepare(ctx, o); err != nil {
		return nil, c.failed(ctx, phase, err)
	}
	ready = true
	return c, nil
}

func (d *Dialer) newConn(t *Target, addr string) *Conn {
	c := &Conn{Target: t, Addr: addr, dialer: d}
	c.conn = &c.raw
	c.readAnswers()
	return c
}

// begin registers a connection that has been made.
func (c *Conn) begin(owner string) {
	c.opened = c.dialer.Clock.Now()
	var at opener
	runtime.Callers(2, at[:])
	c.opener = c.dialer.Registry.opener(at)
	c.hand(owner, phaseHeader)
	c.dialer.Registry.add(c)
	if !c.raw.IsUnix() {
		_ = c.raw.SetReadBuffer(wire.MaxUnread)
	}
}

// Tune sets what finds a backend that has vanished: once, and only for a connection that lasts, since these calls
// would cost more than the others of a login. The limits of a login find it before.
func (c *Conn) Tune() {
	if c.tuned || c.raw.IsUnix() {
		return
	}
	c.tuned = true
	_ = c.Target.TCP.Apply(&c.raw) // a socket without them still works; a vanished peer is found later
}

// judge keeps what an attempt says about the address.
func (d *Dialer) judge(t *Target, addr string, err *Error, took time.Duration) {
	var kind Kind
	if err != nil {
		kind = err.Kind
	}
	switch kind {
	case "":
		d.health.good(addr)
	case KindTimeout, kindConnect, KindClosed, KindTLS, KindProtocol, KindRefusing, kindDNS:
		d.health.failed(addr, err, d.Clock.Now())
	default:
		d.health.undecided(addr)
	}
	if d.Dialled != nil {
		d.Dialled(t, kind, took)
	}
}

// prepare runs the phases between connect and login, and names the one that
// failed.
func (c *Conn) prepare(ctx context.Context, o Origin) (string, error) {
	t := c.Target
	fault.Point("dial.header")
	if err := c.sendHeader(ctx, o); err != nil {
		return "header", err
	}
	if t.TLS == TLSImplicit {
		c.enter(phaseTLS)
		if err := c.startTLS(ctx); err != nil {
			return "tls", err
		}
	}
	c.enter(phaseGreeting)
	if err := c.during(ctx, "backend_greeting", t.Limits.Greeting, c.greeting); err != nil {
		return "greeting", err
	}
	if t.TLS == TLSStartTLS {
		c.enter(phaseStartTLS)
		if err := c.duringLogin(ctx, "backend_starttls", c.askSTARTTLS); err != nil {
			return "starttls", err
		}
		c.enter(phaseTLS)
		if err := c.startTLS(ctx); err != nil {
			return "tls", err
		}
	}
	if !c.caps.known() && t.Mechanism != login.MechanismLiterals {
		if err := c.findOffers(ctx); err != nil {
			return "capability", err
		}
	}
	c.enter(phaseReady)
	return "", nil
}

// findOffers finds out what the backend offers before the login: it is asked, unless it was a short while ago. A login
// that fails has the next one ask again.
func (c *Conn) findOffers(ctx context.Context) error {
	list, known := c.dialer.offers.recall(c.place(), c.dialer.Clock.Now())
	if known {
		c.caps.list = list
		return nil
	}
	c.enter(phaseCapability)
	if err := c.duringLogin(ctx, "backend_capability", c.askCapability); err != nil {
		return err
	}
	if c.caps.known() {
		c.dialer.offers.remember(c.place(), c.caps.list, c.dialer.Clock.Now())
	}
	return nil
}

// place is what the connection leads to, for what is remembered of it.
func (c *Conn) place() string {
	if c.TLS() != nil {
		return c.Target.Name + " tls " + c.Addr
	}
	return c.Target.Name + " " + c.Addr
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
	return c.during(ctx, "backend_header", c.Target.Limits.Greeting, func() error {
		_, err := c.raw.Write(b)
		return err
	})
}

// startTLS wraps the connection. What was learnt without TLS is forgotten
// (RFC 9051 section 6.2.1).
func (c *Conn) startTLS(ctx context.Context) error {
	fault.Point("dial.tls")
	c.inStep = false // the backend awaits a handshake
	if c.in.Buffered() > 0 {
		return errInjected
	}
	cfg := &tls.Config{}
	if c.Target.TLSConfig != nil {
		cfg = c.Target.TLSConfig.Clone()
	}
	if cfg.ServerName == "" && !strings.HasPrefix(c.Addr, wire.UnixPrefix) {
		host, _, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return err
		}
		cfg.ServerName = host
	}
	tc := tls.Client(ownDeadlines{&c.raw}, cfg)
	if err := c.during(ctx, "backend_tls", c.Target.Limits.TLS, tc.Handshake); err != nil {
		return err
	}
	c.conn = tc
	c.caps.forget()
	c.inStep = c.Target.TLS == TLSStartTLS
	return nil
}

// ownDeadlines keeps crypto/tls, which sets 5 s for its own alerts, off the
// deadline: that has one owner.
type ownDeadlines struct{ net.Conn }

// SetWriteDeadline does nothing.
func (ownDeadlines) SetWriteDeadline(time.Time) error { return nil }

func (c *Conn) greeting() error {
	r, err := c.in.response()
	if err != nil {
		return err
	}
	if r.tag != "*" {
		return errJunk
	}
	switch r.word {
	case "OK":
		c.caps.learn(r, &c.dialer.lists)
		c.noteAlert(r)
		if c.dialer.Greeted != nil {
			c.dialer.Greeted(c, printable.Text(r.text, maxText))
		}
	case "PREAUTH":
		err = errPreauth
	case "BYE":
		err = &refusing{c.answered(r)}
	default:
		return errJunk
	}
	c.inStep = true // a greeting of any kind: LOGOUT is understood
	return err
}
