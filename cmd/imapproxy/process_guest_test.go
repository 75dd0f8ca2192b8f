package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guest is a client of the proxy, one of many. Its methods return errors, so
// that many can run side by side.
type guest struct {
	account account
	mode    mode
	addr    netip.AddrPort // its own
	big     []byte
	state   state

	raw  *net.TCPConn
	conn net.Conn // raw, or TLS over it
	in   *bufio.Reader
}

// guestLimit bounds all that a guest waits for.
const guestLimit = 3 * time.Minute

// halfLiteral is what a guest announces to APPEND; it sends half of it.
const halfLiteral = 20_000

// state is where a session is when something happens to it.
type state string

const (
	relayIdle state = "idle"
	inIDLE    state = "in IDLE"
	midAppend state = "mid-APPEND"
	midFetch  state = "mid-FETCH"
)

func states() []state { return []state{relayIdle, inIDLE, midAppend, midFetch} }

func modes() []mode { return []mode{plain, startTLS, tlsFirst} }

func (g *guest) String() string {
	return fmt.Sprintf("%s %s over %s (%v)", g.account.User, g.state, g.mode, g.addr)
}

// trouble says which guest has it.
func (g *guest) trouble(format string, args ...any) error {
	return fmt.Errorf("%v: %w", g, fmt.Errorf(format, args...))
}

// arrive connects and logs in as the n-th user of the mode.
func (r *crowd) arrive(m mode, n int) (*guest, error) {
	g, err := r.knock(m, n)
	if err != nil {
		return nil, err
	}
	if err := g.say("l AUTHENTICATE PLAIN "+string(saslPlain(g.account)), "l OK"); err != nil {
		_ = g.raw.Close()
		return nil, err
	}
	return g, nil
}

// knock connects without logging in.
func (r *crowd) knock(m mode, n int) (*guest, error) {
	conn, err := net.Dial("tcp", r.endpoint(m).address())
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(guestLimit))
	g := &guest{account: r.account(m, n), mode: m, big: r.Big, raw: conn.(*net.TCPConn), conn: conn,
		in: bufio.NewReader(conn)}
	g.addr = conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if err := g.greeted(r.trust); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return g, nil
}

func (g *guest) greeted(trust *tls.Config) error {
	if g.mode == tlsFirst {
		g.secure(trust)
	}
	if err := g.until("* OK"); err != nil {
		return err
	}
	if g.mode == startTLS {
		if err := g.say("s STARTTLS", "s OK"); err != nil {
			return err
		}
		g.secure(trust)
	}
	return nil
}

// secure puts TLS over the connection; the handshake comes with the first use.
func (g *guest) secure(trust *tls.Config) {
	g.conn = tls.Client(g.raw, trust)
	g.in = bufio.NewReader(g.conn)
}

// enter brings the session into a state.
func (g *guest) enter(s state) error {
	g.state = s
	mailbox := "INBOX"
	if s == midFetch {
		mailbox = "big"
	}
	if err := g.say("s SELECT "+mailbox, "s OK"); err != nil {
		return err
	}
	switch s {
	case inIDLE:
		return g.say("i IDLE", "+")
	case midAppend:
		if err := g.say(fmt.Sprintf("p APPEND INBOX {%d}", halfLiteral), "+"); err != nil {
			return err
		}
		return g.send(string(letter(halfLiteral)[:halfLiteral/2]))
	case midFetch:
		return g.beginFetch()
	}
	return nil
}

// letter is a message of n bytes.
func letter(n int) []byte {
	text := bytes.Repeat([]byte("This is one line of a message that may only be stored whole.\r\n"), n/62+1)
	copy(text, "Subject: letter\r\n\r\n")
	return text[:n]
}

// beginFetch reads the beginning of the big message and leaves the rest.
func (g *guest) beginFetch() error {
	if err := g.send("f FETCH 1 BODY.PEEK[]\r\n"); err != nil {
		return err
	}
	line, err := g.in.ReadString('\n')
	if want := fmt.Sprintf("* 1 FETCH (BODY[] {%d}\r\n", len(g.big)); err != nil || line != want {
		return g.trouble("reads %q and %w, want %q", line, err, want)
	}
	first := make([]byte, fetched)
	if _, err := io.ReadFull(g.in, first); err != nil || !bytes.Equal(first, g.big[:fetched]) {
		return g.trouble("reads another message, and %w", err)
	}
	return nil
}

// fetched is how much of the big message a guest in mid-FETCH has read.
const fetched = 1000

// arrivals brings guests into their states, several at a time; n-th says who
// the n-th is.
func (r *crowd) arrivals(t *testing.T, number int, nth func(i int) (mode, int, state)) []*guest {
	t.Helper()
	guests := make([]*guest, number)
	t.Cleanup(func() {
		for _, g := range guests {
			if g != nil {
				_ = g.raw.Close()
			}
		}
	})
	no(t, "arrivals", together(number, func(i int) error {
		m, n, s := nth(i)
		g, err := r.arrive(m, n)
		if err != nil {
			return err
		}
		guests[i] = g
		return g.enter(s)
	}))
	return guests
}

