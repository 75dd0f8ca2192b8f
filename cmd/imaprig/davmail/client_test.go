package davmail

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const talkLimit = 10 * time.Minute // of a whole session: the machine is busy

var (
	literalEnd = regexp.MustCompile(`\{(\d+)\}$`)
	spaces     = regexp.MustCompile(` +`)
)

// client is a mail client that has read its greeting.
type client struct {
	conn *net.TCPConn
	text *textproto.Conn
	user string
}

// dialer is net.Dialer's method, or one that dials elsewhere.
type dialer func(addr string) (net.Conn, error)

func dialHere(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, talkLimit) }

func connect(dial dialer, addr, user string) (*client, error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn.(*net.TCPConn), text: textproto.NewConn(conn), user: user}
	if err := conn.SetDeadline(time.Now().Add(talkLimit)); err != nil {
		return nil, err
	}
	if line, err := c.text.ReadLine(); err != nil || !strings.HasPrefix(line, "* OK") {
		return nil, fmt.Errorf("greeting %q: %w", line, err)
	}
	return c, nil
}

// ask sends a command and returns the answer to it, literals as their lengths and sums. It wants this status.
func (c *client) ask(status, command string) ([]string, error) {
	if err := c.text.PrintfLine("x %s", command); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	lines, err := c.answer("x ")
	if err == nil && !strings.HasPrefix(lines[len(lines)-1], "x "+status) {
		err = fmt.Errorf("want %s", status)
	}
	if err != nil {
		return lines, fmt.Errorf("%s: %q: %w", command, lines, err)
	}
	return lines, nil
}

// answer reads up to a line that begins so.
func (c *client) answer(last string) (lines []string, err error) {
	for {
		line, err := c.text.ReadLine()
		if err != nil {
			return lines, err
		}
		if m := literalEnd.FindStringSubmatch(line); m != nil {
			size, err := strconv.Atoi(m[1])
			if err != nil {
				return lines, err
			}
			text := make([]byte, size)
			if _, err := io.ReadFull(c.text.R, text); err != nil {
				return lines, err
			}
			sum := sha256.Sum256(bytes.ReplaceAll(text, []byte(c.user), []byte("user"))) // "To:" is its user
			line += fmt.Sprintf(" %x", sum[:8])
		}
		line = spaces.ReplaceAllString(line, " ") // DavMail sends more of them while it loads a large message
		lines = append(lines, line)
		if strings.HasPrefix(line, last) {
			return lines, nil
		}
	}
}

// begin sends a command and reads the line that lets the client go on, such as "+ idling".
func (c *client) begin(command string) error {
	if err := c.text.PrintfLine("x %s", command); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if lines, err := c.answer("+"); err != nil {
		return fmt.Errorf("%s: %q: %w", command, lines, err)
	}
	return nil
}

func (c *client) login() error {
	_, err := c.ask("OK", c.loginCommand())
	return err
}

func (c *client) loginCommand() string { return "LOGIN " + c.user + " secret" }

func (c *client) selectInbox() error {
	if err := c.login(); err != nil {
		return err
	}
	_, err := c.ask("OK", "SELECT INBOX")
	return err
}

// say sends a command of a talk and returns its answer, whatever it is.
func (c *client) say(command string) ([]string, error) {
	begin, goesOn := strings.CutPrefix(command, "+")
	if !goesOn {
		return c.ask("", command)
	}
	more := "DONE"
	if strings.HasPrefix(begin, "APPEND") {
		more = "Subject: appended\r\n\r\n" + strings.Repeat("a line of a message\r\n", appendSize/20)
		begin = fmt.Sprintf(begin, len(more))
	}
	if err := c.begin(begin); err != nil {
		return nil, err
	}
	if err := c.text.PrintfLine("%s", more); err != nil {
		return nil, err
	}
	return c.answer("x ")
}
