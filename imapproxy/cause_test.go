package imapproxy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
)

// openUsers opens a file of users with a cache.
func openUsers(t *testing.T, lines ...string) *auth.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := auth.OpenFile(file, auth.NewVerifiedCache(time.Minute, time.Now))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// TestCauses says why logins fail, at the source of users, on the way to the
// backend and there: the line has the cause, and so has the session's end.
func TestCauses(t *testing.T) {
	users := func(t *testing.T) option {
		return withAuth(openUsers(t, "joe:{PLAIN}"+canary+":plaintext", "gone:!"))
	}
	fake := func(*testing.T) option { return func(*rig) {} }
	judge := func(*testing.T) option { return withAuth(auth.Passthrough{}) }
	for _, test := range []struct {
		name, user, password string
		setup                func(*testing.T) option
		want                 cause
	}{
		{"file, wrong password", "joe", "wrong", users, causeCredentials},
		{"file, unknown user", "mallory", canary, users, causeCredentials},
		{"file, locked user", "gone", canary, users, causeDisabled},
		{"file, empty password", "joe", `""`, users, causeMalformed},
		{"server, wrong password", "joe", "wrong", fake, causeCredentials},
		{"server, no code", "none@deny", "x", fake, causeCredentials},
		{"server, EXPIRED", "EXPIRED@deny", "x", fake, causeDisabled},
		{"server, NOPERM", "NOPERM@deny", "x", fake, causeDisabled},
		{"server, LIMIT", "LIMIT@deny", "x", fake, causeLimit},
		{"server, PRIVACYREQUIRED", "PRIVACYREQUIRED@deny", "x", fake, causePolicy},
		{"server, AUTHORIZATIONFAILED", "AUTHORIZATIONFAILED@deny", "x", fake, causePolicy},
		{"server, SERVERBUG", "SERVERBUG@deny", "x", fake, causeAuth},
		{"server, none there", "down", "x", fake, causeAuth},
		{"no route", "nowhere", canary, fake, causeRoute},
		{"no answer of the router", "lost", canary, fake, causeRoute},
		{"no route, and the backend is the judge", "nobody", canary, judge, causeCredentials},
		{"no backend", "unreachable", canary, fake, causeBackend},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.setup(t))
			c := r.dial("plain")
			c.send("a LOGIN %s %s", test.user, test.password)
			c.expect("a (NO|BAD) .*")
			c.send("b LOGOUT")
			c.until("b")
			c.close()
			end := r.endsWith(c, endLogout)
			for _, l := range append(r.failures(), end) {
				if l.str("cause") != string(test.want) {
					t.Errorf("the cause is %q, want %q: %v", l.str("cause"), test.want, l)
				}
			}
			if n := len(r.failures()); n != 1 {
				t.Errorf("%d lines about the login, want 1", n)
			}
		})
	}
}

// failures are the lines about logins that failed.
func (r *rig) failures() []logLine {
	return append(r.log.lines(r.t, "login refused"), r.log.lines(r.t, "login not possible")...)
}

