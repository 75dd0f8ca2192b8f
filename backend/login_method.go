package backend

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imapproxy/backend/login"
)

// method is a way to send a password.
type method uint8

// The methods, the preferred one first.
const (
	noMethod    method = iota
	plainInLine        // AUTHENTICATE PLAIN with the initial response (RFC 4959)
	plainAsked         // AUTHENTICATE PLAIN, and the response after "+"
	loginSASL          // AUTHENTICATE LOGIN
	loginSync          // LOGIN with synchronizing literals, which no byte of a password can leave
	loginQuoted        // LOGIN with quoted strings
	tokenAsked         // AUTHENTICATE with a bearer token after "+"
)

var methodNames = [...]string{"", "AUTHENTICATE PLAIN with an initial response", "AUTHENTICATE PLAIN",
	"AUTHENTICATE LOGIN", "LOGIN with literals", "LOGIN with quoted strings", "AUTHENTICATE with a token"}

func (m method) String() string { return methodNames[m] }

// maxCommandLine is what backends take of a line (RFC 7162 section 4); a longer
// initial response goes after "+".
const maxCommandLine = 8000

// methods are those that may be tried with a target which offers these
// capabilities, in order.
func (c Credentials) methods(t *Target, offered *capabilities) ([]method, error) {
	var list []method
	plain := offered.has("AUTH=PLAIN")
	if t.Mechanism == login.MechanismPlain || t.Mechanism == login.MechanismAuto && plain {
		if offered.has("SASL-IR") && len(c.plain()) <= maxCommandLine {
			list = append(list, plainInLine)
		}
		list = append(list, plainAsked)
	}
	switch {
	case t.Mechanism == login.MechanismPlain:
		return list, nil
	case c.master():
		if t.Mechanism != login.MechanismAuto {
			return nil, fmt.Errorf("%w: a master login needs AUTH=PLAIN, which target.mechanism excludes", errConfig)
		}
		if !plain {
			return nil, fmt.Errorf("%w: a master login needs AUTH=PLAIN, which the backend does not offer", errConfig)
		}
		return list, nil
	}
	disabled := offered.has("LOGINDISABLED")
	if t.Mechanism == login.MechanismLiterals && !disabled {
		return []method{loginSync}, nil
	}
	if offered.has("AUTH=LOGIN") && (disabled || !plain && t.Mechanism == login.MechanismAuto) {
		list = append(list, loginSASL)
	}
	if !disabled {
		list = append(list, loginSync, loginQuoted)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %w", errConfig, errNoMethod)
	}
	return list, nil
}

// MayLogIn returns why no password could be sent on a connection that Dial has made, nil
// when one could.
func (c *Conn) MayLogIn() error {
	if err := c.Target.mayTell(c.raw.Remote(), c.raw.IsUnix()); err != nil {
		return advise(c.Target, phaseLogin, err)
	}
	if _, err := (Credentials{User: "user", AuthID: c.Target.Master.AuthID}).methods(c.Target, &c.caps); err != nil {
		return advise(c.Target, phaseLogin, err)
	}
	return nil
}

// tryMethods logs in by the first method that the backend accepts; which one that
// is it keeps in mind. What it says of the method is no judgement of the user.
func (c *Conn) tryMethods(id string, cred Credentials, offered *capabilities) (answer, error) {
	list, err := cred.methods(c.Target, offered)
	if err != nil {
		return answer{}, err
	}
	known, _ := c.dialer.methods.recall(c.Target.Name, c.dialer.Clock.Now())
	if at := slices.Index(list, known); at > 0 {
		list = list[at:]
	}
	var r answer
	var before *notAccepted // the method before this one
	for i, m := range list {
		r, err = c.by(m, id, cred)
		var not *notAccepted
		var refused *Refused
		switch {
		case errors.As(err, &not):
			before = not
		case i > 0 && (err == nil || errors.As(err, &refused)):
			c.keepInMind(m, list[i-1])
			return r, err
		case i > 0 && (isClosing(err) || c.bye):
			c.keepInMind(m, list[i-1])
			return r, fmt.Errorf("%w: %w: %w", errNextMethod, before, err)
		default:
			return r, err
		}
		id = "" // its answer has come
	}
	return answer{}, err
}

