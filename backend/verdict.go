package backend

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/printable"
)

// Texts says what a client is told in the backend's own words when its login is
// refused. Alerts (RFC 9051 section 7.1) are passed on with all of them.
type Texts int

// The choices.
const (
	TextsCodes Texts = iota // the response code, with our text
	TextsAll                // the response code and the backend's text
	TextsNone               // neither: our text
)

// Answer is what a backend says to a login that it does not let in: NO or BAD to
// the command, or BYE.
type Answer struct {
	Word string // NO, BAD or BYE
	// Code is the name of the response code, in upper case: one of RFC 5530 or ALERT. "" stands for none, and for
	// all others, which tell a client nothing that it could act on.
	Code     string
	Text     string // the words, printable and no response code, at most maxText bytes
	Line     string // all of it without the tag, printable, at most maxLineText bytes
	Referral string // the host or host:port that REFERRAL names (RFC 2221), "?" for an unreadable one, "" without
	Texts    Texts  // what of it the client may read
	Trusted  bool   // it comes from the backend, for all that the configuration asks
}

// String returns the answer for a log, without its first word.
func (a Answer) String() string {
	_, rest, _ := strings.Cut(a.Line, " ")
	return rest
}

// AnswerOf returns the backend's answer that an error of Dial, Login or Lease
// rests on. It is not found where the backend gave none, or none that is about
// the client's user.
func AnswerOf(err error) (a Answer, found bool) {
	var failed *Error
	var refused *Refused
	var unwilling *refusing
	switch {
	case errors.As(err, &failed) && failed.Kind == KindCredentials:
		return Answer{}, false
	case errors.As(err, &refused):
		return refused.Answer, true
	case errors.As(err, &unwilling):
		return unwilling.Answer, true
	}
	return Answer{}, false
}

// AlertsOf returns what a backend has said before a login failed that the user
// must read: printable texts.
func AlertsOf(err error) []string {
	var refused *Refused
	var failed *Error
	switch {
	case errors.As(err, &failed): // it may have a *Refused in it
		return failed.Alerts
	case errors.As(err, &refused):
		return refused.Alerts
	}
	return nil
}

// The response codes of RFC 5530. Those that judge the login are about this user
// and these credentials; after the others the same login may go well later.
var (
	judgingCodes = []string{"", codeAlert, codeFailed, "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED",
		"CONTACTADMIN", "NOPERM"}
	passingCodes = []string{"UNAVAILABLE", "INUSE", "EXPUNGEISSUED", "CORRUPTION", "SERVERBUG", "CLIENTBUG", "CANNOT",
		"LIMIT", "OVERQUOTA", "ALREADYEXISTS", "NONEXISTENT"}
)

const (
	codeAlert    = "ALERT"
	codeFailed   = "AUTHENTICATIONFAILED"
	codeReferral = "REFERRAL"
)

// aboutTheCredentials are the codes that speak of what was sent, and not of the
// user, when it was not the client's own.
var aboutTheCredentials = []string{"", codeAlert, codeFailed, "AUTHORIZATIONFAILED", "PRIVACYREQUIRED", "NOPERM"}

// maxLineText bounds a backend's answer with its code.
const maxLineText = 1024

// answered makes an Answer of a status response.
func (c *Conn) answered(r answer) Answer {
	name, argument, _ := strings.Cut(r.code, " ")
	name = strings.ToUpper(name)
	a := Answer{Word: r.word, Text: safeText(printable.Text(r.text, maxText)), Texts: c.Target.Texts,
		Trusted: c.trusted()}
	a.Line = printable.Text(r.word+" "+bracketed(r.code)+r.text, maxLineText)
	switch {
	case name == codeReferral:
		a.Referral = referredTo(argument)
	case name == codeAlert && !a.Trusted:
	case name == codeAlert, slices.Contains(judgingCodes, name), slices.Contains(passingCodes, name):
		a.Code = name
	}
	if a.Texts == TextsAll && !a.Trusted {
		a.Texts = TextsCodes
	}
	return a
}

// trusted reports whether what the backend says comes from the backend, for all
// that the configuration asks: what was said before TLS does not count.
func (c *Conn) trusted() bool {
	if c.Target.TLS == TLSOff {
		return true
	}
	return c.TLS() != nil && (c.Target.TLSConfig == nil || !c.Target.TLSConfig.InsecureSkipVerify)
}

// maxAlerts bounds what the user must read of one login.
const maxAlerts = 8

// noteAlert keeps an alert for the client.
func (c *Conn) noteAlert(r answer) {
	if !isStatus(r.word) || !strings.EqualFold(r.code, codeAlert) || !c.trusted() || len(c.alerts) == maxAlerts {
		return
	}
	if text := safeText(printable.Text(r.text, maxText)); text != "" {
		c.alerts = append(c.alerts, text)
	}
}

// safeText keeps the words of a backend from being read as a response code.
func safeText(text string) string { return strings.TrimLeft(text, " [") }

// TakeAlerts returns the alerts of the greeting and the login, once.
func (c *Conn) TakeAlerts() []string {
	alerts := c.alerts
	c.alerts = nil
	return alerts
}

// verdict turns the login's tagged answer, or the BYE in its place, into nil, a
// *Refused, or a failure.
func (c *Conn) verdict(r answer) error {
	fault.Point("login.verdict")
	if r.word == "OK" {
		return nil
	}
	a := c.answered(r)
	judged := slices.Contains(judgingCodes, a.Code)
	if a.Code == "" || a.Code == codeAlert { // these say nothing of why
		judged = r.word == "NO"
	}
	if a.Referral != "" || !judged {
		return &refusing{a}
	}
	return &Refused{Addr: c.Addr, Answer: a}
}

// referredTo reads the server of an IMAP URL (RFC 5092): host, or host:port.
func referredTo(text string) string {
	u, err := url.Parse(text)
	if err != nil || !strings.EqualFold(u.Scheme, "imap") || u.Hostname() == "" {
		return "?"
	}
	return printable.Text(u.Host, maxText)
}
