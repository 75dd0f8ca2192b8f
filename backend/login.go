package backend

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/login"
	"imapproxy/backend/printable"
)

var (
	errUnexpected = errors.New("an answer that does not fit the command")
	errConfig     = errors.New("not possible with this target")
)

// logIn logs in: ID first when the backend offers it, then AUTHENTICATE PLAIN
// when offered (RFC 4616), else LOGIN with synchronising literals, which no
// byte of a password can leave. A backend that was not asked what it offers
// (login.MechanismLiterals) is asked only for a token, which needs to know. It
// returns the text of the backend's OK, never empty. The error is a *Refused when the
// backend judged, an *Error otherwise. The caller ends the connection on either.
func (c *Conn) logIn(ctx context.Context, cred Credentials, o Origin) (text string, err error) {
	if m := c.Target.Master; m.AuthID != "" {
		cred.AuthID, cred.Secret, cred.Token, cred.Issued = m.AuthID, m.Secret, "", true
	}
	if err := cmp.Or(c.Target.mayTell(c.raw.Remote(), c.raw.IsUnix()), cred.unfit()); err != nil {
		return "", wrap(ctx, c.Target, c.Addr, "login", err)
	}
	if !c.caps.known() && cred.Token != "" && c.Target.Mechanism == login.MechanismLiterals {
		c.enter(phaseCapability)
		if err := c.duringLogin(ctx, "backend_capability", c.askCapability); err != nil {
			return "", c.failed(ctx, "capability", err)
		}
	}
	c.enter(phaseLogin)
	defer func() { c.hidden = nil }()
	var r answer
	err = c.duringLogin(ctx, "backend_login", func() (err error) {
		r, err = c.login(cred, o)
		return err
	})
	if err != nil {
		return "", c.notLoggedIn(ctx, cred, err)
	}
	if !c.caps.known() && (c.Target.Mechanism != login.MechanismLiterals || c.Target.Pool != nil) {
		if err := c.duringLogin(ctx, "backend_capability", c.askCapability); err != nil {
			return "", c.failed(ctx, "capability", err)
		}
	}
	text = safeText(printable.Text(r.text, maxText))
	if strings.EqualFold(r.code, codeAlert) {
		text = "" // it is among the alerts
	}
	return cmp.Or(text, "Logged in"), nil
}

// notLoggedIn returns the error of a login that came to nothing. Issued credentials
// are the operator's: that the backend does not accept them says nothing about the
// user.
func (c *Conn) notLoggedIn(ctx context.Context, cred Credentials, err error) error {
	c.dialer.offers.forget(c.place())
	var refused *Refused
	isRefused := errors.As(err, &refused)
	if isRefused && !(cred.Issued && slices.Contains(aboutTheCredentials, refused.Code)) {
		refused.Alerts = c.TakeAlerts()
		return refused
	}
	failed := c.failed(ctx, "login", err)
	if isRefused {
		if refused.Code == codeAlert {
			failed.Alerts = append(failed.Alerts, refused.Text)
		}
		failed.Kind = KindCredentials
		failed.Err = &advised{cred.refusedAdvice(refused), refused}
	}
	return failed
}

// failed returns the error of a phase, with what has been said meanwhile.
func (c *Conn) failed(ctx context.Context, phase string, err error) *Error {
	e := wrap(ctx, c.Target, c.Addr, phase, err)
	e.Alerts = c.TakeAlerts()
	return e
}

// owner names whose credentials they are.
func (c Credentials) owner() string {
	if c.master() {
		return "master user " + printable.Quote(c.AuthID)
	}
	return "the password that the auth source gives for the user"
}

// refusedAdvice is about credentials of the operator's that the backend does not accept.
func (c Credentials) refusedAdvice(r *Refused) Advice {
	a := Advice{c.owner() + " is refused: " + r.Answer.String(), keyAddresses, ""}
	if c.master() {
		a.Key, a.Remedy = "master_user", "write the backend's master user, and its password into master_password_file"
	}
	return a
}

// unfit says why the credentials can't be sent: a missing user would log in as
// the master itself, and a control byte would move the fields of PLAIN or end
// a line.
func (c Credentials) unfit() error {
	control := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
	}
	switch {
	case c.User == "":
		return fmt.Errorf("%w: the user name for the backend is empty", errConfig)
	case c.Secret == "":
		return fmt.Errorf("%w: the password for the backend is empty", errConfig)
	case control(c.User), control(c.AuthID), control(c.Secret):
		return fmt.Errorf("%w: a control byte in the user name or password for the backend", errConfig)
	}
	return nil
}

// mayTell refuses to send a password in the clear over a network unless the
// configuration says so.
func (t *Target) mayTell(remote netip.AddrPort, isUnix bool) error {
	if t.TLS != TLSOff || t.PlainLogin || isUnix || remote.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: the password would cross the network in the clear; set tls, or plain_login = true",
		errConfig)
}

func (c *Conn) login(cred Credentials, o Origin) (answer, error) {
	c.hidden = cred.hidden()
	fault.Point("login.begin")
	offered := c.caps
	c.caps.forget() // what holds before the login is void after it
	var id string
	if c.Target.ForwardID && offered.has("ID") {
		id = "X1 " + idCommand(o) + "\r\n"
	}
	if m := cred.tokenMechanism(&offered); m != "" {
		return c.authenticateToken(id, m, cred, offered.has("SASL-IR"))
	}
	return c.tryMethods(id, cred, &offered)
}

