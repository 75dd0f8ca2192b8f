package backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

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
