package httpauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"

	"imapproxy/auth"
	"imapproxy/backend/printable"
)

const maxText = 256 // bytes of a refusal's text

// responseCode is a response code of RFC 5530 or 3501 that an auth server put
// in front of its text, as it had to for nginx, which sends only the text.
var responseCode = regexp.MustCompile(
	`^\[(UNAVAILABLE|AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED|PRIVACYREQUIRED|CONTACTADMIN|NOPERM|INUSE|` +
		`CORRUPTION|SERVERBUG|CLIENTBUG|CANNOT|LIMIT|OVERQUOTA|NONEXISTENT|ALERT)\] *`)

// refusal is any Auth-Status other than OK and WAIT: the client reads its text.
// [UNAVAILABLE] in front makes it what it says: no answer.
func (c *Client) refusal(a *answer, r *auth.Request) error {
	status := a.status
	for _, echo := range []string{string(r.Secret), clean(string(r.Secret)), escape(string(r.Secret))} {
		if echo != "" {
			status = strings.ReplaceAll(status, echo, "(withheld)")
		}
	}
	text := clean(status)
	if echo := clean(string(r.Secret)); echo != "" {
		text = strings.ReplaceAll(text, echo, "(withheld)")
	}
	denied := &auth.Denied{Wait: a.wait, Challenge: errorChallenge(a, r)}
	if code := responseCode.FindStringSubmatch(text); code != nil {
		denied.Code, text = code[1], text[len(code[0]):]
	}
	denied.Text = printable.Only(text, maxText)
	if denied.Code == "UNAVAILABLE" {
		return &auth.Unavailable{Text: denied.Text, Wait: a.wait,
			Log: c.failed("it says [UNAVAILABLE] %q", denied.Text).Error()}
	}
	denied.Log = fmt.Sprintf("refused by the auth server: %q", denied.Text)
	return denied
}

// maxChallenge bounds an error challenge.
const maxChallenge = 1024

// errorChallenge is what Auth-Error-SASL, freenginx's, says in base64 of a
// token; "" when it is missing, not base64, or repeats the token.
func errorChallenge(a *answer, r *auth.Request) string {
	text, err := base64.StdEncoding.DecodeString(last(a.header, "Auth-Error-Sasl"))
	if err != nil || !auth.IsToken(r.Mechanism) || len(text) > maxChallenge ||
		strings.Contains(string(text), string(r.Secret)) {
		return ""
	}
	return string(text)
}

// clean keeps what can be printed: a password that is repeated with a direction
// character in it must be found.
func clean(s string) string { return strings.TrimSpace(printable.Only(s, 0)) }

// plain is an error without the layers' names in its text, which the message needs not
// repeat, and with what to do about it.
type plain struct {
	err    error
	remedy string
}

// Error implements error.
func (e *plain) Error() string {
	inner := e.err
	var call *os.SyscallError
	if errors.As(inner, &call) {
		inner = call.Err
	}
	text := strings.ReplaceAll(inner.Error(), "x509: ", "")
	text, _, _ = strings.Cut(text, " (possibly because of ")
	return text + e.remedy
}

func (e *plain) Unwrap() error { return e.err }

// certificateRemedy returns what to write where a certificate does not verify.
func certificateRemedy(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return "; set auth.http.ca to the CA's file"
	case errors.As(err, &name):
		return "; write a name of the certificate into auth.http.url"
	}
	return ""
}

// noAnswerYet stands before the cause.
const noAnswerYet = "no answer within the time: "

// transportError puts a failure into words. net/http's own texts quote what the
// server sent, and a server may send the password back: only the errors of
// sockets and certificates are passed on.
func (c *Client) transportError(ctx context.Context, err error) error {
	var slow net.Error // the dialler's and the handshake's own limits
	var op *net.OpError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case ctx.Err() != nil:
		return c.caused(auth.ServiceTimeout, noAnswerYet, context.Cause(ctx))
	case errors.As(err, &slow) && slow.Timeout():
		return c.fault(auth.ServiceTimeout, "no answer within the time")
	case errors.As(err, &verify):
		return c.caused(auth.ServiceFailed, "", &plain{verify.Err, certificateRemedy(verify.Err)})
	case errors.As(err, &record):
		return c.failed("it does not speak TLS there")
	case errors.As(err, &op):
		return c.caused(auth.ServiceFailed, "", &plain{op.Err, ""})
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return c.failed("it closed the connection without an answer")
	case strings.Contains(err.Error(), "response headers exceeded"):
		return c.fault(auth.ServiceBadHeader, fmt.Sprintf("its header block has more than %d bytes", maxAnswer))
	}
	return c.fault(auth.ServiceBadHeader, "its answer is not HTTP")
}