func (g *guest) send(text string) error {
	if _, err := io.WriteString(g.conn, text); err != nil {
		return g.trouble("sends: %w", err)
	}
	return nil
}

// say sends a line and reads up to one that begins with the prefix.
func (g *guest) say(text, prefix string) error {
	if err := g.send(text + "\r\n"); err != nil {
		return err
	}
	return g.until(prefix)
}

// until reads lines up to one that begins with the prefix.
func (g *guest) until(prefix string) error {
	_, err := g.line(prefix)
	return err
}

func (g *guest) line(prefix string) (string, error) {
	for {
		text, err := g.in.ReadString('\n')
		switch {
		case err != nil:
			return "", g.trouble("waits for %q: %w", prefix, err)
		case strings.HasPrefix(text, prefix):
			return text, nil
		case !strings.HasPrefix(text, "* ") || strings.HasPrefix(text, "* BYE"):
			return "", g.trouble("reads %q, wants %q", text, prefix)
		}
	}
}

// bye reads up to BYE with the words, and then the end in order.
func (g *guest) bye(words string) error {
	text, err := g.line("* BYE")
	if err != nil {
		return err
	}
	if !strings.Contains(text, words) {
		return g.trouble("reads %q, wants BYE with %q", text, words)
	}
	return g.end()
}

// end reads the end, in order and with nothing in front of it, and closes.
func (g *guest) end() error {
	rest, err := io.ReadAll(g.in)
	if err != nil || len(rest) > 0 {
		return g.trouble("reads %q and %v, wants the end", rest, err)
	}
	_ = g.conn.Close()
	return nil
}

// cutShort reads on in the middle of a message: whatever comes is the
// message, and a reset ends it, so that it is not taken for whole.
func (g *guest) cutShort() error { return g.cutShortAfter("") }

// cutShortAfter is cutShort where the Dovecot itself says something last.
func (g *guest) cutShortAfter(words string) error {
	rest, err := io.ReadAll(g.in)
	return g.isCut(bytes.TrimSuffix(rest, []byte(words)), err)
}

func (g *guest) isCut(rest []byte, err error) error {
	_ = g.conn.Close()
	if !bytes.HasPrefix(g.big[fetched:], rest) {
		return g.trouble("reads what is not in the message: ...%q", rest[max(0, len(rest)-200):])
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		return g.trouble("reads %d bytes and %v, wants a reset within the message", len(rest), err)
	}
	return nil
}

// wholeOrCut reads on in the middle of a message: either it is cut short, or
// it is whole and the last words stand after its tagged OK.
func (g *guest) wholeOrCut(words string) error {
	rest, err := io.ReadAll(g.in)
	after, whole := bytes.CutPrefix(rest, g.big[fetched:])
	if !whole {
		return g.isCut(bytes.TrimSuffix(rest, []byte(words)), err)
	}
	_ = g.conn.Close()
	if err != nil || !bytes.HasPrefix(after, []byte(")\r\nf OK ")) || !bytes.HasSuffix(after, []byte("\r\n"+words)) {
		return g.trouble("reads %q and %v after the message", after, err)
	}
	return nil
}

// finishFetch reads the rest of the message, in steps with pauses, up to the
// tagged OK.
func (g *guest) finishFetch(steps int, pause time.Duration) error {
	got := make([]byte, len(g.big)-fetched)
	for from := 0; from < len(got); {
		time.Sleep(pause)
		to := min(len(got), from+len(got)/steps+1)
		n, err := io.ReadFull(g.in, got[from:to])
		if err != nil {
			return g.trouble("%d of %d bytes came: %w", fetched+from+n, len(g.big), err)
		}
		from = to
	}
	if !bytes.Equal(got, g.big[fetched:]) {
		return g.trouble("the message is another one than was stored")
	}
	if line, err := g.in.ReadString('\n'); err != nil || line != ")\r\n" {
		return g.trouble("after the literal it reads %q and %v", line, err)
	}
	return g.until("f OK")
}

// finishAppend sends the rest of the literal, in steps with pauses, and reads
// the tagged OK.
func (g *guest) finishAppend(steps int, pause time.Duration) error {
	rest := letter(halfLiteral)[halfLiteral/2:]
	for i := range steps {
		time.Sleep(pause)
		if err := g.send(string(rest[i*len(rest)/steps : (i+1)*len(rest)/steps])); err != nil {
			return err
		}
	}
	return g.say("", "p OK")
}

// lives shows that nothing has happened to the session: it goes on where it is.
func (g *guest) lives() error {
	switch g.state {
	case inIDLE:
		if err := g.say("DONE", "i OK"); err != nil {
			return err
		}
	case midAppend:
		if err := g.finishAppend(1, 0); err != nil {
			return err
		}
	case midFetch:
		if err := g.finishFetch(1, 0); err != nil {
			return err
		}
	}
	return g.say("n NOOP", "n OK")
}
