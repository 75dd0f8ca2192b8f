package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"imapproxy/backend/timing"
)

// chunks gives its bytes in pieces of the sizes, round and round, and EOF.
type chunks struct {
	rest  []byte
	sizes []byte
	next  int
	given int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(c.sizes) > 0 {
		n = 1 + int(c.sizes[c.next%len(c.sizes)])
		c.next++
	}
	n = copy(p[:min(n, len(p))], c.rest)
	c.rest = c.rest[n:]
	c.given += n
	return n, nil
}

// wireless is a connection that reads chunks and keeps what is written.
type wireless struct {
	net.Conn // nil: nothing else may be called
	chunks
	sent bytes.Buffer
}

func (w *wireless) Read(p []byte) (int, error)  { return w.chunks.Read(p) }
func (w *wireless) Write(p []byte) (int, error) { return w.sent.Write(p) }

// story is all that a backend's bytes have led to.
type story struct {
	phase, sent, caps, text, rest string
	err                           error
	inStep, bye, refused          bool
}

// tellStory runs the dialogue up to the relay only on bytes: greeting, CAPABILITY,
// the login and CAPABILITY again.
func tellStory(tb testing.TB, data, sizes []byte, words string) story {
	w := &wireless{chunks: chunks{rest: data, sizes: sizes}}
	c := &Conn{Target: &Target{Name: "test"}, Addr: "192.0.2.1:143", conn: w,
		dialer: &Dialer{Clock: timing.System{}}}
	c.readAnswers()
	c.Target.ForwardID = strings.Contains(words, "id")
	st := story{phase: "greeting"}
	st.err = c.greeting()
	if st.err == nil && strings.Contains(words, "starttls") {
		st.phase = "starttls"
		st.err = c.askSTARTTLS()
	}
	if st.err == nil && !c.caps.known() {
		st.phase = "capability"
		st.err = c.askCapability()
	}
	if st.err == nil {
		st.phase = "login"
		var r answer
		r, st.err = c.login(Credentials{User: "user", Secret: canary}, testOrigin())
		st.text = r.text
	}
	if st.err == nil && !c.caps.known() {
		st.phase = "capability again"
		st.err = c.askCapability()
	}
	checkBounds(tb, c, w)
	st.sent, st.caps, st.inStep, st.bye = w.sent.String(), c.Capabilities(), c.inStep, c.bye
	var refused *Refused
	st.refused = errors.As(st.err, &refused)
	if st.err == nil {
		c.StartRelay()
		rest, _ := io.ReadAll(c)
		st.rest = string(rest)
	}
	return st
}

// checkBounds holds the reader to its bounds.
func checkBounds(tb testing.TB, c *Conn, w *wireless) {
	tb.Helper()
	if c.in.budget.used > maxAnswerBytes || w.given != c.in.budget.used {
		tb.Fatalf("%d bytes were read, %d counted", w.given, c.in.budget.used)
	}
	if c.in.Room() > maxAnswerLine {
		tb.Fatalf("a buffer of %d bytes", c.in.Room())
	}
}

// check says what is wrong with a story on its own.
func (st story) check(tb testing.TB) {
	tb.Helper()
	if st.err != nil {
		text := (&Error{Kind: KindProtocol, Addr: "192.0.2.1:143", Phase: st.phase, Err: st.err}).Error()
		if st.refused {
			text = st.err.Error()
		}
		if told(text) && told(st.sent) {
			tb.Fatalf("the error repeats the password: %s", text)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 2048 {
			tb.Fatalf("an error not fit for a log: %q", text)
		}
	}
	if !st.refused && st.err != nil && kindOf(st.phase, st.err) == "" {
		tb.Fatalf("an error of no kind: %v", st.err)
	}
	if told(st.sent) && !strings.HasPrefix(st.phase, "login") && st.phase != "capability again" {
		tb.Fatalf("the password was sent in the phase %s", st.phase)
	}
	if strings.ContainsAny(st.caps, "\r\n[]\x00") || strings.Contains(" "+strings.ToUpper(st.caps), " AUTH=") {
		tb.Fatalf("capabilities not fit for a client: %q", st.caps)
	}
}

// String is a story in a line; errors are compared by their words.
func (st story) String() string {
	return fmt.Sprintf("%s, error %v, in step %v, bye %v, sent %q, caps %q, text %q, rest %q",
		st.phase, st.err, st.inStep, st.bye, st.sent, st.caps, st.text, st.rest)
}

// FuzzAnswers feeds the dialogue with a backend's bytes, chunked in several
// ways: that must change nothing.
func FuzzAnswers(f *testing.F) {
	for _, seed := range answerSeeds() {
		for _, words := range []string{"", "id", "starttls"} {
			f.Add([]byte(seed), []byte{0, 7, 200}, words)
		}
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, words string) {
		if data = longer(data); len(data) > 2*maxAnswerBytes || len(sizes) > 16 {
			t.Skip()
		}
		want := tellStory(t, data, nil, words)
		want.check(t)
		for _, s := range [][]byte{{0}, {2}, sizes} {
			if got := tellStory(t, data, s, words); got.String() != want.String() {
				t.Fatalf("chunked by %v\n got %s\nwant %s", s, got, want)
			}
		}
	})
}