// keepInMind notes that the target does not accept a method that it offers, and
// which one comes instead.
func (c *Conn) keepInMind(instead, not method) {
	before, known := c.dialer.methods.recall(c.Target.Name, c.dialer.Clock.Now())
	c.dialer.methods.remember(c.Target.Name, instead, c.dialer.Clock.Now())
	if (!known || before != instead) && c.dialer.Fallback != nil {
		c.dialer.Fallback(c.Target, fmt.Sprintf("%s is not accepted; %s is tried", not, instead))
	}
}

// notAccepted is the error of a method that the backend did not let begin.
type notAccepted struct {
	method method
	refusing
}

func (e *notAccepted) Error() string {
	return fmt.Sprintf("%s is not accepted: %s", e.method, e.refusing.Error())
}

// Unwrap makes it a refusing backend where there is no other method.
func (e *notAccepted) Unwrap() error { return &e.refusing }

// by logs in by one method. A *notAccepted says that the next one may be tried.
func (c *Conn) by(m method, id string, cred Credentials) (answer, error) {
	switch m {
	case plainInLine:
		return c.authenticatePlainInLine(id, cred)
	case plainAsked:
		return c.steps(m, []string{id + "X2 AUTHENTICATE PLAIN\r\n", cred.plain() + "\r\n"})
	case loginSASL:
		encode := base64.StdEncoding.EncodeToString
		return c.steps(m, []string{id + "X2 AUTHENTICATE LOGIN\r\n", encode([]byte(cred.User)) + "\r\n",
			encode([]byte(cred.Secret)) + "\r\n"})
	case loginSync:
		return c.steps(m, []string{
			id + "X2 LOGIN " + literal(cred.User),
			cred.User + " " + literal(cred.Secret),
			cred.Secret + "\r\n"})
	}
	user, quotable := quoted(cred.User)
	secret, alsoQuotable := quoted(cred.Secret)
	if !quotable || !alsoQuotable {
		return answer{}, fmt.Errorf("%w: the backend takes no literals, and the user name or password has characters "+
			"that a quoted string may not hold", errConfig)
	}
	return c.steps(m, []string{id + "X2 LOGIN " + user + " " + secret + "\r\n"})
}

// literal announces a synchronising literal, which ends the line.
func literal(s string) string { return "{" + strconv.Itoa(len(s)) + "}\r\n" }

// authenticatePlainInLine sends the initial response in the command, ID in the
// same write. BAD judges the mechanism (RFC 9051 section 6.2.2), NO the user.
func (c *Conn) authenticatePlainInLine(id string, cred Credentials) (answer, error) {
	if err := c.send(id + "X2 AUTHENTICATE PLAIN " + cred.plain() + "\r\n"); err != nil {
		return answer{}, err
	}
	r, err := c.answerToLogin(id != "")
	if err != nil {
		return r, err
	}
	if r.word == "BAD" {
		return r, c.instead(plainInLine, r)
	}
	return r, c.verdict(r)
}

// steps sends the parts of a command, each but the first after "+". NO in the
// place of a later "+" is about the user, whose name has been sent.
func (c *Conn) steps(m method, parts []string) (answer, error) {
	for i, p := range parts[:len(parts)-1] {
		if err := c.send(p); err != nil {
			return answer{}, err
		}
		r, err := c.await("+", i == 0 && strings.HasPrefix(p, "X1 "))
		if err != nil {
			return r, err
		}
		switch {
		case r.tag == "X2" && (i == 0 || r.word == "BAD"):
			return r, c.instead(m, r)
		case r.tag == "X2":
			return r, cmp.Or(c.verdict(r), errUnexpected)
		}
	}
	last := parts[len(parts)-1]
	if err := c.send(last); err != nil {
		return answer{}, err
	}
	return c.judged(len(parts) == 1 && strings.HasPrefix(last, "X1 "))
}

// instead takes a tagged answer in the place of "+". The password has not been
// looked at, so it says nothing of the user, unless its code says what is wrong.
func (c *Conn) instead(m method, r answer) error {
	if r.word == "OK" {
		return errUnexpected
	}
	a := c.answered(r)
	if a.Code != "" && a.Code != codeFailed || a.Referral != "" {
		return c.verdict(r)
	}
	return &notAccepted{m, refusing{a}}
}

// quoted returns s as a quoted string (RFC 9051 section 4.3); false where it has
// characters that may not stand in one.
func quoted(s string) (string, bool) {
	for _, b := range []byte(s) {
		if b == 0 || b == '\r' || b == '\n' || b >= 0x80 {
			return "", false
		}
	}
	return `"` + escaped.Replace(s) + `"`, true
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
