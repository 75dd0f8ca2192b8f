package backend

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/printable"
	"imapproxy/backend/wire"
)

var (
	errUnexpected = errors.New("an answer that does not fit the command")
	errConfig     = errors.New("not possible with this target")
)

// Login logs in: ID first when the backend offers it, then AUTHENTICATE PLAIN
// when offered (RFC 4616), else LOGIN with synchronising literals, which no
// byte of a password can leave. It returns the text of the backend's OK, never
// empty. The error is a *Refused when the backend judged, an *Error otherwise.
// The caller ends the connection on either.
func (c *Conn) Login(ctx context.Context, cred Credentials, o Origin) (text string, err error) {
	if m := c.Target.Master; m.AuthID != "" {
		cred.AuthID, cred.Secret, cred.Token = m.AuthID, m.Secret, ""
	}
	if err := errors.Join(c.Target.mayTell(c.remote), cred.unfit()); err != nil {
		return "", wrap(ctx, c.Addr, "login", err)
	}
	c.enter(phaseLogin)
	defer func() { c.hidden = nil }()
	var r answer
	err = c.duringLogin(ctx, func() (err error) {
		r, err = c.login(cred, o)
		return err
	})
	var refused *Refused
	if errors.As(err, &refused) {
		return "", refused
	}
	if err != nil {
		return "", wrap(ctx, c.Addr, "login", err)
	}
	if !c.caps.known() {
		if err := c.duringLogin(ctx, c.askCapability); err != nil {
			return "", wrap(ctx, c.Addr, "capability", err)
		}
	}
	// A text that began with a bracket would be read as a response code.
	return cmp.Or(strings.TrimLeft(printable.Text(r.text, maxText), " ["), "Logged in"), nil
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
func (t *Target) mayTell(remote string) error {
	if t.TLS != TLSOff || t.PlainLogin {
		return nil
	}
	ap, err := netip.ParseAddrPort(remote)
	if strings.HasPrefix(remote, wire.UnixPrefix) || err == nil && ap.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: the password would cross the network in the clear; set tls, or plain_login = true",
		errConfig)
}

func (c *Conn) login(cred Credentials, o Origin) (answer, error) {
	c.hidden = append(pieces(cred.plain()), cred.Secret[:min(len(cred.Secret), 64)])
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
	if offered.has("AUTH=PLAIN") {
		return c.authenticatePlain(id, cred, offered.has("SASL-IR"))
	}
	if offered.has("LOGINDISABLED") {
		return answer{}, fmt.Errorf("%w: the backend offers neither AUTH=PLAIN nor LOGIN", errConfig)
	}
	if cred.AuthID != "" && cred.AuthID != cred.User {
		return answer{}, fmt.Errorf("%w: a master login needs AUTH=PLAIN, which the backend does not offer", errConfig)
	}
	return c.loginLiterals(id, cred)
}

// idCommand tells the backend whom it serves, in the fields that Dovecot
// reads. The values are ours: nothing a client sent is in them.
func idCommand(o Origin) string {
	f := []string{"x-session-id", o.SessionID, "x-proxy-ttl", fmt.Sprint(o.TTL)}
	if o.Client.IsValid() { // a Unix socket's client has no address
		f = append([]string{
			"x-originating-ip", o.Client.Addr().Unmap().String(),
			"x-originating-port", fmt.Sprint(o.Client.Port()),
			"x-connected-ip", o.Local.Addr().Unmap().String(),
			"x-connected-port", fmt.Sprint(o.Local.Port()),
		}, f...)
	}
	for i, s := range f {
		f[i] = `"` + s + `"`
	}
	return "ID (" + strings.Join(f, " ") + ")"
}

// authenticatePlain sends the initial response in the command where the
// backend takes one (RFC 4959), ID in the same write.
func (c *Conn) authenticatePlain(id string, cred Credentials, inCommand bool) (answer, error) {
	ir := cred.plain()
	if inCommand {
		if err := c.send(id + "X2 AUTHENTICATE PLAIN " + ir + "\r\n"); err != nil {
			return answer{}, err
		}
		return c.judged(id != "")
	}
	if err := c.send(id + "X2 AUTHENTICATE PLAIN\r\n"); err != nil {
		return answer{}, err
	}
	if r, err := c.continuation(id != ""); err != nil || r.tag != "+" {
		return r, err
	}
	if err := c.send(ir + "\r\n"); err != nil {
		return answer{}, err
	}
	return c.judged(false)
}

// plain is the message of PLAIN (RFC 4616) in base64.
func (c Credentials) plain() string {
	authz, authc := "", c.User
	if c.AuthID != "" && c.AuthID != c.User {
		authz, authc = c.User, c.AuthID
	}
	return base64.StdEncoding.EncodeToString([]byte(authz + "\x00" + authc + "\x00" + c.Secret))
}

