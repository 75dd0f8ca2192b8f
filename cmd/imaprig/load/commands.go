package load

import (
	"bytes"
	"cmp"
	"strconv"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// logout ends the session as IMAP wants it, up to the server's end of the connection.
func (c *Conn) logout() error {
	err := c.ok("LOGOUT")
	if err == nil {
		err = failure("end of the connection", c.end())
	}
	c.Close()
	return err
}

// end waits for the server's end of the connection.
func (c *Conn) end() error {
	_, err := c.in.ReadByte()
	if err == nil {
		return &answerError{"unexpected answer", "bytes after the answer to LOGOUT"}
	}
	if cause := causeOf(err); cause == "closed" || cause == "reset" {
		return nil
	}
	return err
}

// Close closes the connection without LOGOUT.
func (c *Conn) Close() {
	_ = c.conn.Close() // nothing is to be said any more
}

// idle begins IDLE (RFC 2177).
func (c *Conn) idle() error {
	if err := c.Send("IDLE"); err != nil {
		return failure("IDLE", err)
	}
	return failure("IDLE", c.continuation())
}

// continuation waits for the line that lets a client go on.
func (c *Conn) continuation() error {
	for range maxLines {
		line, err := c.Line()
		switch {
		case err != nil:
			return cmp.Or(c.bye, err)
		case bytes.HasPrefix(line, []byte("+")):
			return nil
		case !bytes.HasPrefix(line, []byte("* ")):
			return answerOf(bytes.TrimPrefix(line, c.tag))
		}
		if err := c.untagged(line); err != nil {
			return err
		}
	}
	return &answerError{"endless answer", "no continuation"}
}

// fetch reads a message and discards it.
func (c *Conn) fetch(number int) error {
	before := c.literals
	err := c.ok("FETCH " + strconv.Itoa(number) + " BODY.PEEK[]")
	if err == nil && c.literals == before {
		err = failure("FETCH", &answerError{"no message", "the mailbox has no message " + strconv.Itoa(number)})
	}
	return err
}

// appendMessage stores a message of n bytes.
func (c *Conn) appendMessage(mailbox string, b *rig.Body, n int) error {
	if err := c.Send("APPEND " + rig.Quoted(mailbox) + " {" + strconv.Itoa(n) + "}"); err != nil {
		return failure("APPEND", err)
	}
	if err := c.continuation(); err != nil {
		return failure("APPEND", err)
	}
	if err := b.Send(c.conn, n, c.countBytes); err != nil {
		return failure("APPEND", err)
	}
	if _, err := c.conn.Write([]byte("\r\n")); err != nil {
		return failure("APPEND", err)
	}
	return failure("APPEND", c.answer())
}

// countBytes reports bytes of a message. The limit is for each part, so that a large message may take long.
func (c *Conn) countBytes(n int) {
	if c.onBytes != nil {
		c.onBytes(n)
	}
	_ = c.extend() // a deadline that can't be set shows in the next read or write
}

// done ends IDLE.
func (c *Conn) done() error {
	if err := c.extend(); err != nil {
		return failure("DONE", err)
	}
	if _, err := c.conn.Write([]byte("DONE\r\n")); err != nil {
		return failure("DONE", err)
	}
	return failure("DONE", c.answer())
}

// waitIdle reads the lines of IDLE until then.
func (c *Conn) waitIdle(until time.Time) error {
	c.deadline = time.Time{} // the next command sets its own
	if err := c.conn.SetReadDeadline(until); err != nil {
		return failure("IDLE", err)
	}
	for {
		if _, err := c.in.Peek(1); err != nil {
			if causeOf(err) == "no answer in time" {
				return nil
			}
			return failure("IDLE", err)
		}
		line, err := c.Line()
		if err != nil {
			return failure("IDLE", err)
		}
		if bytes.HasPrefix(line, []byte("* BYE")) {
			return failure("IDLE", answerOf(line))
		}
		if bytes.HasSuffix(line, []byte(" EXISTS")) {
			c.exists++
		}
	}
}
