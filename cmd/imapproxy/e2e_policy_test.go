package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// policyListeners are listeners with policies, each on a port of its own.
var policyListeners = map[string]string{
	"usual":     "",
	"read-only": "read_only = true",
	"deny":      `deny = ["STORE", "IDLE"]`,
	"limit":     "append_limit = 100",
}

// alwaysRefused are commands that every policy refuses, pipelined with others.
var alwaysRefused = []exchange{
	{"CAPABILITY", "OK"}, {"UNAUTHENTICATE", "NO [CANNOT]"}, {"NOOP", "OK"}, {"compress DEFLATE", "NO [CANNOT]"},
	{"STARTTLS", "BAD"}, {"NOOP", "OK"}, {"AUTHENTICATE PLAIN", "BAD"}, {"LOGIN ann x", "BAD"},
	{"UNAUTHENTICATE {12+}\r\nx STARTTLS\r\n", "NO [CANNOT]"}, {" NOOP", "BAD"},
}

// smuggled is a command in the bytes of a literal of 22 bytes, where Dovecot would
// find it after a mistake. "mine" is the only flag that may be stored.
const smuggled = "{22+}\r\nx STORE 1 +FLAGS (x)\r\n"

// policyExchanges are what a client of each listener sends, and reads in this order.
var policyExchanges = map[string][]exchange{
	"usual": {{"SELECT INBOX", "OK [READ-WRITE]"}, {"STORE 1 +FLAGS.SILENT (mine)", "OK"}},
	"read-only": {{"SELECT INBOX", "OK [READ-ONLY]"}, {"STORE 1 +FLAGS (x)", "NO [NOPERM]"},
		{"uid Store 1 +FLAGS (x)", "NO [NOPERM]"}, {"APPEND INBOX {3+}\r\nabc", "NO [NOPERM]"},
		{"CREATE x", "NO [NOPERM]"}, {"XFOO", "NO [NOPERM]"}, {"CLOSE", "OK"},
		{"SELECT {5+}\r\nINBOX", "OK [READ-ONLY]"},
		{"FETCH ) " + smuggled, "BAD"}, {"FETCH 1 FLAGS", "OK"}},
	"deny": {{"SELECT INBOX", "OK [READ-WRITE]"}, {"UID STORE 1 +FLAGS (x)", "NO [NOPERM]"}, {"IDLE", "NO [NOPERM]"},
		{`APPEND INBOX "x STORE 1 +FLAGS (x)`, "BAD"}, {"APPEND INBOX CATENATE (BAD)x STORE 1 +FLAGS (x)", "BAD"},
		{"APPEND INBOX {y}x STORE 1 +FLAGS (x)", "BAD"}, {`APPEND INBOX (\Seen ` + smuggled + ")", "BAD"},
		{"FETCH ) " + smuggled, "BAD"}, {"XFOO " + smuggled, "BAD"},
		{"SETMETADATA nobox (/private/x " + smuggled + ")", "NO"},
		{"NOOP", "OK"}},
	"limit": {{"APPEND INBOX {101+}\r\n" + strings.Repeat("x", 101), "NO [TOOBIG]"}, {"NOOP", "OK"},
		{"APPEND INBOX {3+}\r\nabc {101+}\r\n" + strings.Repeat("x", 101), "NO [TOOBIG]"},
		{"APPEND INBOX CATENATE (TEXT {3+}\r\nabc)", "BAD"}, {"APPEND {5+}\r\nINBOX (mine) {3+}\r\nabc", "OK"}},
}

// hiddenNames are capabilities that no policy lets clients read.
var hiddenNames = []string{"COMPRESS", "UNAUTHENTICATE", "STARTTLS", "AUTH=", "SASL-IR", "LOGIN-REFERRALS"}

// exchange is a command without its tag, and how its tagged answer begins.
type exchange struct{ command, answer string }

// TestPolicy has what clients may not do refused in front of a real Dovecot, and
// looks at what the Dovecot has done.
func TestPolicy(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newRig(t)
	ports := r.addPolicies(t)
	p, _ := r.launch(t, r.program(t), 2+len(ports))
	for name, port := range ports {
		l := open(t, endpoint{port, plain, r.CAFile})
		l.login(t, r.Ann)
		l.pipeline(t, slices.Concat(alwaysRefused, policyExchanges[name], []exchange{{"LOGOUT", "OK"}}))
		l.expectEnd(t)
	}
	noSessions(t, r.One)
	direct := open(t, r.One.endpoint(plain))
	direct.login(t, r.Ann)
	direct.command(t, "a SELECT INBOX", "* 2 EXISTS")
	direct.expect(t, "a OK")
	direct.send(t, "b FETCH 1:* FLAGS\r\n")
	for _, message := range []string{"* 1 FETCH", "* 2 FETCH"} {
		if text := direct.expect(t, message); !strings.Contains(text, "mine)") {
			t.Errorf("%q, want mine as the only flag of its own", text)
		}
	}
	eventually(t, "ends", func() (bool, string) {
		text := p.text(t)
		return strings.Count(text, `"backend_end":"logout"`) == len(ports) &&
			strings.Count(text, `"phase":"relay","reason":"logout"`) == len(ports), text
	})
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// addPolicies adds the listeners to the configuration, and returns their ports.
func (r *rig) addPolicies(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(r.Config)
	try(t, "configuration", err)
	ports := map[string]int{}
	for name, rules := range policyListeners {
		ports[name] = freePort(t)
		text = fmt.Appendf(text, "\n[[listener]]\nname = %q\naddress = \"127.0.0.1:%d\"\ntls = \"starttls\"\n"+
			"certificate = \"cert.pem\"\nkey = \"key.pem\"\n\n[listener.policy]\n%s\n", name, ports[name], rules)
	}
	write(t, r.Config, 0o600, string(text))
	return ports
}

// pipeline sends commands in one write, and checks that the tagged answers come in
// their order, that no other line is BAD, and that capabilities are hidden.
func (l *line) pipeline(t *testing.T, all []exchange) {
	t.Helper()
	var said strings.Builder
	for i, x := range all {
		fmt.Fprintf(&said, "t%d %s\r\n", i, x.command)
	}
	l.send(t, said.String())
	for i := 0; i < len(all); {
		text, err := l.r.ReadString('\n')
		switch want := fmt.Sprintf("t%d %s", i, all[i].answer); {
		case err != nil:
			t.Fatalf("no answer to %q: %v", all[i].command, err)
		case strings.HasPrefix(text, "* BAD"):
			t.Errorf("%q before the answer to %q", text, all[i].command)
		case strings.HasPrefix(text, "* CAPABILITY"):
			for _, name := range hiddenNames {
				if strings.Contains(text, " "+name) {
					t.Errorf("%s is in %q", name, text)
				}
			}
		case strings.HasPrefix(text, "t"):
			if i++; !strings.HasPrefix(text, want) {
				t.Errorf("%q is answered %q, want %q", all[i-1].command, text, want)
			}
		}
	}
}