func (c *Conn) loginLiterals(id string, cred Credentials) (answer, error) {
	parts := []string{
		id + fmt.Sprintf("X2 LOGIN {%d}\r\n", len(cred.User)),
		cred.User + fmt.Sprintf(" {%d}\r\n", len(cred.Secret)),
	}
	for i, p := range parts {
		if err := c.send(p); err != nil {
			return answer{}, err
		}
		if r, err := c.continuation(i == 0 && id != ""); err != nil || r.tag != "+" {
			return r, err
		}
	}
	if err := c.send(cred.Secret + "\r\n"); err != nil {
		return answer{}, err
	}
	return c.judged(false)
}

// send writes a command, or a part of one. From here until its answer has
// come nothing else may be sent.
func (c *Conn) send(s string) error {
	fault.Point("login.send")
	c.inStep = false
	_, err := c.Write([]byte(s))
	return err
}

// judged reads to the answer of the login, X2, and past the one of ID, X1.
func (c *Conn) judged(idSent bool) (answer, error) {
	fault.Point("login.await")
	r, err := c.await("X2", idSent)
	if err != nil {
		return r, err
	}
	return r, c.verdict(r)
}

// continuation reads to "+", or to a refusal in its place.
func (c *Conn) continuation(idSent bool) (answer, error) {
	r, err := c.await("+", idSent)
	if err == nil && r.tag == "X2" {
		if err = c.verdict(r); err == nil {
			err = errUnexpected // OK in the place of a continuation
		}
	}
	return r, err
}

// verdict turns the login's tagged answer into nil, a *Refused, or a failure.
func (c *Conn) verdict(r answer) error {
	fault.Point("login.verdict")
	switch r.word {
	case "OK":
		return nil
	case "BAD":
		return &refusing{r}
	}
	code, _, _ := strings.Cut(strings.ToUpper(r.code), " ")
	switch code {
	case "UNAVAILABLE", "SERVERBUG", "INUSE":
		return &refusing{r}
	}
	return &Refused{Addr: c.Addr, Code: printable.Text(code, maxText), Text: printable.Text(r.text, maxText)}
}

// await reads responses until the wanted tag comes ("+" gives way to the
// tagged refusal X2). Untagged lines teach capabilities, or end the
// connection; all else is out of step. Nothing of them reaches the client.
func (c *Conn) await(want string, idSent bool) (answer, error) {
	for range maxAnswerLines {
		r, err := c.in.response()
		if err != nil {
			return answer{}, err
		}
		c.withhold(&r)
		switch {
		case r.tag == want, want == "+" && r.tag == "X2":
			if idSent {
				return answer{}, errUnexpected // ahead of the answer to ID
			}
			if r.tag == "X2" || r.tag == "X3" {
				c.inStep = true
				c.caps.learn(r)
			}
			return r, nil
		case r.tag == "X1" && idSent:
			idSent = false // whatever it said: ID is a courtesy
		case r.tag == "*" && r.word == "BYE":
			c.bye = true
			return answer{}, &refusing{r}
		case r.tag == "*" && r.word != "PREAUTH":
			c.caps.learn(r)
		default:
			return answer{}, errUnexpected
		}
	}
	return answer{}, errTooMuch
}

// withhold takes the password out of a refusal: some backends repeat the line
// that they don't understand, and their words go to the log. A code is judged,
// so a short password that a usual code happens to hold must not change it.
func (c *Conn) withhold(r *answer) {
	if r.word == "OK" || !isStatus(r.word) {
		return
	}
	r.code, r.text = r.code[:min(len(r.code), 1024)], r.text[:min(len(r.text), 1024)] // more is never shown
	for _, s := range c.hidden {
		if strings.Contains(r.text, s) {
			r.text = "(withheld: it repeats the password)"
		}
		if len(s) >= minRepeat && strings.Contains(r.code, s) {
			r.code = ""
		}
	}
}

// minRepeat is how many bytes of the password count as repeated: some backends
// cut the line that they repeat.
const minRepeat = 8

// pieces cuts a base64 word so that each run of 11 of its bytes holds a piece.
func pieces(word string) []string {
	var p []string
	for i := 0; i+minRepeat <= len(word); i += 4 {
		p = append(p, word[i:i+minRepeat])
	}
	return p
}

// askCapability asks what the backend offers.
func (c *Conn) askCapability() error {
	fault.Point("dial.capability")
	c.caps.forget()
	if err := c.send("X3 CAPABILITY\r\n"); err != nil {
		return err
	}
	r, err := c.await("X3", false)
	if err == nil && (r.word != "OK" || !c.caps.known()) {
		err = errUnexpected
	}
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
	}
	if !c.caps.has("STARTTLS") {
		return fmt.Errorf("%w: STARTTLS is not offered", errConfig)
	}
	if err := c.send("X3 STARTTLS\r\n"); err != nil {
		return err
	}
	r, err := c.await("X3", false)
	if err == nil && r.word != "OK" {
		err = &refusing{r}
	}
	return err
}
