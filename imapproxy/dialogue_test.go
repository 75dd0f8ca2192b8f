package imapproxy

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imapproxy/scripts/dialogue"
)

// format is that of the dialogues in testdata, which run over real sockets:
//
//	listener: plain      or insecure, starttls, tls, compress, read-only, deny; far- before it: a client that is
//	                     not on loopback; plain if not given
//	reason: logout       what the log gives as the session's end; must be there
//	log: key=value ...   other fields of the end line; "-" for none, "_" for a space
//	logins: [authz/]user ...  what the backend sees, each with the canary as its password; none if not given
//	relayed: "bytes"     what the last backend connection gets after its login
//	refused: rule=n ...  what the metric counts, not looked at if not given
//	limits: login=3 ...  bad, failed or sessions
//
//	C: text     the client sends text and CRLF; C- "text" without CRLF, in one write
//	S: text     the client reads this line
//	S~ regexp   the client reads a line that matches
//	TLS         the client shakes hands
//	HALF        the client closes its side
//	CLOSE, EOF, RST   the end: the client closes, or reads that the proxy does; the last step
//
// <canary> is the password.
var format = dialogue.Format{
	Headers: []string{"listener", "reason", "log", "logins", "relayed", "refused", "limits"},
	Verbs:   []string{"C:", "C-", "S:", "S~"},
	Bare:    []string{"TLS", "HALF", "CLOSE", "EOF", "RST"},
	Macros:  map[string]string{"canary": canary},
}

func TestDialogues(t *testing.T) { format.Run(t, "testdata/dialogues/*.txt", 10, runDialogue) }

func runDialogue(t *testing.T, d *dialogue.Dialogue) {
	if d.Header("reason") == "" {
		t.Fatal("a dialogue needs a reason")
	}
	r := newRig(t, withLimits(func(l *Limits) { setLimits(t, l, d.Header("limits")) }))
	c := r.connect(cmp.Or(d.Header("listener"), "plain"))
	for _, s := range d.Steps {
		if takeStep(c, s); t.Failed() {
			t.Fatalf("%s: %s %q", s.At, s.Verb, shorten(s.Text))
		}
	}
	checkEndLine(t, r.endsWith(c, endReason(d.Header("reason"))), d.Header("log"))
	r.restful()
	checkBackend(t, r, d)
	refused := counts(t, r.server.Metrics(), "imapproxy_commands_refused_total", "rule")
	if want := d.Header("refused"); want != "" && fmt.Sprint(refused) != "map["+strings.ReplaceAll(want, "=", ":")+"]" {
		t.Errorf("the metric has %v, want %s", refused, want)
	}
}

func shorten(s string) string { return s[:min(len(s), 200)] }

func setLimits(t *testing.T, l *Limits, fields string) {
	t.Helper()
	for _, f := range strings.Fields(fields) {
		key, value, _ := strings.Cut(f, "=")
		n, err := strconv.Atoi(value)
		field := map[string]*int{"bad": &l.BadCommands, "failed": &l.FailedLogins, "sessions": &l.Sessions}[key]
		if err != nil || field == nil {
			t.Fatalf("limits: %q", f)
		}
		*field = n
	}
}

func takeStep(c *testClient, s dialogue.Step) {
	c.t.Helper()
	switch s.Verb {
	case "C:":
		c.write(s.Text + "\r\n")
	case "C-":
		c.write(s.Text)
	case "S:":
		c.expect(regexp.QuoteMeta(s.Text))
	case "S~":
		c.expect(s.Text)
	case "TLS":
		c.handshake(clientTLS("imap"))
	case "HALF":
		c.halfClose()
	case "CLOSE":
		c.close()
	case "EOF":
		c.expectEOF()
	case "RST":
		c.expectReset()
	}
}

func checkEndLine(t *testing.T, l logLine, fields string) {
	t.Helper()
	for _, f := range strings.Fields(fields) {
		key, want, _ := strings.Cut(f, "=")
		got := "-"
		if v, found := l[key]; found {
			got = fmt.Sprint(v)
		}
		if want = strings.ReplaceAll(want, "_", " "); strings.ReplaceAll(got, "_", " ") != want {
			t.Errorf("the log has %s=%q, want %q", key, got, want)
		}
	}
}

func checkBackend(t *testing.T, r *rig, d *dialogue.Dialogue) {
	t.Helper()
	var seen []string
	for _, l := range r.backend.logins() {
		if l.secret != canary {
			t.Errorf("the backend gets the password %q", l.secret)
		}
		name := l.user
		if l.authz != "" {
			name = l.authz + "/" + l.user
		}
		seen = append(seen, name)
	}
	if got := strings.Join(seen, " "); got != d.Header("logins") {
		t.Errorf("the backend sees the logins %q, want %q", got, d.Header("logins"))
	}
	if d.Header("relayed") == "" {
		return
	}
	want, err := strconv.Unquote(d.Header("relayed"))
	if err != nil {
		t.Fatalf("relayed: %v", err)
	}
	conns := r.backend.all()
	if len(conns) == 0 {
		t.Fatal("relayed: there is no backend connection")
	}
	if got := conns[len(conns)-1].relayed(); got != want {
		t.Errorf("after the login the backend gets %q, want %q", got, want)
	}
}
