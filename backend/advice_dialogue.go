package backend

import (
	"bytes"
	"errors"
)

// errNoSTARTTLS and errNoMethod say what a backend does not offer.
var (
	errNoSTARTTLS = errors.New("STARTTLS is not offered")
	errNoMethod   = errors.New("the backend offers neither AUTH=PLAIN nor LOGIN")
)

// foreign is the first line of a server of another protocol.
type foreign struct{ protocol string }

func (e *foreign) Error() string { return errJunk.Error() + ": the server speaks " + e.protocol }

// Unwrap makes it what it is without the protocol's name.
func (e *foreign) Unwrap() error { return errJunk }

// firstWords are what servers begin with; IMAP without TLS is one where a handshake
// was to come.
var firstWords = []struct{ start, protocol string }{
	{"* OK", "IMAP"}, {"* PR", "IMAP"}, {"* BY", "IMAP"}, {"220", "SMTP"}, {"+OK", "POP3"}, {"HTTP", "HTTP"},
	{"<", "HTTP"}, {`"IMP`, "ManageSieve"}, {"SSH-", "SSH"}, {"\x15\x03", "TLS"},
}

// protocolOf returns which protocol a server speaks that begins with these bytes, ""
// where that is not known.
func protocolOf(first []byte) string {
	for _, w := range firstWords {
		if bytes.HasPrefix(first, []byte(w.start)) {
			return w.protocol
		}
	}
	return ""
}

// junk is the error of a line that is no IMAP response.
func junk(line []byte) error {
	if p := protocolOf(line); p != "" && p != "IMAP" {
		return &foreign{p}
	}
	return errJunk
}

const (
	nameIMAP     = "name the port of IMAP, as 143 or 993"
	writeTLS     = `write tls = "implicit" and the port for it, as 993`
	writeStart   = `write tls = "starttls", or the port for TLS from the first byte, as 993`
	withoutProxy = `write proxy_header = "v2" if the backend expects the PROXY protocol`
)

// noTLSAdvice is about a server that answers a handshake with something else.
func noTLSAdvice(first []byte) (Advice, bool) {
	switch p := protocolOf(first); p {
	case "":
		return Advice{"the server does not speak TLS", keyTLS, nameIMAP}, true
	case "IMAP":
		return Advice{"the server begins without TLS", keyTLS, writeStart}, true
	default:
		return Advice{"the server speaks " + p + ", not IMAP", keyAddresses, nameIMAP}, true
	}
}

// dialogueAdvice is about what a backend says, and about its silence.
func dialogueAdvice(t *Target, phase string, err error) (Advice, bool) {
	other, isForeign := errors.AsType[*foreign](err)
	switch {
	case isForeign && other.protocol == "TLS":
		return Advice{"the server expects TLS from the first byte", keyTLS, `write tls = "implicit"`}, true
	case isForeign:
		return Advice{"the server speaks " + other.protocol + ", not IMAP", keyAddresses, nameIMAP}, true
	case errors.Is(err, errNoSTARTTLS):
		return Advice{errNoSTARTTLS.Error(), keyTLS, writeTLS}, true
	case errors.Is(err, errNoMethod) && t.TLS == TLSOff:
		return Advice{errNoMethod.Error() + " without TLS", keyTLS, `write tls = "starttls"`}, true
	case !isClosing(err):
		return Advice{}, false
	}
	a := Advice{"the backend closed the connection", keyAddresses, ""}
	if isReset(err) {
		a.Text = "the backend reset the connection"
	}
	if (phase == phaseGreeting || phase == phaseTLS) && t.Header == ProxyNone {
		a.Key, a.Remedy = "proxy_header", withoutProxy
	}
	return a, true
}