// longer lets a short input reach the bounds: the byte 0x01 stands for 1000
// others, and 0x02 for 20 lines.
func longer(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\x01"), bytes.Repeat([]byte("x"), 1000))
	return bytes.ReplaceAll(data, []byte("\x02"), bytes.Repeat([]byte("* OK x\r\n"), 20))
}

// answerSeeds are whole dialogues, and the oddities of the case files.
func answerSeeds() []string {
	long := strings.Repeat("\x01", 60)
	const hello = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID STARTTLS] hello\r\n"
	return []string{
		hello + "X2 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n* 1 EXISTS\r\nrest",
		hello + "* ID NIL\r\nX1 OK\r\nX2 OK in\r\n* CAPABILITY A\r\nX3 OK\r\nrest",
		hello + "X1 BAD\nX2 NO [AUTHENTICATIONFAILED] wrong\n",
		hello + "X2 NO [UNAVAILABLE] " + canary + "\r\n",
		hello + "X2 BAD AUTHENTICATE PLAIN AHVzZXIAY2FuYXJ5LUt4Ny1zd29yZGZpc2g=\r\n",
		hello + "* BYE [" + canary + "] x\r\n",
		hello + "X3 OK begin\r\nX2 OK in\r\n",
		"* OK hi\r\n* CAPABILITY IMAP4rev1\r\nX3 OK\r\n+ a\r\n+\r\nX2 OK [CAPABILITY A] b\r\n",
		"* OK hi\r\n* CAPABILITY AUTH=PLAIN\r\nX3 OK\r\n+ \r\nX2 OK\r\n* CAPABILITY B\r\nX3 OK\r\n",
		"* OK hi\r\n* X {5}\r\nabcde {3+}\r\nabc\r\n* CAPABILITY A\r\nX3 OK {7}\r\n",
		"* X {99999999999999999999}\r\n", "* OK\r\n* X {65537}\r\n", "* OK\r\n* X {65536}\r\n",
		"* PREAUTH x\r\n", "* BYE\r\n", "* ok\r\n", "X2 OK\r\n", "+ \r\n", "\r\n", "* OK a\x00b\r\n", "",
		"* OK " + long[:8] + strings.Repeat("x", 186) + "\n* CAPABILITY A\r\nX3 OK\r\n", // 8 KiB
		"* OK " + long[:8] + strings.Repeat("x", 187) + "\n* CAPABILITY A\r\nX3 OK\r\n",
		"* OK\r\n\x02\x02\x02\x02\x02* OK\r\n", "* OK\r\n\x02\x02\x02\x02* CAPABILITY A\r\nX3 OK\r\n",
		"* OK\r\n" + strings.Repeat("* "+long[:6]+" X\r\n", 11) + "* CAPABILITY A\r\nX3 OK\r\n",
		"* OK\r\n* X {60000}\r\n" + long + "\r\n* CAPABILITY A\r\nX3 OK\r\n",
	}
}

// The byte that is one too many, at each bound.
func TestAnswerBounds(t *testing.T) {
	line := func(n int) string { return "* OK " + strings.Repeat("x", n-6) + "\n" }
	lead := strings.Repeat(line(maxAnswerLine), maxAnswerBytes/maxAnswerLine-1)
	for _, c := range []struct {
		name, data string
		read       int // responses that come before the error
		err        error
	}{
		{"8 KiB in a line", line(maxAnswerLine), 1, io.EOF},
		{"8 KiB and a byte", line(maxAnswerLine + 1), 0, errLongLine},
		{"8 KiB without an end", line(maxAnswerLine)[:maxAnswerLine-1], 0, io.EOF},
		{"8 KiB and a byte without an end", line(maxAnswerLine + 5)[:maxAnswerLine+4], 0, errLongLine},
		{"64 KiB", lead + line(maxAnswerLine), 8, errTooMuch},
		{"64 KiB less a byte, and more", lead + line(maxAnswerLine-1) + "* OK\n", 8, errTooMuch},
		{"a literal to the end of 64 KiB", lead + "* X {8170}\r\n" + strings.Repeat("y", 8170) + "\n", 8, io.EOF},
		{"a literal beyond 64 KiB", lead + "* X {8180}\r\n" + strings.Repeat("y", 8180) + "\n", 7, errTooMuch},
	} {
		for _, sizes := range [][]byte{nil, {0}, {99}, {255, 3}} {
			a := &answers{}
			a.init(&chunks{rest: []byte(c.data), sizes: sizes})
			n, err := 0, error(nil)
			for ; err == nil; n++ {
				_, err = a.response()
			}
			if n-1 != c.read || !errors.Is(err, c.err) {
				t.Errorf("%s by %v: %d responses, then %v; want %d, %v", c.name, sizes, n-1, err, c.read, c.err)
			}
		}
	}
}

