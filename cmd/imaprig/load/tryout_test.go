package load

import (
	"net"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestTryOut meets servers that can't serve a mode, and wants one sentence, exit code 2 and no report, however many
// sessions were asked for.
func TestTryOut(t *testing.T) {
	const hello, in, selected = "* OK hello\r\n", "TAG OK in\r\n", "* 2 EXISTS\r\n* 0 RECENT\r\nTAG OK selected\r\n"
	const empty = "* 0 EXISTS\r\nTAG OK selected\r\n"
	tests := []struct {
		args, end string
		lines     []string
		want      string // ADDR stands for the server's address
	}{
		{"login", "", []string{"220 mail ESMTP\r\n"}, `ADDR does not greet as an IMAP server: "220 mail ESMTP"`},
		{"login", "", []string{"* PREAUTH hello\r\n"}, `ADDR does not greet as an IMAP server: "* PREAUTH hello"`},
		{"login", "", nil,
			"ADDR does not greet as an IMAP server: it closes the connection; does it want --tls implicit?"},
		{"login --limit 100ms", "silent", nil,
			"ADDR does not greet as an IMAP server: it says nothing for 100ms; does it want --tls implicit?"},
		{"login", "", []string{"* BYE [UNAVAILABLE] full\r\n"}, `ADDR takes no session: "* BYE [UNAVAILABLE] full"`},
		{"login --tls starttls", "", []string{hello, "TAG BAD what\r\n"},
			`ADDR has no STARTTLS: it answers "BAD what"; is it --tls off or --tls implicit?`},
		{"login --tls implicit", "close", []string{hello},
			"ADDR does not speak TLS (first record does not look like a " +
				"TLS handshake): is it --tls off or --tls starttls?"},
		{"login", "", []string{hello, "TAG NO [AUTHENTICATIONFAILED] no\r\n"},
			`ADDR refuses user "rig1": "NO [AUTHENTICATIONFAILED] no"; give --user and --password`},
		{"login --user a", "", []string{hello, "TAG NO [PRIVACYREQUIRED] no\r\n"},
			`ADDR takes no login without TLS: "NO [PRIVACYREQUIRED] no"; give --tls`},
		{"login --limit 100ms", "silent", []string{hello}, "ADDR fails at LOGIN: it says nothing for 100ms"},
		{"rtt", "reset", []string{hello}, "ADDR fails at LOGIN: it resets the connection"},
		{"rtt", "", []string{hello, "* BYE going\r\n"}, `ADDR refuses user "rig1": "* BYE going"`},
		{"fetch", "", []string{hello, in, empty},
			`mailbox "INBOX" of user "rig1" is empty, and fetch reads message 1 of ` +
				"it: store one, as imaprig load append does, or give --mailbox"},
		{"mixed", "", []string{hello, in, empty}, `mailbox "INBOX" of user "rig1" is empty, and mixed reads message 1`},
		{"mixed --message 3", "", []string{hello, in, selected},
			`mailbox "INBOX" of user "rig1" has no message 3, which mixed reads: give --message 1 to 2`},
		{"mixed", "", []string{hello, in, "TAG NO [NONEXISTENT] no\r\n"},
			`ADDR does not let user "rig1" select mailbox "INBOX": "NO [NONEXISTENT] no"; give --mailbox`},
		{"mixed", "", []string{hello, in, selected, "TAG BAD what\r\n"},
			`ADDR has no IDLE, which mixed needs: it answers "BAD what"`},
		{"idle", "", []string{hello, in, selected, "TAG BAD what\r\n"}, `ADDR has no IDLE, which idle needs`},
		{"scale --sessions 400", "", []string{hello, in, selected, "TAG NO what\r\n"},
			"ADDR has no IDLE, which scale needs"},
		{"append --size 8k", "", []string{hello, in, "TAG NO [TRYCREATE] no\r\n"},
			`ADDR does not let user "rig1" store 8192 bytes in mailbox "INBOX": "NO [TRYCREATE] no"`},
		{"append", "", []string{hello, in, "x\r\n"}, `ADDR does not let user "rig1" store`},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+strings.Join(tt.lines, ""), func(t *testing.T) {
			t.Parallel()
			addr := dialogue(t, tt.end, tt.lines...)
			checkTryOut(t, strings.Fields(tt.args), addr, tt.want)
		})
	}
}

func checkTryOut(t *testing.T, args []string, addr, want string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code := Run(t.Context(), append(args, "--proxy", addr), &stdout, &stderr)
	want = "imaprig load: " + strings.ReplaceAll(want, "ADDR", addr)
	if code != rig.ExitUsage || stdout.String() != "" || !strings.HasPrefix(stderr.String(), want) ||
		strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("code %d, stdout %q, stderr %q; want 2, nothing and one line, %q", code, stdout.String(),
			stderr.String(), want)
	}
}

// TestTryOutUnreachable has no server at all.
func TestTryOutUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", rigtest.AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	checkTryOut(t, []string{"login"}, nobody, "nothing listens on ADDR")
	checkTryOut(t, []string{"idle"}, "no..such:143", "the host of no..such:143 is not found: no such host")
	checkTryOut(t, []string{"scale", "--sessions", "5"}, rigtest.Start(t, rig.NewFastBackend,
		rig.BackendOptions{Listen: rigtest.AnyPort})[0], "--sessions 5: scale wants 400 or more")
}

// TestTryOutGood has every mode begin, and what one session finds is not counted.
func TestTryOutGood(t *testing.T) {
	rigtest.NotQuick(t)
	addr := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort})[0]
	for _, mode := range ModeNames() {
		o, err := parse([]string{mode, "--proxy", addr, "--size", "8k"}, &strings.Builder{})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{opts: o, meter: newMeter(o.Mode.operations...)}
		if mode == "append" {
			if r.body, err = rig.NewBody(o.Size); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.body.Close() })
		}
		if err := r.tryOut(t.Context()); err != nil || r.meter.errors.sum() > 0 {
			t.Errorf("%s: %v, %d errors", mode, err, r.meter.errors.sum())
		}
	}
}
