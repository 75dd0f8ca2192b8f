// Package backend is the server side: which backend a user belongs to, the
// dial, the login there, the ledger of the connection, and its one ending.
// It never learns who decided that the user may log in.
package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"imapproxy/backend/login"
	"imapproxy/backend/wire"
)

// TLSMode says how a backend is spoken to.
type TLSMode int

// The modes. There is no "TLS if offered": an attacker would strip it.
const (
	TLSOff TLSMode = iota
	TLSStartTLS
	TLSImplicit
)

// ProxyHeader is the PROXY protocol header a backend wants in front.
type ProxyHeader int

// The headers.
const (
	ProxyNone ProxyHeader = iota
	ProxyV1
	ProxyV2
)

// Limits bounds the phases of a backend connection; each must be positive.
type Limits struct {
	Connect  time.Duration // one TCP connect
	TLS      time.Duration // one TLS handshake
	Greeting time.Duration // from connected to greeted
	Login    time.Duration // ID, STARTTLS, CAPABILITY and the login together
	Logout   time.Duration // from LOGOUT to EOF
}

// Target is a backend: where it is and how it is spoken to. It is not changed
// once it is in use; a reload makes new ones.
type Target struct {
	Name       string
	Addresses  []string        // host:port, tried in this order while one can't be reached
	TLS        TLSMode         //
	TLSConfig  *tls.Config     // versions, roots, verification; ServerName "" means the address's host
	Header     ProxyHeader     //
	ForwardID  bool            // send ID with the client's address (RFC 2971), when the backend offers ID
	Master     Credentials     // master login: AuthID and Secret; zero when there is none
	Limits     Limits          //
	TCP        wire.TCPOptions //
	PlainLogin bool            // send the password to a non-loopback backend without TLS (the configuration warned)
	Texts      login.Texts     // what clients read of its refusals
	Mechanism  login.Mechanism // how passwords are sent
	Follow     bool            // go where a REFERRAL names, as far as the router permits

	Pool *PoolOptions // how connections are used again; nil when they are not
}

// Credentials log a connection in. They print without the secret.
type Credentials struct {
	User   string // whose mailbox; the authorization identity when AuthID is set
	AuthID string // who authenticates; "" means User
	Secret string
	Token  string // XOAUTH2 or OAUTHBEARER: Secret is a bearer token, got by it; "" for a password
	Issued bool   // they are the operator's, and not what the client sent
}

// Format implements fmt.Formatter so that no verb prints the secret.
func (c Credentials) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, fmt.Sprintf("{user %q, auth %q, [secret]}", c.User, c.AuthID))
}

// Query asks a router where a user belongs.
type Query struct {
	User   string // the user as granted
	Server string // the server that the grant names, "" when it names none
}

// Route answers a query.
type Route struct {
	Target *Target
	User   string // the user name for the backend's login
	Rule   string // which rule decided, in words for the log and `imapproxy route`
}

// ErrNoRoute means that no rule names a backend for the user: not a failure
// of the lookup, an answer.
var ErrNoRoute = errors.New("no route")

// ErrNotPermitted means that a rule or an answer names a backend that must not
// be used: a fault of the configuration, not one that passes.
var ErrNotPermitted = errors.New("not permitted")

// Router says where a user belongs. An error that is not ErrNoRoute means that
// the question could not be answered.
type Router interface {
	Route(ctx context.Context, q Query) (Route, error)
}