// Reading costs little, whatever a backend sends: at most a line's buffer and
// what the lines hold.
func TestAnswersAllocateLittle(t *testing.T) {
	hello := "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\r\n"
	for name, data := range map[string]string{
		"a long line":    strings.Repeat("(", 1<<20),
		"long lines":     hello + strings.Repeat("* "+strings.Repeat("(", 8000)+"\r\n", 100),
		"short lines":    hello + strings.Repeat("* (\r\n", 1<<16),
		"a literal":      hello + "* X {65536}\r\n" + strings.Repeat("x", 1<<20),
		"capabilities":   hello + strings.Repeat("* CAPABILITY "+strings.Repeat("A ", 4000)+"\r\n", 100),
		"many literals":  hello + "* X" + strings.Repeat(" {0}\r\n", 1<<16),
		"empty brackets": hello + strings.Repeat("* OK [] x\r\n", 1<<16),
	} {
		var before, after runtime.MemStats
		bytes := []byte(data)
		runtime.ReadMemStats(&before)
		st := tellStory(t, bytes, nil, "")
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
			t.Errorf("%s: %d KiB were allocated", name, grown>>10)
		}
		if st.err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		line string
		want answer
		ok   bool
	}{
		{"* OK hello", answer{"*", "OK", "", "hello"}, true},
		{"* ok", answer{"*", "OK", "", ""}, true},
		{"* OK [ALERT] hello", answer{"*", "OK", "ALERT", "hello"}, true},
		{"* OK [ALERT]", answer{"*", "OK", "ALERT", ""}, true},
		{"* OK [ALERT]hello", answer{"*", "OK", "ALERT", "hello"}, true},
		{"* OK [ALERT hello", answer{"*", "OK", "", "[ALERT hello"}, true},
		{"* OK  [ALERT] hello", answer{"*", "OK", "", " [ALERT] hello"}, true},
		{"* OK [] hello", answer{"*", "OK", "", "hello"}, true},
		{"* CAPABILITY A [B] C", answer{"*", "CAPABILITY", "", "A [B] C"}, true},
		{"X2 NO [a b] c", answer{"X2", "NO", "a b", "c"}, true},
		{"X2 NO", answer{"X2", "NO", "", ""}, true},
		{"+", answer{"+", "", "", ""}, true},
		{"+ ", answer{"+", "", "", ""}, true},
		{"+ OK x", answer{"+", "", "", "OK x"}, true},
		{"X2 BYE x", answer{}, false},
		{"X2 PREAUTH x", answer{}, false},
		{"X2 CAPABILITY x", answer{}, false},
		{"X2", answer{}, false},
		{"X2 ", answer{}, false},
		{"+x y", answer{}, false},
		{" * OK", answer{}, false},
		{"* ", answer{}, false},
		{"*", answer{}, false},
		{"", answer{}, false},
		{"* OK \x00", answer{}, false},
		{strings.Repeat("X", 64) + " OK", answer{strings.Repeat("X", 64), "OK", "", ""}, true},
		{strings.Repeat("X", 65) + " OK", answer{}, false},
	} {
		got, ok := parseAnswer([]byte(c.line))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: got %+v, %v", c.line, got, ok)
		}
	}
}

func TestLiteralEnd(t *testing.T) {
	for line, want := range map[string]int{
		"* X {0}": 0, "* X {5}": 5, "{5}": 5, "* X ~{5}": 5, "* X {5+}": 5, "* X {007}": 7, "{1} {2}": 2,
		"* X {9223372036854775807}": math.MaxInt, "* X {9223372036854775808}": math.MaxInt,
		"": -1, "}": -1, "{}": -1, "{+}": -1, "{-1}": -1, "{+1}": -1, "{1++}": -1, "{ 1}": -1, "{1 }": -1,
		"{1} ": -1, "{1}x": -1, "1}": -1, "{0x1}": -1, "{1_0}": -1, "{\u0661}": -1,
	} {
		n, ok := literalEnd([]byte(line))
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: got %d, want %d", line, n, want)
		}
	}
}
