package exits

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"imapproxy/cmd/imaprig/rig"
)

const scriptedMessage = 4 << 20 // bytes of its second message

// scripted is an IMAP server of a test.
type scripted struct {
	greeting string            // "" = a good one
	answers  map[string]string // to commands, by the verb; untagged lines end in CRLF, "TAG " is the tag
	forgets  bool              // when its input ends, it does not close
}

// start serves on an address until the test ends.
func (s scripted) start(t *testing.T, addr string) (at string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex // protects open
	var open []net.Conn
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				if loggedOut := s.serve(conn); loggedOut || !s.forgets {
					_ = conn.Close()
				}
			})
		}
	})
	return ln.Addr().String()
}

// serve answers one client until it leaves, and reports whether it has said so.
func (s scripted) serve(conn net.Conn) (loggedOut bool) {
	in := bufio.NewReader(conn)
	greeting := s.greeting
	if greeting == "" {
		greeting = "* OK scripted\r\n"
	}
	if _, err := io.WriteString(conn, greeting); err != nil {
		return false
	}
	for tag := ""; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		words := strings.Fields(line)
		if len(words) > 1 {
			tag = words[0]
		}
		verb := words[len(words)-1]
		if len(words) > 1 {
			verb = words[1]
		}
		if _, err := io.WriteString(conn, strings.ReplaceAll(s.answer(verb, line), "TAG ", tag+" ")); err != nil {
			return false
		}
		switch verb {
		case "LOGOUT":
			return true
		case "APPEND":
			n, _ := rig.LiteralOf([]byte(strings.TrimSpace(line)))
			if _, err := io.CopyN(io.Discard, in, int64(n)); err != nil {
				return false
			}
		case "LOGIN":
			if err := s.literals(conn, in, tag, line); err != nil {
				return false
			}
		}
	}
}

// literals reads the name and the password of a LOGIN that has them as literals, as proxies do.
func (s scripted) literals(conn net.Conn, in *bufio.Reader, tag, line string) error {
	for whole := line; ; whole += line {
		n, _ := rig.LiteralOf([]byte(strings.TrimSpace(line)))
		if n < 0 && whole == line {
			return nil // answered
		}
		answer := "+ go on\r\n"
		if n < 0 {
			answer = s.answer("LOGIN", strings.ReplaceAll(whole, wrongPassword, `"`+wrongPassword+`"`))
		}
		if _, err := io.WriteString(conn, strings.ReplaceAll(answer, "TAG ", tag+" ")); err != nil || n < 0 {
			return err
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return err
		}
	}
}

// answer returns what it says to a command.
func (s scripted) answer(verb, line string) string {
	if text, ok := s.answers[verb]; ok {
		return text
	}
	switch {
	case verb == "LOGIN" && strings.HasSuffix(line, "}\r\n"):
		return ""
	case verb == "LOGIN" && strings.Contains(line, `"`+wrongPassword+`"`):
		return "TAG NO wrong\r\n"
	case verb == "FETCH" && strings.Contains(line, "BODY"):
		return fmt.Sprintf("* 2 FETCH (BODY[] {%d}\r\n%s)\r\nTAG OK done\r\n", scriptedMessage,
			strings.Repeat("0123456789abcde\n", scriptedMessage/16))
	case verb == "FETCH":
		return fmt.Sprintf("* 1 FETCH (RFC822.SIZE 3)\r\n* 2 FETCH (UID 7 RFC822.SIZE %d)\r\nTAG OK done\r\n",
			scriptedMessage)
	case verb == "SELECT":
		return "* 2 EXISTS\r\nTAG OK selected\r\n"
	case verb == "CAPABILITY":
		return "* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK done\r\n"
	case verb == "IDLE" || verb == "APPEND":
		return "+ go on\r\n"
	}
	return "TAG OK done\r\n"
}
