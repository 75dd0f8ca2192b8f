package backend

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/login"
	"imapproxy/backend/printable"
)

// AnswerOf returns the backend's answer that an error of Dial, Login or Lease
// rests on. It is not found where the backend gave none, or none that is about
// the client's user.
func AnswerOf(err error) (a login.Answer, found bool) {
	var failed *Error
	var refused *Refused
	var unwilling *refusing
	switch {
	case errors.As(err, &failed) && failed.Kind == KindCredentials:
		return login.Answer{}, false
	case errors.As(err, &refused):
		return refused.Answer, true
	case errors.As(err, &unwilling):
		return unwilling.Answer, true
	}
	return login.Answer{}, false
}

// The response codes of RFC 5530. Those that judge the login are about this user
// and these credentials; after the others the same login may go well later.
var (
	judgingCodes = []string{codeFailed, "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED",
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
func (c *Conn) answered(r answer) login.Answer {
	name, argument, _ := strings.Cut(r.code, " ")
	name = strings.ToUpper(name)
	a := login.Answer{Word: r.word, Text: safeText(printable.Text(r.text, maxText)), Texts: c.Target.Texts,
		Trusted: c.trusted()}
	a.Line = printable.Text(r.word+" "+bracketed(r.code)+r.text, maxLineText)
	switch {
	case name == codeReferral:
		a.Referral = referredTo(argument)
	case name == codeAlert && !a.Trusted:
	case name == codeAlert, slices.Contains(judgingCodes, name), slices.Contains(passingCodes, name):
		a.Code = name
	}
	if a.Texts == login.TextsAll && !a.Trusted {
		a.Texts = login.TextsCodes
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
	if !isStatus(r.word) || !strings.EqualFold(r.code, codeAlert) || !c.trusted() {
		return
	}
	if c.alerts != nil && len(*c.alerts) == maxAlerts {
		return
	}
	if text := safeText(printable.Text(r.text, maxText)); text != "" {
		if c.alerts == nil {
			c.alerts = new([]string)
		}
		*c.alerts = append(*c.alerts, text)
	}
}

// safeText keeps the words of a backend from being read as a response code.
func safeText(text string) string { return strings.TrimLeft(text, " [") }

// TakeAlerts returns the alerts of the greeting and the login, once.
func (c *Conn) TakeAlerts() []string {
	if c.alerts == nil {
		return nil
	}
	alerts := *c.alerts
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
	return &Refused{Target: c.Target.Name, Addr: c.Addr, Answer: a}
}

// isAnswered reports whether the backend has answered the login: it is not to be sent
// again.
func isAnswered(err error) bool {
	var refused *Refused
	var unwilling *refusing
	return errors.As(err, &refused) ||
		errors.As(err, &unwilling) && unwilling.Word != "BYE" && !errors.Is(err, errNextMethod)
}

// referredTo reads the server of an IMAP URL (RFC 5092): host, or host:port.
func referredTo(text string) string {
	u, err := url.Parse(text)
	if err != nil || !strings.EqualFold(u.Scheme, "imap") || u.Hostname() == "" {
		return "?"
	}
	return printable.Text(u.Host, maxText)
}