// TestCausesOfFailures has a word for each kind and each code: none is in the closed set
// by chance, and only what is about the credentials is called so.
func TestCausesOfFailures(t *testing.T) {
	for kind, want := range map[backend.Kind]cause{
		backend.KindPool: causeLimit, backend.KindLocal: causeLimit, backend.KindConfig: causeSetup,
		backend.KindLoop: causeSetup, backend.KindCredentials: causeSetup, backend.KindReferral: causeSetup,
		backend.KindTimeout: causeBackend, "connect": causeBackend, "backed_off": causeBackend, "new": causeBackend,
	} {
		if got := causeOfFailure(&backend.Error{Kind: kind, Err: errors.New("x")}); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	for code := range codeTexts {
		got := causeOfCode(code, causeBackend)
		if !slices.Contains(causes(), got) || (got == causeCredentials) != (code == "AUTHENTICATIONFAILED") {
			t.Errorf("%s is %s", code, got)
		}
	}
	if causeOfCode("", causeBackend) != causeRefused || causeOfCode("ALERT", causeBackend) != causeRefused {
		t.Error("no code, or an alert")
	}
}

// TestCausesOfWords reads what auth servers say, which have no codes.
func TestCausesOfWords(t *testing.T) {
	for text, want := range map[string]cause{
		"": causeCredentials, "Invalid login or password": causeCredentials,
		"Wrong password, try again":                                    causeCredentials,
		"Too many connections":                                         causeLimit,
		"Maximum number of connections from user+IP exceeded":          causeLimit,
		"Temporary server problem, please try again later":             causeAuth, // nginx's documentation
		"Temporary authentication failure.":                            causeAuth,
		"Internal error":                                               causeAuth,
		"Login failed: account disabled":                               causeDisabled,
		"Your password has EXPIRED; choose another at www.example.org": causeDisabled,
	} {
		if got := causeOfDenial(&auth.Denied{Text: text}); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if got := causeOfDenial(&auth.Denied{Code: "AUTHENTICATIONFAILED", Text: text}); got != causeCredentials {
			t.Errorf("%q with a code is %s", text, got)
		}
	}
}

// TestCausesDocumented has each cause in docs/logins.md.
func TestCausesDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/logins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Causes")
	if !found {
		t.Fatal("docs/logins.md has no causes")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	for _, c := range causes() {
		if strings.Count(table, fmt.Sprintf("\n| `%s` |", c)) != 1 {
			t.Errorf("docs/logins.md does not have the cause %s once", c)
		}
	}
	if rows := strings.Count(table, "\n| `"); rows != len(causes()) {
		t.Errorf("docs/logins.md has %d causes, want %d", rows, len(causes()))
	}
}

// TestLoginLine has one line when a client is logged in, with the fields that
// the end line has too, and none when it is not.
func TestLoginLine(t *testing.T) {
	for _, listener := range []string{"tls", "plain"} {
		r := newRig(t)
		c := r.dial(listener)
		c.send("a LOGIN joe wrong")
		c.expect("a NO .*")
		if l := r.log.lines(t, "session logged in"); len(l) > 0 {
			t.Errorf("a refused login is logged as one that went well: %v", l)
		}
		c.send("b AUTHENTICATE PLAIN %s", coded("joe\x00master\x00"+canary))
		c.expect("b OK .*")
		r.await("the line", func() bool { return len(r.log.lines(t, "session logged in")) == 1 })
		line := r.log.lines(t, "session logged in")[0]
		c.send("c LOGOUT")
		c.until("c")
		c.close()
		end := r.endsWith(c, endLogout)
		fields := []string{"session", "client", "user", "authzid", "backend", "listener", "mechanism", "level"}
		if listener == "tls" {
			fields = append(fields, "tls")
		}
		for _, field := range fields {
			if line.str(field) == "" || line.str(field) != end.str(field) {
				t.Errorf("%s: %s is %q at the login, %q at the end", listener, field, line.str(field), end.str(field))
			}
		}
		if len(line) != len(fields)+1 { // and the message
			t.Errorf("%s: the line is %v", listener, line)
		}
		if end.str("cause") != "" {
			t.Error("a session that was logged in ends with the cause of an earlier attempt")
		}
		if n := len(r.log.lines(t, "session logged in")); n != 1 {
			t.Errorf("%d lines, want 1", n)
		}
	}
}

// TestLoginsFromTheCache counts them, also after a reload.
func TestLoginsFromTheCache(t *testing.T) {
	hash, err := auth.HashPassword(canary, "")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, withAuth(openUsers(t, "joe:"+hash)))
	seen := func(hits, misses int) {
		t.Helper()
		got := counts(t, r.server.Metrics(), "imapproxy_auth_cache_total", "result")
		if got["hit"] != hits || got["miss"] != misses {
			t.Errorf("%v, want %d hits and %d misses", got, hits, misses)
		}
	}
	visit := func() {
		t.Helper()
		c := r.dial("plain")
		c.send("a LOGIN joe %s", canary)
		c.expect("a OK .*")
		c.send("b LOGOUT")
		c.until("b")
		c.close()
		r.endsWith(c, endLogout)
	}
	visit()
	seen(0, 1)
	visit()
	seen(1, 1)
	next := *r.settings
	next.Auth = openUsers(t, "joe:"+hash)
	r.server.Reload(&next)
	visit()
	visit()
	seen(2, 2)
}
