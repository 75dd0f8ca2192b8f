package backend

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scriptLimit bounds whatever a scripted backend waits for.
const scriptLimit = 20 * time.Second

// A play is what a scripted backend does with each connection, line by line:
//
//	S: text          send text and CRLF
//	S- "text"        send what the quotes hold, as Go unquotes it
//	S1 "text"        the same, each byte in a write of its own
//	C: pattern       take a line and compare it; "*" stands for any bytes
//	! close          close, and be done
//	! reset          reset, and be done
//	! half-close     say that nothing more comes, and go on
//	! deaf           read nothing more, and hold on to the socket
//	! think          do nothing for a moment
//	! drip           send a byte now and then until that fails
//	! mute           read on to the end, answer nothing, not even LOGOUT
//	! tls NAME       shake hands with that certificate
//	! alert          end TLS but not TCP
//	! repeat N "text" send it so many times
//	! flood "text"   send it again and again until that fails
//
// Behind the last line the backend behaves: it answers LOGOUT and closes.
type play struct {
	name  string
	lines []string
}

// scripted is a backend that plays its part on every connection it gets.
type scripted struct {
	tb    testing.TB
	addr  string
	play  play
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

	mu   sync.Mutex
	wire bytes.Buffer // what came, before TLS
	got  bytes.Buffer // what came, behind TLS
	saw  []string     // LOGOUT, EOF, RST, and what went wrong
	done chan struct{}
}

// startScripted listens on loopback; the test's end ends it.
func startScripted(tb testing.TB, p play, certs map[string]*tls.Config) *scripted {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startScriptedOn(tb, ln, p, certs)
}

func startScriptedOn(tb testing.TB, ln net.Listener, p play, certs map[string]*tls.Config) *scripted {
	tb.Helper()
	s := &scripted{tb: tb, addr: ln.Addr().String(), play: p, certs: certs, ln: ln, quit: make(chan struct{})}
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

// received is all that came, over the wire and behind TLS.
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

// perform plays, then behaves.
func (s *scripted) perform(v *visit) {
	for i, l := range s.play.lines {
		var err error
		if i+1 < len(s.play.lines) && s.play.lines[i+1] == "! close" {
			err = v.cork()
		}
		goOn := false
		if err == nil {
			goOn, err = s.step(v, l)
		}
		if err != nil {
			v.note("[at %q: %v]", l, err)
			break
		}
		if !goOn {
			return
		}
	}
	v.behave(true)
}

// behave reads to the end, and answers LOGOUT when it should.
func (v *visit) behave(answer bool) {
	for {
		l, err := v.line()
		switch {
		case err != nil:
			v.note("%s", endOf(err))
			return
		case strings.HasSuffix(l, " LOGOUT"):
			v.note("LOGOUT")
			if answer {
				tag, _, _ := strings.Cut(l, " ")
				_, _ = v.conn.Write([]byte("* BYE\r\n" + tag + " OK\r\n"))
				return
			}
		case l == "DONE":
			v.note("DONE")
		}
	}
}

func endOf(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return "RST"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "EOF"
	}
	return "[" + err.Error() + "]"
}

// step plays one line; false when the play ends here.
func (s *scripted) step(v *visit, l string) (goOn bool, err error) {
	verb, text, _ := strings.Cut(l, " ")
	if verb == "S-" || verb == "S1" {
		if text, err = strconv.Unquote(text); err != nil {
			return false, err
		}
	}
	switch verb {
	case "S:":
		_, err = v.conn.Write([]byte(text + "\r\n"))
	case "S-":
		_, err = v.conn.Write([]byte(text))
	case "S1":
		for i := 0; i < len(text) && err == nil; i++ {
			_, err = v.conn.Write([]byte{text[i]})
		}
	case "C:":
		var got string
		if got, err = v.line(); err == nil && !matches(text, got) {
			err = fmt.Errorf("got %q", got)
		}
	case "!":
		return s.act(v, text)
	default:
		err = errors.New("no such step")
	}
	return true, err
}

func (s *scripted) act(v *visit, action string) (goOn bool, err error) {
	action, arg, _ := strings.Cut(action, " ")
	switch action {
	case "close":
		return false, v.raw.Close()
	case "reset":
		_ = v.raw.SetLinger(0)
		return false, v.raw.Close()
	case "half-close":
		return true, v.raw.CloseWrite()
	case "deaf":
		<-s.quit
		return false, nil
	case "think":
		time.Sleep(50 * time.Millisecond)
		return true, nil
	case "drip":
		for err == nil {
			time.Sleep(5 * time.Millisecond)
			_, err = v.conn.Write([]byte("x"))
		}
		return false, nil
	case "mute":
		v.behave(false)
		return false, nil
	case "tls":
		return true, v.shake(s.certs[arg])
	case "alert":
		return true, v.conn.(*tls.Conn).CloseWrite()
	case "repeat":
		times, text, _ := strings.Cut(arg, " ")
		n, err := strconv.Atoi(times)
		if err == nil {
			text, err = strconv.Unquote(text)
		}
		if err == nil {
			_, err = v.conn.Write([]byte(strings.Repeat(text, n)))
		}
		return true, err
	case "flood":
		text, err := strconv.Unquote(arg)
		if err != nil {
			return false, err
		}
		big := []byte(strings.Repeat(text, 1+4096/len(text)))
		for err == nil {
			_, err = v.conn.Write(big)
		}
		if isClosing(err) {
			v.note("RST")
			return false, nil
		}
		return true, err
	}
	return false, fmt.Errorf("no such action: %s", action)
}

// shake starts TLS. The client refusing it is no fault of the play.
func (v *visit) shake(cfg *tls.Config) error {
	if cfg == nil {
		return errors.New("no such certificate")
	}
	tc := tls.Server(&ahead{v.conn, v.in}, cfg)
	v.in = nil
	if err := tc.Handshake(); err != nil {
		v.note("[no TLS]")
		return nil
	}
	v.conn = tc
	return nil
}

// ahead gives TLS what has been read too far.
type ahead struct {
	net.Conn
	in []byte
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.in) > 0 {
		n := copy(p, a.in)
		a.in = a.in[n:]
		return n, nil
	}
	return a.Conn.Read(p)
}

// matches compares a line with a pattern in which "*" stands for any bytes.
func matches(pattern, line string) bool {
	p := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile(`(?s)^` + p + `$`).MatchString(line)
}

// cork holds the last words back until the close, so that they come with the
// FIN: who reads them can't answer a backend that is still open.
func (v *visit) cork() error {
	rc, err := v.raw.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = rc.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
	return errors.Join(err, failed)
}
