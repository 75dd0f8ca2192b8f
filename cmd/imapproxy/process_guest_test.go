package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
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
	g := &guest{account: r.account(m, n), mode: m, big: r.Big, raw: conn.(*net.TCPConn), conn: conn, in: bufio.NewReader(conn)}
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

// The ways in which a client goes.
