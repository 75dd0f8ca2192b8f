package backend

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/scripts/dialogue"
)

// scriptLimit bounds whatever a scripted backend waits for.
const scriptLimit = 20 * time.Second

// format is that of the dialogues in testdata, each of
//
//	target: words    what the target is like, see apply; may be left out
//
// and what the scripted backend does with each connection:
//
//	S: text          send text and CRLF; S- "text" without CRLF
//	S1- "text"       the same, each byte in a write of its own
//	C: pattern       take a line and compare it; "*" stands for any bytes
//	T: text          send text and CRLF under the tag of the line taken last
//	CLOSE, RST       close or reset, and be done
//	HALF             say that nothing more comes, and go on
//	DEAF             read nothing more, and hold on to the socket
//	THINK            do nothing for a moment
//	DRIP             send a byte now and then until that fails
//	MUTE             read on to the end, answer nothing, not even LOGOUT
//	TLS name         shake hands with that certificate
//	ALERT            end TLS but not TCP
//	FLOOD- "text"    send it again and again until that fails
//	= outcome        what came of it, the last step; see outcome, "*" stands for any bytes
//
// After the last step the backend behaves: it answers LOGOUT and closes.
var format = dialogue.Format{
	Headers: []string{"target"},
	Verbs:   []string{"S:", "S-", "S1-", "C:", "T:", "TLS", "FLOOD-", "="},
	Bare:    []string{"CLOSE", "RST", "HALF", "DEAF", "THINK", "DRIP", "MUTE", "ALERT"},
}

// A play is the lines of a dialogue that has no outcome.
type play []string

func (p play) steps(tb testing.TB) []dialogue.Step {
	tb.Helper()
	all, err := format.Parse("play", "== play\n\n"+strings.Join(p, "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return all[0].Steps
}

// scripted is a backend that plays its part on every connection it gets.
type scripted struct {
	tb    testing.TB
	addr  string
	steps []dialogue.Step
	certs map[string]*tls.Config
	ln    net.Listener
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	mu    sync.Mutex
	conns []*visit
}

// visit is one connection as the scripted backend lived through it.
type visit struct {
	raw  *net.TCPConn
	conn net.Conn // raw, or TLS over it
	in   []byte
	tag  string // of the line taken last

	mu   sync.Mutex
	wire bytes.Buffer // what came, before TLS
	got  bytes.Buffer // what came, decrypted
	saw  []string     // LOGOUT, EOF, RST, and what went wrong
	done chan struct{}
}

// startScripted listens on loopback; the test's end ends it.
func startScripted(tb testing.TB, p play, certs map[string]*tls.Config) *scripted {
	tb.Helper()
	return startSteps(tb, p.steps(tb), certs)
}

func startSteps(tb testing.TB, steps []dialogue.Step, certs map[string]*tls.Config) *scripted {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startStepsOn(tb, ln, steps, certs)
}

func startStepsOn(tb testing.TB, ln net.Listener, steps []dialogue.Step, certs map[string]*tls.Config) *scripted {
	tb.Helper()
	s := &scripted{tb: tb, addr: ln.Addr().String(), steps: steps, certs: certs, ln: ln, quit: make(chan struct{})}
	s.wg.Add(1)
	go s.accept()
	tb.Cleanup(s.stop)
	return s
}

// stop ends the backend and every connection it still has.
func (s *scripted) stop() {
	s.once.Do(func() { close(s.quit) })
	_ = s.ln.Close()
	for _, v := range s.visits() {
		_ = v.raw.Close()
	}
	s.wg.Wait()
}

func (s *scripted) accept() {
	defer s.wg.Done()
	for {
		raw, err := s.ln.Accept()
		if err != nil {
			return
		}
		v := &visit{raw: raw.(*net.TCPConn), done: make(chan struct{})}
		v.conn = &recorder{v.raw, v}
		_ = v.raw.SetDeadline(time.Now().Add(scriptLimit))
		s.mu.Lock()
		s.conns = append(s.conns, v)
		s.mu.Unlock()
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer close(v.done)
			defer v.raw.Close()
			s.perform(v)
		}()
	}
}

func (s *scripted) visits() []*visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*visit(nil), s.conns...)
}

// only waits until the one connection there was is over.
func (s *scripted) only() *visit {
	s.tb.Helper()
	v := s.visits()
	if len(v) != 1 {
		s.tb.Fatalf("%d connections, want 1", len(v))
	}
	v[0].wait(s.tb)
	return v[0]
}

func (v *visit) wait(tb testing.TB) {
	tb.Helper()
	select {
	case <-v.done:
	case <-time.After(scriptLimit):
		tb.Fatal("the scripted backend still holds the connection")
	}
}

// recorder keeps what comes over the wire.
type recorder struct {
	*net.TCPConn
	v *visit
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.TCPConn.Read(p)
	r.v.mu.Lock()
	r.v.wire.Write(p[:n])
	r.v.mu.Unlock()
	return n, err
}

func (v *visit) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.saw = append(v.saw, fmt.Sprintf(format, args...))
}

// received is all that came, over the wire and decrypted.
func (v *visit) received() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.wire.String() + "\n" + v.got.String()
}

// notes is what the backend saw, such as "LOGOUT EOF".
func (v *visit) notes() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.saw, " ")
}

// line takes one line without its end.
func (v *visit) line() (string, error) {
	for {
		if i := bytes.IndexByte(v.in, '\n'); i >= 0 {
			l := strings.TrimSuffix(string(v.in[:i]), "\r")
			v.in = v.in[i+1:]
			return l, nil
		}
		if err := v.read(); err != nil {
			return "", err
		}
	}
}

func (v *visit) read() error {
	buf := make([]byte, 4096)
	n, err := v.conn.Read(buf)
	v.in = append(v.in, buf[:n]...)
	v.mu.Lock()
	v.got.Write(buf[:n])
	v.mu.Unlock()
	if n > 0 {
		return nil
	}
	return err
}
