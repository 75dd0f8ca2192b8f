package load

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestErrorKinds meets servers that go wrong in each way, and wants it counted under its name.
func TestErrorKinds(t *testing.T) {
	const hello, in = "* OK hello\r\n", "TAG OK in\r\n"
	tests := []struct {
		mode, end string
		lines     []string
		want      string
		first     string
	}{
		{"login", "", []string{"* BYE [UNAVAILABLE] full\r\n"}, "greeting: BYE [UNAVAILABLE]", "full"},
		{"login", "", nil, "greeting: closed", "EOF"},
		{"login", "silent", nil, "greeting: no answer in time", "timeout"},
		{"login", "", []string{"220 mail ESMTP\r\n"}, "greeting: unexpected answer", "220 mail"},
		{"login", "", []string{hello, "TAG NO [AUTHENTICATIONFAILED] no\r\n"}, "LOGIN: NO [AUTHENTICATIONFAILED]",
			"no"},
		{"login", "", []string{hello, "TAG BAD what\r\n"}, "LOGIN: BAD", "what"},
		{"login", "", []string{hello, "* BYE going\r\n"}, "LOGIN: BYE", "going"},
		{"login", "reset", []string{hello}, "LOGIN: reset", "reset"},
		{"login", "silent", []string{hello}, "LOGIN: no answer in time", "timeout"},
		{"login", "silent", []string{hello, in, "* BYE\r\nTAG OK out\r\n"}, "end of the connection: no answer in time",
			"timeout"},
		{"rtt", "close", []string{hello, in}, "NOOP: closed", "EOF"},
		{"rtt", "", []string{hello, in, "other OK not yours\r\n"}, "NOOP: unexpected answer", "not yours"},
		{"rtt", "", []string{hello, in, "* half a li"}, "NOOP: closed", "unexpected EOF"},
		{"fetch", "", []string{hello, in, "TAG OK selected\r\n", "TAG OK nothing\r\n"}, "FETCH: no message",
			"no message 1"},
		{"fetch", "", []string{hello, in, "TAG OK selected\r\n", "* 1 FETCH (BODY[] {100}\r\nshort"}, "FETCH: closed",
			"EOF"},
		{"append", "", []string{hello, in, "TAG NO [OVERQUOTA] full\r\n"}, "APPEND: NO [OVERQUOTA]", "full"},
		{"idle", "", []string{hello, in, "TAG OK selected\r\n", "TAG BAD no IDLE\r\n"}, "IDLE: BAD", "no IDLE"},
		{"idle", "", []string{hello, in, "TAG OK selected\r\n", "+ go\r\n* BYE shutdown\r\n"}, "IDLE: BYE", "shutdown"},
		{"mixed", "", []string{hello, in, "TAG NO [NONEXISTENT] no\r\n"}, "SELECT: NO [NONEXISTENT]", "no"},
	}
	for _, tt := range tests {
		t.Run(tt.mode+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			to := dialogue(t, tt.end, tt.lines...)
			r, _ := loadOf(t, tt.mode, "--proxy", to, "--sessions", "1", "--duration", "200ms", "--limit", "100ms")
			if len(r.Errors) == 0 || r.Errors[0].Kind != tt.want || !strings.Contains(r.Errors[0].First, tt.first) {
				t.Errorf("errors %+v, want %q with %q", r.Errors, tt.want, tt.first)
			}
		})
	}
}

// TestErrorsRefused wants a bounded number of tries, each counted.
func TestErrorsRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := loadOf(t, "login", "--proxy", nobody, "--sessions", "1", "--duration", "500ms")
	if n := r.Errors[0].Count; err != nil || n < 2 || n > 10 || r.Errors[0].Kind != "connect: refused" {
		t.Errorf("%d tries in half a second, %v: want a few, with pauses between them", n, err)
	}
	_, err = loadOf(t, "rtt", "--proxy", nobody, "--sessions", "3", "--duration", "500ms")
	rigtest.CheckError(t, err, "no session could be opened")
}

// TestErrorsExit wants errors in the load itself to be reported, and exit code 1.
func TestErrorsExit(t *testing.T) {
	to := dialogue(t, "", "* OK hello\r\n", "TAG OK in\r\n", "* BYE enough\r\nTAG NO enough\r\n")
	var stdout, stderr strings.Builder
	code := Run(t.Context(), []string{"rtt", "--proxy", to, "--sessions", "1", "--duration", "500ms"}, &stdout, &stderr)
	if code != rig.ExitFailed || !strings.Contains(stdout.String(), "\nNOOP: NO ") || stderr.String() != "" {
		t.Errorf("code %d, and it printed %s%s", code, stdout.String(), stderr.String())
	}
}

// TestOpenGivesUp wants the rest of many sessions not to be tried when none comes about.
func TestOpenGivesUp(t *testing.T) {
	to := dialogue(t, "", "* BYE full\r\n")
	r, err := loadOf(t, "idle", "--proxy", to, "--sessions", "5000")
	rigtest.CheckError(t, err, "no session could be opened")
	kinds := map[string]int{}
	for _, e := range r.Errors {
		kinds[e.Kind] = e.Count
	}
	if n := kinds["greeting: BYE"]; n < openFailures || n > openFailures+parallelOpens ||
		kinds["open: most sessions failed, the rest was not tried"] != 1 {
		t.Errorf("errors %v", kinds)
	}
}

func TestErrorsTLS(t *testing.T) {
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	r, _ := loadOf(t, "login", "--proxy", to[0], "--tls", "implicit", "--sessions", "1", "--duration", "100ms")
	if len(r.Errors) == 0 || !strings.HasPrefix(r.Errors[0].Kind, "TLS: ") {
		t.Errorf("errors %+v, want TLS to have failed", r.Errors)
	}
	r, _ = loadOf(t, "login", "--proxy", to[0], "--password", "wrong", "--sessions", "1", "--duration", "100ms")
	if len(r.Errors) == 0 || r.Errors[0].Kind != "LOGIN: NO [AUTHENTICATIONFAILED]" {
		t.Errorf("errors %+v, want a refusal", r.Errors)
	}
}

// TestErrorKindsBounded lets a server invent kinds.
func TestErrorKindsBounded(t *testing.T) {
	var c errorCounts
	for i := range 3 * maxErrorKinds {
		c.add(failure("LOGIN", answerOf(fmt.Appendf(nil, "NO [X%d] no", i))))
	}
	c.add(errors.New("of no kind"))
	list := c.list()
	if len(list) != maxErrorKinds+1 || list[0].Kind != "other" || c.sum() != 3*maxErrorKinds+1 {
		t.Errorf("%d kinds, first %+v, %d errors", len(list), list[0], c.sum())
	}
}

// TestLostSession wants a session that ends to be counted, and another in its place.
func TestLostSession(t *testing.T) {
	to := dialogue(t, "", "* OK hello\r\n", "TAG OK in\r\n", "TAG OK one\r\n", "* BYE enough\r\n")
	r, err := loadOf(t, "rtt", "--proxy", to, "--sessions", "1", "--duration", (400 * time.Millisecond).String())
	kinds := map[string]int{}
	for _, e := range r.Errors {
		kinds[e.Kind] = e.Count
	}
	last := kinds["LOGOUT: BYE"] // of the session that is open when the time is over, if it has had its NOOP
	delete(kinds, "LOGOUT: BYE")
	if err != nil || r.First().Count < 2 || len(kinds) != 1 || kinds["NOOP: BYE"] == 0 || last > 1 {
		t.Errorf("%v, %+v, %+v: want NOOPs on several sessions", err, r.First(), r.Errors)
	}
}
