package backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/scripts/dialogue"
)

// perform makes the steps, then behaves.
func (s *scripted) perform(v *visit) {
	for i, step := range s.steps {
		var err error
		if i+1 < len(s.steps) && s.steps[i+1].Verb == "CLOSE" {
			err = v.cork()
		}
		goOn := false
		if err == nil {
			goOn, err = s.step(v, step)
		}
		if err != nil {
			v.note("[at %s %q: %v]", step.Verb, step.Text, err)
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

// step makes one step; false when the play ends here.
func (s *scripted) step(v *visit, step dialogue.Step) (goOn bool, err error) {
	switch text := step.Text; step.Verb {
	case "S:":
		_, err = v.conn.Write([]byte(text + "\r\n"))
	case "S-":
		_, err = v.conn.Write([]byte(text))
	case "S1-":
		for i := 0; i < len(text) && err == nil; i++ {
			_, err = v.conn.Write([]byte{text[i]})
		}
	case "C:":
		var got string
		if got, err = v.line(); err == nil && !matches(text, got) {
			err = fmt.Errorf("got %q", got)
		}
		v.tag, _, _ = strings.Cut(got, " ")
	case "T:":
		_, err = v.conn.Write([]byte(v.tag + " " + text + "\r\n"))
	case "HALF":
		err = v.raw.CloseWrite()
	case "THINK":
		time.Sleep(50 * time.Millisecond)
	case "TLS":
		err = v.shake(s.certs[text])
	case "ALERT":
		err = v.conn.(*tls.Conn).CloseWrite()
	case "FLOOD-":
		return v.flood(text)
	default:
		return false, s.last(v, step.Verb)
	}
	return true, err
}

// last makes a step that ends the play.
func (s *scripted) last(v *visit, verb string) (err error) {
	switch verb {
	case "CLOSE":
		return v.raw.Close()
	case "RST":
		_ = v.raw.SetLinger(0)
		return v.raw.Close()
	case "DEAF":
		<-s.quit
	case "DRIP":
		for err == nil {
			time.Sleep(5 * time.Millisecond)
			_, err = v.conn.Write([]byte("x"))
		}
	case "MUTE":
		v.behave(false)
	default:
		return errors.New("no such step")
	}
	return nil
}

// flood sends the text until that fails; the play goes on unless that was a reset.
func (v *visit) flood(text string) (goOn bool, err error) {
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