// idCommand tells the backend whom it serves, in the fields that Dovecot
// reads. The values are ours: nothing a client sent is in them.
func idCommand(o Origin) string {
	b := append(make([]byte, 0, 256), "ID ("...)
	if o.Client.IsValid() { // a Unix socket's client has no address
		b = appendAddress(b, "originating", o.Client)
		b = appendAddress(b, "connected", o.Local)
	}
	b = append(b, `"x-session-id" "`...)
	b = append(b, o.SessionID...)
	b = append(b, `" "x-proxy-ttl" "`...)
	b = strconv.AppendInt(b, int64(o.TTL), 10)
	return string(append(b, `")`...))
}

func appendAddress(b []byte, which string, a netip.AddrPort) []byte {
	b = append(append(append(b, `"x-`...), which...), `-ip" "`...)
	b = a.Addr().Unmap().AppendTo(b)
	b = append(append(append(b, `" "x-`...), which...), `-port" "`...)
	b = strconv.AppendUint(b, uint64(a.Port()), 10)
	return append(b, `" `...)
}

// master reports whether another user logs in for this one.
func (c Credentials) master() bool { return c.AuthID != "" && c.AuthID != c.User }

// plain is the message of PLAIN (RFC 4616) in base64.
func (c Credentials) plain() string {
	authz, authc := "", c.User
	if c.master() {
		authz, authc = c.User, c.AuthID
	}
	return base64.StdEncoding.EncodeToString([]byte(authz + "\x00" + authc + "\x00" + c.Secret))
}

// send writes a command, or a part of one. From here until its answer has
// come nothing else may be sent.
func (c *Conn) send(s string) error {
	fault.Point("login.send")
	c.inStep = false
	_, err := c.Write([]byte(s))
	return err
}

// answerToLogin reads to the answer of the login, X2, and past the one of ID, X1.
func (c *Conn) answerToLogin(idSent bool) (answer, error) {
	fault.Point("login.await")
	return c.await("X2", idSent)
}

// judged reads to the answer of the login and judges it.
func (c *Conn) judged(idSent bool) (answer, error) {
	r, err := c.answerToLogin(idSent)
	if err != nil {
		return r, err
	}
	return r, c.verdict(r)
}

// await reads responses until the wanted tag comes ("+" gives way to the
// tagged refusal X2). Untagged lines teach capabilities, are alerts, or end the
// connection; all else is out of step. Nothing more of them reaches the client.
func (c *Conn) await(want string, idSent bool) (answer, error) {
	idOpen := idSent // its answer may come
	for range maxAnswerLines {
		r, err := c.in.response()
		if err != nil {
			return r, err
		}
		c.withhold(&r)
		switch {
		case r.tag == want, want == "+" && r.tag == "X2":
			if idSent {
				return answer{}, errUnexpected // ahead of the answer to ID
			}
			if r.tag == "X2" || r.tag == "X3" {
				c.inStep = true
				c.caps.learn(r, &c.dialer.lists)
				if r.word == "OK" {
					c.noteAlert(r)
				}
			}
			return r, nil
		case r.tag == "X1" && idOpen:
			idSent, idOpen = false, false // whatever it said: ID is a courtesy
		case r.tag == "*" && r.word == "BYE":
			c.bye = true
			if want == "X2" { // all has been sent
				return answer{}, c.verdict(r)
			}
			return answer{}, &refusing{c.answered(r)}
		case r.tag == "*" && r.word != "PREAUTH":
			c.caps.learn(r, &c.dialer.lists)
			c.noteAlert(r)
			if r.word == "BAD" {
				idSent = false // some backends refuse ID without its tag
			}
		default:
			return answer{}, errUnexpected
		}
	}
	return answer{}, errTooMuch
}

// askCapability asks what the backend offers. One that does not answer that by OK
// has said nothing of it: then what needs no offer is tried.
func (c *Conn) askCapability() error {
	fault.Point("dial.capability")
	c.caps.forget()
	if err := c.send("X3 CAPABILITY\r\n"); err != nil {
		return err
	}
	r, err := c.await("X3", false)
	switch {
	case errors.Is(err, errJunk) && r.tag == "X3": // a word that IMAP does not have, such as ERR
		c.inStep = true
		return nil
	case err == nil && r.word == "OK" && !c.caps.known():
		return errUnexpected
	}
	c.caps.untagged = false
	return err
}

// askSTARTTLS goes on only when the backend offers TLS and says OK, with
// nothing after it (RFC 9051 section 6.2.1).
func (c *Conn) askSTARTTLS() error {
	fault.Point("dial.starttls")
	if !c.caps.known() {
		if err := c.askCapability(); err != nil {
			return err
		}
		if !c.caps.known() {
			return errUnexpected
		}
	}
	if !c.caps.has("STARTTLS") {
		return fmt.Errorf("%w: %w", errConfig, errNoSTARTTLS)
	}
	if err := c.send("X3 STARTTLS\r\n"); err != nil {
		return err
	}
	r, err := c.await("X3", false)
	if err == nil && r.word != "OK" {
		err = &refusing{c.answered(r)}
	}
	return err
}

// Offered returns what the backend offers, all of it.
func (c *Conn) Offered() []string { return slices.Clone(c.caps.list) }

// AskCapabilities asks once more on a connection that Dial has made. An exchange shows
// that the backend is in step, which a greeting does not. The error is an *Error.
func (c *Conn) AskCapabilities(ctx context.Context) error {
	c.enter(phaseCapability)
	if err := c.duringLogin(ctx, "backend_capability", c.askCapability); err != nil {
		return c.failed(ctx, phaseCapability, err)
	}
	if !c.caps.known() {
		return c.failed(ctx, phaseCapability, errUnexpected)
	}
	c.enter(phaseReady)
	return nil
}
