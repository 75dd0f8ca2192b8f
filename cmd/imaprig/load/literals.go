package load

import (
	"context"
	"strconv"
	"strings"

	"imapproxy/cmd/imaprig/rig"
)

// runLiterals sends small commands with a literal as a client does that has Nagle's algorithm on and does not join its
// writes: the literal leaves only when the other side's kernel has acknowledged the line before it.
func runLiterals(ctx context.Context, r *run) error {
	r.target.nagle = true
	message := "Subject: hello\r\n\r\n" + strings.Repeat("This is a line of a small message.\r\n", 8)
	return r.repeat(ctx, r.selectMailbox, func(c *Conn) error {
		if err := r.timed("APPEND", func() error {
			return c.inTwoWrites("APPEND "+rig.Quoted(r.opts.Mailbox), message)
		}); err != nil {
			return err
		}
		return r.timed("SEARCH", func() error { return c.inTwoWrites("SEARCH SUBJECT", "hello") })
	})
}

// inTwoWrites sends a command and then its literal, which does not wait to be asked for (RFC 7888), and wants OK.
func (c *Conn) inTwoWrites(command, literal string) error {
	during, _, _ := strings.Cut(command, " ")
	if err := c.Send(command + " {" + strconv.Itoa(len(literal)) + "+}"); err != nil {
		return failure(during, err)
	}
	if _, err := c.conn.Write([]byte(literal + "\r\n")); err != nil {
		return failure(during, err)
	}
	return failure(during, c.answer())
}
