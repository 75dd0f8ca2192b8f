package backendcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/login"
	"imapproxy/backend/loop"
	"imapproxy/backend/printable"
	"imapproxy/backend/timing"
)

// origin is what a backend learns of the client: that there is none.
var origin = backend.Origin{SessionID: "check", TTL: 1}

// attempt connects once, and ends the connection.
func (c *Checker) attempt(ctx context.Context, p place, w way) outcome {
	var o outcome
	if err := loop.Do(ctx, timing.System{}, func(ctx context.Context) { o = c.connect(ctx, p, w) }); err != nil {
		return outcome{way: w, err: err}
	}
	return o
}

func (c *Checker) connect(ctx context.Context, p place, w way) outcome {
	o := outcome{way: w}
	d := c.dialer(p)
	greeting := ""
	d.Greeted = func(_ *backend.Conn, text string) { greeting = text }
	ending := backend.Ending("")
	d.Ended = func(_ *backend.Conn, e backend.Ending) { ending = e }
	conn, err := d.Dial(ctx, p.target, origin)
	if err != nil {
		o.err = err
		return o
	}
	offered := conn.Offered()
	switch err := conn.AskCapabilities(ctx); {
	case err == nil:
		offered = conn.Offered()
	case p.target.Header != backend.ProxyNone || w != asWritten:
		o.err = err // it may be the header that is answered
	default:
		o.warn("addresses", "it does not answer CAPABILITY as it should", "logins may work all the same; try one")
	}
	if err := conn.MayLogIn(); err != nil {
		o.problems = append(o.problems, Problem{Advice: backend.AdviceOf(err)})
	}
	state := conn.TLS()
	conn.End(ctx)
	if w != asWritten || o.err != nil {
		return o
	}
	o.judge(p.target, state, offered, ending)
	o.facts = describe(state, greeting, offered)
	c.logIn(ctx, p, &o)
	return o
}

func (o *outcome) warn(key, text, remedy string) {
	o.problems = append(o.problems, Problem{backend.Advice{Text: text, Key: key, Remedy: remedy}, true})
}

// soon is how long before its end a certificate is warned of.
const soon = 14 * 24 * time.Hour

// judge warns of what works today, or works in part.
func (o *outcome) judge(t *backend.Target, state *tls.ConnectionState, offered []string, ending backend.Ending) {
	has := func(name string) bool {
		return slices.ContainsFunc(offered, func(s string) bool { return strings.EqualFold(s, name) })
	}
	if state != nil {
		if leaf := state.PeerCertificates[0]; time.Until(leaf.NotAfter) < soon {
			o.warn("addresses", "its certificate expires on "+day(leaf.NotAfter), "renew it on the backend")
		}
	}
	if len(offered) > 0 && !has("IMAP4rev1") && !has("IMAP4rev2") {
		o.warn("addresses", "it does not offer IMAP4rev1", "name the port of an IMAP server")
	}
	if t.Mechanism == login.MechanismPlain && !has("AUTH=PLAIN") {
		o.warn("mechanism", "it does not offer AUTH=PLAIN", `write mechanism = "auto"`)
	}
	if ending == backend.EndReset {
		o.warn("logout_timeout", fmt.Sprintf("it did not close the connection within %s after LOGOUT, and was reset",
			t.Limits.Logout), "see docs/close-wait.md")
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// logIn tries the master login, where there is one and a user to try it for.
func (c *Checker) logIn(ctx context.Context, p place, o *outcome) {
	if p.target.Master.AuthID == "" {
		return
	}
	user := ""
	if c.LoginAs != nil {
		user = c.LoginAs(p.target)
	}
	if user == "" {
		o.facts = append(o.facts, "the master login was not tried (--user NAME says for whom)")
		return
	}
	conn, _, err := c.dialer(p).Login(ctx, p.target, backend.Credentials{User: user, Secret: "unused"}, origin)
	if err != nil {
		a := backend.AdviceOf(err)
		a.Key = "master_user"
		a.Text = fmt.Sprintf("the master login for %s: %s", printable.Quote(user), a.Text)
		o.problems = append(o.problems, Problem{Advice: a})
		return
	}
	conn.End(ctx)
	o.facts = append(o.facts, "the master login for "+printable.Quote(user)+" works")
}

// describe returns in words what was seen.
func describe(state *tls.ConnectionState, greeting string, offered []string) []string {
	facts := []string{"no TLS"}
	if state != nil {
		facts = []string{tls.VersionName(state.Version), certificateFact(state.PeerCertificates[0])}
	}
	facts = append(facts, "greeting "+printable.Quote(greeting))
	var named []string
	for _, name := range offered {
		if isImportant(strings.ToUpper(name)) {
			named = append(named, name)
		}
	}
	words := strings.Join(named, " ")
	if more := len(offered) - len(named); more > 0 {
		words += fmt.Sprintf(" and %d more capabilities", more)
	}
	return append(facts, strings.TrimSpace(printable.Text(words, maxWords)))
}

// maxWords bounds the capabilities in a line.
const maxWords = 400

// isImportant reports whether a capability is named: what logins and the proxy's own
// commands depend on.
func isImportant(name string) bool {
	return strings.HasPrefix(name, "AUTH=") || slices.Contains([]string{"IMAP4REV1", "IMAP4REV2", "SASL-IR",
		"LOGINDISABLED", "LITERAL+", "LITERAL-", "ID", "IDLE", "UNSELECT", "UNAUTHENTICATE"}, name)
}

// certificateFact names a certificate and the day on which it expires.
func certificateFact(leaf *x509.Certificate) string {
	name := leaf.Subject.String()
	if len(leaf.DNSNames) > 0 {
		name = leaf.DNSNames[0]
	}
	return "certificate of " + printable.Text(name, maxWords) + " until " + day(leaf.NotAfter)
}
