package imapproxy

import (
	"context"
	"errors"
	"strings"
	"testing"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/login"
)

// withAnswers is a backend that answers a login with these lines, <tag> for its
// tag.
func withAnswers(lines ...string) option {
	return withScript(func(c *backendConn) {
		c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
		tag, _, good := c.readLogin()
		if !good {
			return
		}
		for _, line := range lines {
			c.send("%s", strings.ReplaceAll(line, "<tag>", tag))
		}
		c.untilLogout()
	})
}

func withTexts(texts login.Texts) option { return func(r *rig) { r.target.Texts = texts } }

// TestBackendsAnswer says what a client reads of a login that the backend does
// not let in, and what the log says.
func TestBackendsAnswer(t *testing.T) {
	const none, all, codes = login.TextsNone, login.TextsAll, login.TextsCodes
	for _, test := range []struct {
		answer string
		texts  login.Texts
		want   string // in parts: an alert, and what follows
		cause  cause
		detail string
		counts bool // as a failed login
	}{
		{"<tag> NO [AUTHENTICATIONFAILED] nope", codes, "a NO [AUTHENTICATIONFAILED] Wrong user name or password",
			causeCredentials, "authenticationfailed", true},
		{"<tag> NO [AUTHENTICATIONFAILED] nope", all, "a NO [AUTHENTICATIONFAILED] nope",
			causeCredentials, "authenticationfailed", true},
		{"<tag> NO [AUTHENTICATIONFAILED] nope", none, "a NO Wrong user name or password",
			causeCredentials, "authenticationfailed", true},
		{"<tag> NO Login failed.", codes, "a NO Login refused by the mail server", causeRefused, "", true},
		{"<tag> NO Login failed.", all, "a NO Login failed.", causeRefused, "", true},
		{"<tag> NO Account is locked until 18:00", codes, "a NO Login refused by the mail server",
			causeRefused, "", true},
		{"<tag> NO [TEMPFAIL] later", codes, "a NO Login refused by the mail server", causeRefused, "", true},
		{"<tag> NO [WEBALERT https://example.org/] log in", codes, "a NO Login refused by the mail server",
			causeRefused, "", true},
		{"<tag> NO [WEBALERT https://example.org/] log in", all, "a NO log in", causeRefused, "", true},
		{"<tag> NO [ALERT] Application-specific password required", codes,
			"a NO [ALERT] Application-specific password required", causeRefused, "alert", true},
		{"<tag> NO [alert] Too many simultaneous connections", none, "a NO [ALERT] Too many simultaneous connections",
			causeRefused, "alert", true},
		{"<tag> NO [ALERT] [CAPABILITY X] a\x1bb", codes, "a NO [ALERT] CAPABILITY X] a?b",
			causeRefused, "alert", true},
		{"<tag> NO [EXPIRED] old", codes, "a NO [EXPIRED] The password has expired", causeDisabled, "expired", true},
		{"<tag> NO [LIMIT] many", codes, "a NO [LIMIT] Too many connections for this account; close one and try again",
			causeLimit, "refusing", false},
		{"<tag> NO [OVERQUOTA] full", all, "a NO [OVERQUOTA] full", causeLimit, "refusing", false},
		{"<tag> NO [CANNOT] x", codes,
			"a NO [CANNOT] The mail server can't do that for this account; ask your administrator",
			causeBackend, "refusing", false},
		{"<tag> NO [CLIENTBUG] x", codes,
			"a NO [CLIENTBUG] The mail server does not accept what the mail program sends",
			causeBackend, "refusing", false},
		{"<tag> NO [UNAVAILABLE] maintenance", all, "a NO [UNAVAILABLE] maintenance", causeBackend, "refusing", false},
		{"* BYE [UNAVAILABLE] maintenance", codes, "a " + noLogins, causeBackend, "refusing", false},
		{"* BYE too many", all, "a NO [UNAVAILABLE] too many", causeBackend, "refusing", false},
		{"* BYE [ALERT] going down", codes, "a NO [ALERT] going down", causeBackend, "refusing", false},
		{"<tag> NO [REFERRAL imap://user;AUTH=*@imap9.example.org/] moved", codes,
			"a " + notPossible, causeSetup, "referral", false},
		{"* NO [ALERT] full\r\n<tag> NO no", codes, "* NO [ALERT] full\na NO Login refused by the mail server",
			causeRefused, "", true},
	} {
		t.Run(test.answer, func(t *testing.T) {
			r := newRig(t, withAnswers(test.answer), withTexts(test.texts))
			c := r.dial("plain")
			c.send("a LOGIN joe %s", canary)
			for _, line := range strings.Split(test.want, "\n") {
				c.expectLine(line)
			}
			message := "login refused"
			if !test.counts {
				message = "login not possible"
			}
			r.await("the log", func() bool { return len(r.log.lines(t, message)) == 1 })
			l := r.log.lines(t, message)[0]
			if l.str("cause") != string(test.cause) || l.str("detail") != test.detail {
				t.Errorf("the cause is %q, %q, want %q, %q", l.str("cause"), l.str("detail"), test.cause, test.detail)
			}
			if want := "error"; test.detail == "referral" && (l.str("level") != want ||
				l.str("referral") != "imap9.example.org") {
				t.Errorf("the log has %v", l)
			}
		})
	}
}

