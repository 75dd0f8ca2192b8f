// Package auth decides who may log in and what the decision says about the
// backend. It knows neither the client's socket nor the backend's.
package auth

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Secret is a password or token. It prints as "[secret]" with every verb, so
// that a struct that holds one can't leak it into a log, an error or a panic.
type Secret string

// Format implements fmt.Formatter for every verb, %#v and %x included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// MarshalText keeps the secret out of JSON and TOML.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Request is one attempt to log in, as the client made it.
type Request struct {
	// SASL mechanism in upper case; the LOGIN command is "LOGIN"; EXTERNAL has no secret: the certificate has
	// proved who User is
	Mechanism string
	User      string // authentication identity
	AuthzID   string // authorization identity (RFC 4616), "" when not given
	Secret    Secret // a password; a bearer token (IsToken); the digest of CRAM-MD5
	Salt      string // of CRAM-MD5

	Client     netip.AddrPort       // who connected; not valid: by a Unix socket
	Local      netip.AddrPort       // the address they connected to; the same
	Proxied    *Proxied             // nil without a PROXY header
	Listener   string               // the listener's name
	TLS        *tls.ConnectionState // nil without TLS
	TLSInFront bool                 // a trusted balancer in front has ended the client's TLS
	// of the client's certificate, in nginx's words: SUCCESS, NONE, FAILED:reason; "" when none is asked for
	TLSVerify string
	Attempt   int // 1 for the first attempt of this session
	SessionID string
}

// Proxied is what a PROXY header says of a connection, believed or not.
type Proxied struct {
	Client netip.AddrPort // who connected to the balancer
	Server netip.AddrPort // and where
}

// Grant is the answer to a request that may log in.
type Grant struct {
	User   string // the user as the backend should know it (before rewriting)
	AuthID string // who authenticates at the backend when not User: a master login; "" otherwise
	Secret Secret // what to log in to the backend with
	Token  string // XOAUTH2 or OAUTHBEARER: Secret is a bearer token; "" otherwise
	Server string // backend that the decision names: a target's name or host:port; "" leaves it to the router

	BackendJudges bool // nothing has been checked yet: the backend's login is the judgement
}

// Denied is the error of a refused login. The client and the log get different
// texts.
type Denied struct {
	Code string // response code of RFC 5530 without brackets; "" means AUTHENTICATIONFAILED
	// for the log only: the account may not log in, whatever the password; the client reads the same as of a wrong one
	Disabled bool
	Text     string        // what the client may read; "" means a standard text
	Log      string        // what the log says
	Wait     time.Duration // how long to wait before the client is answered

	// for a bearer token: what the error challenge says, mostly JSON (RFC 7628 section 3.2.2); "" for the
	// usual
	Challenge string
}

// Response codes of RFC 5530.
const (
	codeAuthorization = "AUTHORIZATIONFAILED" // the credentials are good, and not for that user
	codeMalformed     = "CLIENTBUG"           // nothing has been checked
)

// Error returns the text for the log; the client never sees it.
func (d *Denied) Error() string { return "denied: " + d.Log }

// Unavailable is the error of an authenticator that knows why it can't answer now.
type Unavailable struct {
	Text string        // what a client of an nginx-compatible listener may read; others read a standard text
	Wait time.Duration // how long to wait before the client is answered
	Log  string        // what the log says
}

func (u *Unavailable) Error() string { return u.Log }

// Authenticator answers requests, each in one of three ways. A Grant without an
// error lets the client log in. A *Denied refuses the login, which counts as a
// failed one. Any other error, an *Unavailable among them, means that the request
// could not be answered: the client reads NO [UNAVAILABLE], nothing is cached, and
// nothing counts as a failed login.
//
// It must be safe for concurrent use and must return soon after ctx is done. It runs in the thread of
// an event loop, as a part of the task that ctx belongs to: what may block or takes long goes by
// loop.Outside.
type Authenticator interface {
	Authenticate(ctx context.Context, r *Request) (*Grant, error)
}

// Caching is an Authenticator that remembers which passwords it has verified.
type Caching interface {
	Authenticator

	// ObserveCache has f called at each login that could have been answered from
	// memory, with whether it was. It may be called at any time; the last f counts.
	ObserveCache(f func(hit bool))
}

// Patient is an Authenticator that has clients wait when its source of users asks
// for it.
type Patient interface {
	Authenticator

	// Patient returns the same authenticator for clients that may be kept waiting
	// for as long as a login may take.
	Patient() Authenticator
}
