package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"imapproxy/backend/login"
	"imapproxy/backend/printable"
)

// Kind says in one word why a backend could not be used; logs and metrics use
// the same word.
type Kind string

// The kinds.
const (
	kindDNS      Kind = "dns"      // the name has no address
	kindConnect  Kind = "connect"  // no TCP connection
	KindTLS      Kind = "tls"      // the handshake or the certificate failed
	KindProtocol Kind = "protocol" // the backend broke the protocol or a bound
	KindClosed   Kind = "closed"   // the backend closed or reset the connection
	KindTimeout  Kind = "timeout"  // a limit of Limits
	KindRefusing Kind = "refusing" // BYE, or NO [UNAVAILABLE] and the like
	KindConfig   Kind = "config"   // what is asked for is not allowed or not offered
	KindLoop     Kind = "loop"     // too many proxies in a row
	// KindCredentials is a backend that refuses a master user, or a password that is not the client's own: the
	// operator's mistake.
	KindCredentials Kind = "credentials"
	KindReferral    Kind = "referral"   // the backend refers to another server
	KindPool        Kind = "pool"       // no connection became free within the limit
	KindLocal       Kind = "local"      // this machine is out of descriptors, ports or memory
	kindBackedOff   Kind = "backed_off" // not tried: it failed just now
	kindCancelled   Kind = "cancelled"  // the session ended meanwhile
)

// Error says that a backend could not be used. It never holds a secret.
type Error struct {
	Kind   Kind
	Target string // its name, "" where that is not known
	Addr   string // host:port that was tried, the target's name before that
	Phase  string // connect, header, tls, greeting, capability, starttls, id, login, pool
	Err    error

	Alerts []string // what the backend has said meanwhile that the user must read
}

func (e *Error) Error() string {
	what := e.Phase
	if string(e.Kind) != e.Phase {
		what += ": " + string(e.Kind)
	}
	return fmt.Sprintf("%s: %s: %s", place(e.Target, e.Addr), what, printable.Text(e.Err.Error(), 1024))
}

// place names a backend in an error.
func place(target, addr string) string {
	switch target {
	case "":
		return "backend " + addr
	case addr:
		return "target " + target
	}
	return "target " + target + " at " + addr
}

func (e *Error) Unwrap() error { return e.Err }

// Refused says that the backend judged the login and refused it.
type Refused struct {
	Target string // its name, "" where that is not known
	Addr   string
	login.Answer

	Challenge string   // what it said of a bearer token (RFC 7628 section 3.2.2), "" for nothing
	Alerts    []string // what it has said before that the user must read
}

func (e *Refused) Error() string {
	return fmt.Sprintf("%s refused the login: %s", place(e.Target, e.Addr), e.Answer)
}

// bracketed is a response code as it stands in a line, "" for none.
func bracketed(code string) string {
	if code == "" {
		return ""
	}
	return "[" + code + "] "
}

var (
	errLimit     = errors.New("no answer within the limit") // the cause of a context that ended by a limit of ours
	errNoAddress = errors.New("the name has no address")
)

// isReset reports whether an error says that the backend reset the connection.
func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

// isClosing reports whether an error says that the backend has closed its side.
// EPIPE comes where bytes of ours crossed its close.
func isClosing(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		isReset(err)
}

// classify finds the kind of an I/O error.
func classify(err error) Kind {
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.Is(err, errBackedOff):
		return kindBackedOff
	case isLocal(err):
		return KindLocal
	case errors.Is(err, errLimit):
		return KindTimeout
	case errors.Is(err, errNoAddress), errors.As(err, &dns):
		return kindDNS
	case errors.As(err, &network) && network.Timeout():
		return KindTimeout
	}
	return KindClosed
}

// isLocal tells a shortage of our own from a fault of the backend's, which
// must not be blamed for it.
func isLocal(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refusing is a backend that does not want connections or logins just now.
type refusing struct{ login.Answer }

func (e *refusing) Error() string { return e.Word + " " + e.String() }

// wrap makes the *Error of a phase.
func wrap(ctx context.Context, t *Target, addr, phase string, err error) *Error {
	kind := kindOf(phase, err)
	if ctx.Err() != nil {
		kind = kindCancelled
	}
	return &Error{Kind: kind, Target: t.Name, Addr: addr, Phase: phase, Err: advise(t, phase, err)}
}

func kindOf(phase string, err error) Kind {
	kind := classify(err)
	var r *refusing
	switch {
	case kind == kindBackedOff:
		return kind
	case errors.As(err, &r) && r.Referral != "":
		return KindReferral
	case errors.As(err, &r):
		return KindRefusing
	case errors.Is(err, errConfig):
		return KindConfig
	case isProtocol(err):
		return KindProtocol
	case phase == "tls" && kind == KindClosed && !isClosing(err):
		return KindTLS
	case phase == "connect" && kind == KindClosed:
		return kindConnect
	}
	return kind
}

func isProtocol(err error) bool {
	for _, e := range []error{errJunk, errLongLine, errTooMuch, errUnexpected, errPreauth, errInjected} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