// TestAlertsOfALogin brings the user what the backend says at a login that goes
// well.
func TestAlertsOfALogin(t *testing.T) {
	r := newRig(t, withAnswers("* NO [ALERT] almost full", "* CAPABILITY IMAP4rev1",
		"<tag> OK [ALERT] Your password expires in 3 days"))
	c := r.dial("plain")
	c.send("a LOGIN joe %s", canary)
	c.expectLine("* OK [ALERT] almost full")
	c.expectLine("* OK [ALERT] Your password expires in 3 days")
	c.expect("a OK .*Logged in")
}

// issued gives every user another password for the backend.
type issued struct{ master string }

// Authenticate implements auth.Authenticator.
func (i issued) Authenticate(_ context.Context, r *auth.Request) (*auth.Grant, error) {
	return &auth.Grant{User: r.User, AuthID: i.master, Secret: "of the operator's"}, nil
}

// TestRefusedOperator keeps the operator's mistakes from users: the credentials that
// were refused are not theirs.
func TestRefusedOperator(t *testing.T) {
	for name, test := range map[string]struct {
		auth   auth.Authenticator
		answer string
		want   string
		logged string // "" for a refused login
	}{
		"password": {issued{}, "NO [AUTHENTICATIONFAILED] x", notPossible, "the password that the auth source gives"},
		"no code":  {issued{}, "NO x", notPossible, "the password that the auth source gives"},
		"master":   {issued{"boss"}, "NO [AUTHENTICATIONFAILED] x", notPossible, `master user "boss"`},
		"rights":   {issued{"boss"}, "NO [AUTHORIZATIONFAILED] x", notPossible, `master user "boss"`},
		"alert": {issued{"boss"}, "NO [ALERT] Too many connections", "NO [ALERT] Too many connections",
			`master user "boss"`},
		"expired": {issued{"boss"}, "NO [EXPIRED] x", "NO [EXPIRED] The password has expired", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withAuth(test.auth), withAnswers("<tag> "+test.answer))
			c := r.dial("plain")
			c.send("a LOGIN joe %s", canary)
			if text, isAlert := strings.CutPrefix(test.want, "NO [ALERT]"); isAlert {
				c.expectLine("* NO [ALERT]" + text)
				test.want = notPossible
			}
			c.expectLine("a " + test.want)
			l := r.log.lines(t, "login not possible")
			if test.logged == "" {
				if len(l) > 0 {
					t.Errorf("the log has %v", l)
				}
				return
			}
			if len(l) != 1 || l[0].str("level") != "error" || l[0].str("cause") != string(causeSetup) ||
				l[0].str("detail") != "credentials" {
				t.Fatalf("the log has %v", l)
			}
			text := l[0].str("error")
			if !strings.Contains(text, test.logged) || !strings.Contains(text, r.target.Name) {
				t.Errorf("the log has %q", text)
			}
			if strings.Contains(text, "of the operator's") {
				t.Error("the log has the password")
			}
		})
	}
}

// TestRefusedMasterOfTheClients tells a client that logs in as a master user that
// its password is wrong: it is the client's own.
func TestRefusedMasterOfTheClients(t *testing.T) {
	r := newRig(t, withAuth(auth.Passthrough{}), withAnswers("<tag> NO [AUTHENTICATIONFAILED] x"))
	c := r.dial("plain")
	c.send("a AUTHENTICATE PLAIN %s", coded("bob\x00master\x00"+canary))
	c.expectLine("a " + noSuchLogin)
}

// TestReferral follows a backend's referral where the target says so and the
// configuration permits the server, and not for ever.
func TestReferral(t *testing.T) {
	refer := withAnswers("<tag> NO [REFERRAL imap://joe;AUTH=*@127.0.0.1:1/] moved")
	home := startBackend(t, mailbox)
	t.Cleanup(home.stop)
	permitted := func(r *rig, server string) (*backend.Target, error) {
		next := *r.target
		next.Name, next.Addresses = server, []string{home.address()}
		return &next, nil
	}
	master := backend.Credentials{AuthID: "master", Secret: canary}
	withMaster := func(r *rig, server string) (*backend.Target, error) {
		next, err := permitted(r, server)
		next.Master = master
		return next, err
	}
	for name, test := range map[string]struct {
		follow   bool
		master   backend.Credentials // of the target that refers
		referred func(r *rig, server string) (*backend.Target, error)
		want     string
		asked    int // backends that were asked before
	}{
		"refused":  {false, backend.Credentials{}, permitted, "a " + notPossible, 1},
		"followed": {true, backend.Credentials{}, permitted, "", 1},
		"not permitted": {true, backend.Credentials{}, func(*rig, string) (*backend.Target, error) {
			return nil, errors.New("not in the allow-list")
		}, "a " + notPossible, 1},
		"in a circle": {true, backend.Credentials{}, func(r *rig, _ string) (*backend.Target, error) {
			return r.target, nil
		}, "a " + notPossible, 1 + 3},
		"to a master login":        {true, backend.Credentials{}, withMaster, "a " + notPossible, 1},
		"to the same master login": {true, master, withMaster, "", 1},
		"to the master's other login": {true, backend.Credentials{AuthID: "master", Secret: "x"}, withMaster,
			"a " + notPossible, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, refer, func(r *rig) {
				r.target.Follow, r.target.Master = test.follow, test.master
				r.settings.Referred = func(server string) (*backend.Target, error) { return test.referred(r, server) }
			})
			c := r.dial("plain")
			c.send("a LOGIN joe %s", canary)
			if test.want == "" {
				c.expect("a OK .*")
			} else {
				c.expectLine(test.want)
			}
			if n := len(r.backend.all()); n != test.asked {
				t.Errorf("%d logins at the backend that refers, want %d", n, test.asked)
			}
		})
	}
}
