package rig

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

// talk is a connection of a test to one of the fast servers.
type talk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newTalk(t *testing.T, to string) *talk {
	t.Helper()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &talk{t, conn, bufio.NewReader(conn)}
}

func (k *talk) say(text string) {
	k.t.Helper()
	if _, err := io.WriteString(k.conn, text); err != nil {
		k.t.Fatal(err)
	}
}

// want reads a line that begins like this.
func (k *talk) want(prefix string) string {
	k.t.Helper()
	line, err := k.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		k.t.Fatalf("read %q, %v; want %q", line, err, prefix)
	}
	return strings.TrimRight(line, "\r\n")
}

// TestFastBackend goes through its commands. Lines of the client begin with "C: "; a "|" in them is CRLF.
func TestFastBackend(t *testing.T) {
	tests := map[string]string{
		"login":       "C: a LOGIN u p\na OK\nC: b logout\n* BYE\nb OK\nEOF",
		"refused":     "C: a LOGIN \"u\" \"wrong\"\na NO [AUTHENTICATIONFAILED]\nC: b LOGIN u right\nb OK",
		"literals":    "C: a LOGIN {1}\n+ \nC: u {5}\n+ \nC: wrong\na NO",
		"not waiting": "C: a LOGIN {1+}\nC: u {1+}\nC: p\na OK",
		"plain": "C: a AUTHENTICATE PLAIN\n+ \nC: AHUAcA==\na OK\nC: b AUTHENTICATE PLAIN AHUAd3Jvbmc=\nb NO\n" +
			"C: c AUTHENTICATE PLAIN *\nc BAD\n" +
			"C: d AUTHENTICATE X\nd NO",
		"small commands": "C: a CAPABILITY\n* CAPABILITY IMAP4rev1\na OK\nC: b ID NIL\n* ID\nb OK\n" +
			"C: c LIST \"\" *\n* LIST\nc OK\nC: d STATUS INBOX (MESSAGES)\n* STATUS INBOX (MESSAGES 4\nd OK\n" +
			"C: e XYZZY\ne BAD\n" +
			"C: f NAMESPACE\n* NAMESPACE\nf OK\nC: g UID SEARCH ALL\n* SEARCH\ng OK",
		"select":    "C: a SELECT INBOX\n* 4 EXISTS\n* 0 RECENT\n* FLAGS\n* OK\n* OK\na OK",
		"pipelined": "C: a NOOP|b NOOP|c NOOP\na OK\nb OK\nc OK",
		"append": "C: a APPEND INBOX {4}\n+ \nC: 1234\na OK\nC: b APPEND INBOX (\\Seen) {3000+}|" +
			strings.Repeat("x", 3000) + "\nb OK\nC: c NOOP\nc OK",
		"fetch flags": "C: a FETCH 2 (FLAGS RFC822.SIZE)\n* 2 FETCH (FLAGS (\\Seen) RFC822.SIZE 1048576\na OK\n" +
			"C: b FETCH 5 BODY[]\nb BAD\nC: c FETCH x BODY[]\nc BAD",
		"idle":        "C: a IDLE\n+ \n* 5 EXISTS\n* 6 EXISTS\nC: DONE\na OK",
		"idle badly":  "C: a IDLE\n+ \n* 5 EXISTS\nC: a LOGOUT\na BAD",
		"a long line": "C: " + strings.Repeat("x", fastLine) + "\nEOF",
		"endless login": "C: a LOGIN u {99999999999999999999}\na OK\nC: b LOGIN {" + fmt.Sprint(fastArgument+1) +
			"+}|" + strings.Repeat("x", fastArgument+1) + " p\nb OK",
	}
	to := rigtest.Start(t, NewFastBackend, BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort,
		IdlePush: 400 * time.Millisecond})
	for name, dialogue := range tests {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, to[0])
			k.want("* OK [CAPABILITY")
			for line := range strings.SplitSeq(dialogue, "\n") {
				text, client := strings.CutPrefix(line, "C: ")
				switch {
				case client:
					k.say(strings.ReplaceAll(text, "|", "\r\n") + "\r\n")
				case line == "EOF":
					if _, err := k.in.ReadByte(); err == nil {
						t.Fatal("it goes on, want an end")
					}
				default:
					k.want(line)
				}
			}
		})
	}
}

