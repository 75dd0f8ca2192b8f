package backend

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Advice is what is wrong with a target, in the operator's words.
type Advice struct {
	Text   string // what is wrong
	Key    string // the key of the target that it is about
	Remedy string // what to write or to do, "" where that is not known
}

// advised is an error that the operator reads as advice.
type advised struct {
	Advice
	err error
}

// Error returns what is wrong and what to do about it.
func (e *advised) Error() string {
	if e.Remedy == "" {
		return e.Text
	}
	return e.Text + "; " + e.Remedy
}

func (e *advised) Unwrap() error { return e.err }

// AdviceOf returns what an error of Dial, Login or MayLogIn says in the operator's words.
func AdviceOf(err error) Advice {
	if a, ok := errors.AsType[*advised](err); ok {
		return a.Advice
	}
	if refused, ok := errors.AsType[*Refused](err); ok {
		return Advice{"the backend refuses the login: " + refused.Answer.String(), keyAddresses, ""}
	}
	return Advice{plainText(err), keyAddresses, ""}
}

// The keys of a target that advice is about.
const (
	keyAddresses = "addresses"
	keyTLS       = "tls"
)

// advise returns err with the advice for a target that failed in a phase; an error that
// has some, or for which there is none, stays as it is.
func advise(t *Target, phase string, err error) error {
	if _, has := errors.AsType[*advised](err); has {
		return err
	}
	a, ok := connectAdvice(err)
	for _, next := range []func(*Target, string, error) (Advice, bool){limitAdvice, dialogueAdvice, tlsAdvice} {
		if ok {
			break
		}
		a, ok = next(t, phase, err)
	}
	if !ok {
		a = Advice{plainText(err), keyAddresses, ""}
	}
	return &advised{a, err}
}

// plainText returns the text of an error without what the rest of a message says: whose
// connection it was, and which layer noticed it.
func plainText(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	text := strings.ReplaceAll(err.Error(), errConfig.Error()+": ", "")
	for _, layer := range []string{"remote error: ", "tls: ", "x509: "} {
		text = strings.ReplaceAll(text, layer, "")
	}
	return text
}

// connectAdvice is about what happens before a byte is exchanged, and about connections that end.
func connectAdvice(err error) (Advice, bool) {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound:
		return Advice{fmt.Sprintf("the name has no address: %q is not known", dns.Name), keyAddresses,
			"write a name that this machine can resolve, or an address"}, true
	case isDNS:
		return Advice{fmt.Sprintf("the name %q can't be resolved: %s", dns.Name, dns.Err), keyAddresses,
			"write a name that this machine can resolve, or an address"}, true
	case errors.Is(err, syscall.ECONNREFUSED):
		return Advice{"connection refused: nothing listens there", keyAddresses,
			"start the server, or name the address and port at which it listens"}, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Advice{plainText(err), keyAddresses, "mend the address, or the machine's routes"}, true
	case errors.Is(err, fs.ErrNotExist):
		return Advice{"there is no such socket", keyAddresses, "start the server, or name its socket"}, true
	case errors.Is(err, fs.ErrPermission) && isUnix(err): // over TCP it is a firewall of this machine
		return Advice{fmt.Sprintf("the user with the number %d may not use it", os.Geteuid()), keyAddresses,
			"let the proxy's user read and write the socket, and search its folder"}, true
	}
	return Advice{}, false
}

// isUnix reports whether an error is about a Unix socket.
func isUnix(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Net == "unix"
}

// limitAdvice names the limit that was exceeded.
func limitAdvice(t *Target, phase string, err error) (Advice, bool) {
	if classify(err) != KindTimeout {
		return Advice{}, false
	}
	limit, key, remedy := t.Limits.Login, "login_timeout", ""
	switch phase {
	case "connect":
		limit, key = t.Limits.Connect, keyAddresses
		remedy = "mend the address, or the firewall in between"
	case phaseTLS:
		limit, key = t.Limits.TLS, "tls_timeout"
	case phaseHeader, phaseGreeting:
		limit, key = t.Limits.Greeting, keyAddresses
		if t.TLS != TLSImplicit {
			key, remedy = keyTLS, `write tls = "implicit" if the port is for TLS from the first byte, as 993 is`
		}
	case phaseCheck, "wait":
		return Advice{}, false
	}
	return Advice{fmt.Sprintf("no answer within %s", limit), key, remedy}, true
}

// tlsAdvice is about the handshake and the certificate.
func tlsAdvice(t *Target, phase string, err error) (Advice, bool) {
	if phase != phaseTLS {
		return Advice{}, false
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return noTLSAdvice(header.RecordHeader[:])
	}
	var leaf *x509.Certificate
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		leaf = failed.UnverifiedCertificates[0]
	}
	unknown, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	named, isNamed := errors.AsType[x509.HostnameError](err)
	text := plainText(err)
	switch {
	case isUnknown && leaf != nil && bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return Advice{fmt.Sprintf("its certificate, of %q, is self-signed: an unknown authority", leaf.Subject), "ca",
			"set target.ca to a file with this certificate"}, true
	case isUnknown:
		return Advice{fmt.Sprintf("its certificate is signed by an unknown authority, %q", unknown.Cert.Issuer),
			"ca", "set target.ca to the CA's file"}, true
	case isInvalid && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return Advice{"its certificate is valid from " + day(invalid.Cert.NotBefore) + " on", keyAddresses,
			"check the clocks of both machines"}, true
	case isInvalid && invalid.Reason == x509.Expired:
		return Advice{"its certificate expired on " + day(invalid.Cert.NotAfter), keyAddresses,
			"renew it on the backend"}, true
	case isNamed:
		return nameAdvice(named), true
	case strings.Contains(text, "protocol version"):
		return Advice{"it speaks only older versions of TLS than target.tls_min", "tls_min",
			"let it speak TLS 1.2 or newer"}, true
	}
	return Advice{text, keyTLS, ""}, true
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// nameAdvice is about a certificate for other names.
func nameAdvice(e x509.HostnameError) Advice {
	names := append([]string{}, e.Certificate.DNSNames...)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return Advice{fmt.Sprintf("its certificate, of %q, has no name that counts", e.Certificate.Subject),
			"server_name", "renew it on the backend with a subjectAltName"}
	}
	const most = 5
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += ", ..."
	}
	return Advice{fmt.Sprintf("its certificate is for %s, and not for %s", list, e.Host), "server_name",
		"set target.server_name to one of its names"}
}
