package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/scripts/dialogue"
)

// This file makes the steps of the dialogues of testdata/compat.

// compatClient is the client of a dialogue.
type compatClient struct {
	raw   *net.TCPConn
	conn  net.Conn // raw, or TLS over it
	in    *bufio.Reader
	since time.Time
}

func (d compatDialogue) play(t *testing.T, side *compatSide, which string) {
	conn, err := net.Dial("tcp", side.address)
	if err != nil {
		t.Fatal(err)
	}
	c := &compatClient{raw: conn.(*net.TCPConn), conn: conn, in: bufio.NewReader(conn), since: time.Now()}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Steps {
		if s.Side != "" && s.Side != which {
			continue
		}
		if problem := c.step(t, side, s); problem != "" {
			t.Fatalf("%s: %s %.200s: %s\nlog:\n%s", s.At, s.Verb, s.Text, problem, side.log())
		}
	}
}

// step makes one step and says what is wrong with what came of it.
func (c *compatClient) step(t *testing.T, side *compatSide, s dialogue.Step) string {
	t.Helper()
	switch s.Verb {
	case "C:", "C-":
		return c.send(s)
	case "S:", "S~":
		return c.read(s)
	case "S*":
		return c.readMany(s)
	case "TLS":
		config := &tls.Config{InsecureSkipVerify: true}
		if s.Text != "" {
			own, err := tls.LoadX509KeyPair(filepath.Join(side.folder, s.Text+".crt"),
				filepath.Join(side.folder, s.Text+".key"))
			if err != nil {
				return err.Error()
			}
			config.Certificates = []tls.Certificate{own}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &own,
					nil
			}
		}
		secure := tls.Client(c.conn, config)
		c.conn, c.in = secure, bufio.NewReader(secure)
		return problemOf(secure.Handshake())
	case "DRAIN":
		if _, err := io.Copy(io.Discard, c.in); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return err.Error()
		}
		return c.eof(s.Text)
	case "EOF":
		return c.eof(s.Text)
	case "HALF":
		return problemOf(c.raw.CloseWrite())
	case "CLOSE":
		return problemOf(c.conn.Close())
	case "SIGNAL":
		return problemOf(side.signal(map[string]syscall.Signal{
			"HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
		}[s.Text]))
	case "L~":
		return inTime(func() string {
			if regexp.MustCompile(s.Text).MatchString(side.log()) {
				return ""
			}
			return "no such line"
		})
	}
	return inTime(func() string { return side.check(s) })
}

func (c *compatClient) send(s dialogue.Step) string {
	text := s.Text
	if s.Verb == "C:" {
		text += "\r\n"
	}
	_, err := c.conn.Write([]byte(text))
	return problemOf(err)
}

func (c *compatClient) read(s dialogue.Step) string {
	line, err := c.in.ReadString('\n')
	got := strings.TrimRight(line, "\r\n")
	matches := got == s.Text
	if s.Verb == "S~" {
		matches = regexp.MustCompile("^(?:" + s.Text + ")$").MatchString(got)
	}
	if err != nil || !matches {
		return fmt.Sprintf("got %q, %v", line, err)
	}
	return ""
}

func (c *compatClient) readMany(s dialogue.Step) string {
	number, pattern, _ := strings.Cut(s.Text, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err.Error()
	}
	for i := range n {
		if problem := c.read(dialogue.Step{Verb: "S~", Text: pattern}); problem != "" {
			return fmt.Sprintf("line %d: %s", i+1, problem)
		}
	}
	return ""
}

func (c *compatClient) eof(bounds string) string {
	if b, err := c.in.ReadByte(); err == nil {
		rest, _ := c.in.Peek(c.in.Buffered())
		return fmt.Sprintf("got %q", string(b)+string(rest))
	}
	least, most, bounded := strings.Cut(bounds, " ")
	if !bounded {
		return ""
	}
	from, _ := strconv.ParseFloat(least, 64)
	to, _ := strconv.ParseFloat(most, 64)
	if took := time.Since(c.since).Seconds(); took < from || took > to {
		return fmt.Sprintf("after %.2f s", took)
	}
	return ""
}

// check looks at what the auth server and the backend have got.
func (side *compatSide) check(s dialogue.Step) string {
	asked := side.auth.questions()
	logins, said := side.backend.seen()
	last := ""
	if len(asked) > 0 {
		last = asked[len(asked)-1]
	}
	switch s.Verb {
	case "A:":
		if !slices.Contains(strings.Split(last, "\r\n"), s.Text) {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A~":
		if !regexp.MustCompile(`(?m)^` + s.Text + `\r$`).MatchString(last) {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A!":
		if strings.Contains(last, "\n"+s.Text+":") {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A#":
		if strconv.Itoa(len(asked)) != s.Text {
			return fmt.Sprintf("%d questions", len(asked))
		}
	case "A>":
		if n, _ := strconv.Atoi(s.Text); len(asked) <= n {
			return fmt.Sprintf("%d questions", len(asked))
		}
	case "B!":
		if len(logins) > 0 {
			return fmt.Sprintf("%q", logins)
		}
	case "B:":
		if len(logins) == 0 || logins[len(logins)-1] != s.Text {
			return fmt.Sprintf("%q", logins)
		}
	case "B~":
		if !slices.ContainsFunc(said, regexp.MustCompile("^(?:"+s.Text+")$").MatchString) {
			return fmt.Sprintf("%q", said)
		}
	case "B>":
		if !slices.Contains(said, s.Text) {
			return fmt.Sprintf("%q", said)
		}
	}
	return ""
}

func problemOf(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// inTime asks again for a while.
func inTime(look func() string) string {
	for range 100 {
		if problem := look(); problem == "" {
			return ""
		}
		time.Sleep(20 * time.Millisecond)
	}
	return look()
}