// TestFastBackendBodies wants messages of the promised sizes, the same ones in clear and with TLS.
func TestFastBackendBodies(t *testing.T) {
	to := rigtest.Start(t, NewFastBackend, BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	read := func(k *talk) (sums []string) {
		k.want("* OK")
		for i, size := range fastSizes() {
			k.say(fmt.Sprintf("a UID FETCH %d BODY.PEEK[]\r\n", i+1))
			k.want(fmt.Sprintf("* %d FETCH (BODY[] {%d}", i+1, size))
			sum := sha256.New()
			if _, err := io.CopyN(sum, k.in, int64(size)); err != nil {
				t.Fatal(err)
			}
			k.want(")")
			k.want("a OK")
			sums = append(sums, fmt.Sprintf("%x", sum.Sum(nil)))
		}
		return sums
	}
	clear := read(newTalk(t, to[0]))
	k := newTalk(t, to[1])
	k.conn = tls.Client(k.conn, &tls.Config{InsecureSkipVerify: true})
	k.in = bufio.NewReader(k.conn)
	if secure := read(k); fmt.Sprint(clear) != fmt.Sprint(secure) {
		t.Errorf("messages in clear %v, with TLS %v", clear, secure)
	}
}

// TestFastBackendStartTLS wants STARTTLS to be offered in clear, to be there, and not to be offered after it.
func TestFastBackendStartTLS(t *testing.T) {
	const list = "CAPABILITY " + fastCapabilities
	to := rigtest.Start(t, NewFastBackend, BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	k := newTalk(t, to[0])
	k.want("* OK [" + list + " STARTTLS]")
	k.say("a CAPABILITY\r\n")
	if got, want := k.want("*"), "* "+list+" STARTTLS"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	k.want("a OK")
	k.say("b STARTTLS\r\n")
	k.want("b OK")
	k.conn = tls.Client(k.conn, &tls.Config{InsecureSkipVerify: true})
	k.in = bufio.NewReader(k.conn)
	k.say("c CAPABILITY\r\n")
	if got, want := k.want("*"), "* "+list; got != want {
		t.Errorf("with TLS %q, want %q", got, want)
	}
	k.want("c OK")
}

func TestFastBackendLoginDelay(t *testing.T) {
	to := rigtest.Start(t, NewFastBackend, BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort,
		loginDelay: 300 * time.Millisecond})
	k := newTalk(t, to[0])
	k.want("* OK")
	began := time.Now()
	k.say("a LOGIN u p\r\n")
	k.want("a OK")
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("the login took %v", took)
	}
}

// TestFastBackendStops wants it to end with clients connected.
func TestFastBackendStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- BackendOptions{Listen: "127.0.0.1:0"}.run(ctx, in)
		_ = in.Close()
	}()
	addrs, err := readListening(out, 1)
	if err != nil {
		t.Fatal(err)
	}
	k := newTalk(t, addrs[0].String())
	k.want("* OK")
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if _, err := k.in.ReadByte(); err == nil {
		t.Error("the client is still served")
	}
}

func TestFastAuth(t *testing.T) {
	a, err := newFastAuth(t.Context(), "127.0.0.1:0", netip.MustParseAddrPort("127.0.0.9:143"))
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Serve(t, a.run)
	ask := func(k *talk, version, password string) string {
		k.say("GET /auth " + version + "\r\nHost: x\r\nauth-pass: " + password + "\r\n\r\n")
		k.want("HTTP/1.1 200")
		var lines []string
		for {
			line := k.want("")
			if line == "" {
				return strings.Join(lines, "|")
			}
			lines = append(lines, line)
		}
	}
	const granted = "Content-Length: 0|Auth-Status: OK|Auth-Server: 127.0.0.9|Auth-Port: 143"
	const refused = "Content-Length: 0|Auth-Status: Invalid login or password"
	k := newTalk(t, a.listener.Addr().String())
	for _, tt := range [][3]string{{"HTTP/1.1", "p", granted}, {"HTTP/1.1", "wrong", refused},
		{"HTTP/1.0", "p", granted}} {
		if got := ask(k, tt[0], tt[1]); got != tt[2] {
			t.Errorf("%v: got %s", tt, got)
		}
	}
	if _, err := k.in.ReadByte(); err != io.EOF {
		t.Errorf("%v, want an end after HTTP/1.0", err)
	}
	k = newTalk(t, a.listener.Addr().String())
	k.say("GET / HTTP/1.1\r\n" + strings.Repeat("x: y\r\n", fastHeaders))
	if _, err := k.in.ReadByte(); err == nil {
		t.Error("endless headers were answered")
	}
}
