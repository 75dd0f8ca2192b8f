// Package httpauth asks an HTTP server who may log in, by the protocol of
// nginx's mail proxy (auth_http): the question and the answer are headers.
package httpauth

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"imapproxy/auth"
	"imapproxy/backend/loop"
)

const (
	maxAnswer  = 8 << 10 // bytes of an answer's header block
	maxBody    = 4 << 10 // bytes of an answer's body that are read away to keep the connection
	maxRetries = 5       // questions again after Auth-Status: WAIT
	maxWait    = 60 * time.Second

	// For patient: as long as a client may reasonably be kept.
	patientRetries = 600
	patientPause   = time.Second

	drainLimit  = 500 * time.Millisecond
	idleTimeout = 60 * time.Second
)

// Client is an auth.Authenticator that asks an HTTP server. It starts no
// goroutine of its own; net/http's connections have some until Close.
type Client struct {
	options   Options
	target    target
	transport *http.Transport
	conns     *loopConns // in the place of transport, for tasks of event loops; nil where they can't ask
	closed    atomic.Bool
	sleep     func(context.Context, time.Duration) error
}

// New checks the options; it does not connect. The error joins every fault,
// each with a remedy.
func New(o Options) (*Client, error) {
	t, err := o.check()
	if err != nil {
		return nil, err
	}
	o.Header = o.Header.Clone()
	dialer := &net.Dialer{Timeout: o.timeout()}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if t.socket != "" {
				network, address = "unix", t.socket
			}
			return dialer.DialContext(ctx, network, address)
		},
		Proxy:                  nil, // the environment's proxy must not see passwords
		TLSClientConfig:        o.tlsConfig(),
		TLSHandshakeTimeout:    o.timeout(),
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxConnsPerHost:        o.maxConns(),
		MaxIdleConns:           o.maxConns(),
		MaxIdleConnsPerHost:    o.maxConns(),
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswer,
	}
	transport.Protocols.SetHTTP1(true)
	return &Client{options: o, target: t, transport: transport, conns: newLoopConns(t, o.maxConns()), sleep: sleep}, nil
}

// Close closes the idle connections. Questions under way are answered; their
// connections, and those of later questions, are not kept. It implements
// io.Closer; the error is always nil.
func (c *Client) Close() error {
	c.closed.Store(true)
	c.transport.CloseIdleConnections()
	if c.conns != nil {
		c.conns.close()
	}
	return nil
}

// Authenticate implements auth.Authenticator. Each question has the timeout of
// the options, all of them together have ctx. An authorization identity that is
// not the user is refused: the protocol can't carry it.
func (c *Client) Authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	return c.authenticate(ctx, r, maxRetries, 0)
}

// patient is a client that asks again as often as nginx does.
type patient struct{ *Client }

// Patient implements auth.Patient.
func (c *Client) Patient() auth.Authenticator { return patient{c} }

// Authenticate implements auth.Authenticator.
func (p patient) Authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	return p.authenticate(ctx, r, patientRetries, patientPause)
}

// authenticate asks, and asks again for as long as the answer is WAIT: retries
// times, least apart or more.
func (c *Client) authenticate(
	ctx context.Context, r *auth.Request, retries int, least time.Duration,
) (*auth.Grant, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if r.AuthzID != "" && r.AuthzID != r.User {
		return nil, &auth.Denied{Code: "AUTHORIZATIONFAILED", Log: "auth_http can't carry an authorization identity"}
	}
	if method(r.Mechanism) == "" {
		return nil, c.failed("it can't carry the mechanism %.20q", r.Mechanism)
	}
	for range 1 + retries {
		answer, err := c.ask(ctx, r)
		if err != nil {
			return nil, err
		}
		if answer.status != "WAIT" {
			return c.decide(answer, r)
		}
		if err := c.sleep(ctx, max(answer.wait, least)); err != nil {
			return nil, c.caused(auth.ServiceFailed, "told to wait: ", err)
		}
	}
	return nil, c.failed("it said WAIT %d times", 1+retries)
}

// ask puts one question. RoundTrip, not http.Client: no redirect is followed,
// no cookie kept, no URL put into errors.
func (c *Client) ask(ctx context.Context, r *auth.Request) (*answer, error) {
	var response *http.Response
	var err error
	if t := loop.Of(ctx); t != nil && c.conns != nil {
		response, err = c.askInLoop(t, r)
	} else {
		err = loop.Outside(ctx, func(ctx context.Context) (err error) {
			response, err = c.roundTrip(ctx, r)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return c.read(response)
}

// roundTrip puts a question by net/http, which blocks.
func (c *Client) roundTrip(ctx context.Context, r *auth.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.timeout())
	defer cancel()
	response, err := c.transport.RoundTrip(c.request(ctx, r))
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	discard(response, cancel)
	if c.closed.Load() {
		c.transport.CloseIdleConnections()
	}
	return response, nil
}

// failed returns the error of a question that was not answered.
func (c *Client) failed(format string, args ...any) error {
	return c.fault(auth.ServiceFailed, fmt.Sprintf(format, args...))
}

// fault is failed for a kind that has a name.
func (c *Client) fault(kind auth.ServiceFault, text string) error {
	return &auth.ServiceError{Server: c.target.name, Fault: kind, Text: text}
}

// caused returns the error of a question that another error has kept from being
// answered.
func (c *Client) caused(kind auth.ServiceFault, text string, err error) error {
	return &auth.ServiceError{Server: c.target.name, Fault: kind, Text: text + err.Error(), Err: err}
}

func sleep(ctx context.Context, d time.Duration) error {
	if task := loop.Of(ctx); task != nil {
		return task.Sleep("auth_wait", d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
