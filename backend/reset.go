package backend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
	"imapproxy/backend/printable"
	"imapproxy/backend/wire"
)

// Limits of what a pool says to a backend.
const (
	resetLimit = 2 * time.Second // from DONE to its answer; then from the first command to the last answer
	checkLimit = 2 * time.Second // one NOOP
)

// pooled is what a connection carries from one session to the next.
type pooled struct {
	key  poolKey
	text string // of the login's OK

	keeps *atomic.Bool // of connPool
}

var (
	errNotClean  = errors.New("the connection may not be used again")
	errOutOfStep = errors.New("an answer that does not fit a connection at rest")
	errSaidBye   = errors.New("BYE")
)

// resetPlan says what brings a connection back to where a login leaves it.
type resetPlan struct {
	done     bool // DONE first
	unselect bool
	unsure   bool // of a mailbox being selected: then UNSELECT may be refused
	deselect bool // by a SELECT that fails
	forget   bool // UNAUTHENTICATE: fit for every user, and for no one yet
}

// planReset says how the connection can be made fit for its next session, or
// why it can't, with a word from a small fixed set. Any doubt is a no.
func (c *Conn) planReset() (p resetPlan, why string) {
	ok, why := c.Ledger.Reusable()
	switch {
	case c.broken, c.reset, c.peer != nil:
		return p, "broken"
	case !c.relay:
		return p, "unfinished"
	case c.Ahead():
		return p, "unread"
	case why == "idle":
		p.done, ok = true, true
	case !ok && c.Ledger.OnlyTainted():
		p.forget, ok = c.mayUnauthenticate(), c.mayUnauthenticate()
	}
	if !ok {
		return p, why
	}
	if !c.Ledger.Selected() || p.forget {
		return p, ""
	}
	p.unsure = c.Ledger.SelectRefused()
	p.unselect = c.caps.has("UNSELECT") || c.caps.has("IMAP4rev2")
	p.deselect = !p.unselect // CLOSE would expunge (RFC 9051 section 6.4.1)
	if p.deselect && (p.unsure || c.pooled.keeps.Load()) {
		return p, whyNoUnselect // deselect would prove nothing
	}
	return p, ""
}

// mayUnauthenticate reports whether RFC 8437 undoes this connection's login: with
// a client certificate the identity would stick to the TLS layer (section 4.2).
func (c *Conn) mayUnauthenticate() bool {
	t := c.Target.TLSConfig
	return c.caps.has("UNAUTHENTICATE") && (t == nil || len(t.Certificates) == 0 && t.GetClientCertificate == nil)
}

// makeFit brings the connection back to where a login leaves it, and has that
// confirmed: every answer is awaited, and the last one is to a tag that nothing
// before can have used. It reports whether the login is undone.
func (c *Conn) makeFit(ctx context.Context) (forgotten bool, why string, err error) {
	plan, why := c.planReset()
	if why != "" {
		return false, why, fmt.Errorf("%w: %s", errNotClean, why)
	}
	c.enter(phaseReset)
	fault.Point("pool.reset")
	if err := c.hold(ctx); err != nil {
		return false, "reset_failed", err
	}
	if plan.done {
		if why, err := c.leaveIdle(ctx); err != nil {
			return false, why, err
		}
		if plan, why = c.planReset(); why != "" {
			return false, why, fmt.Errorf("%w after IDLE: %s", errNotClean, why)
		}
	}
	err = c.during(ctx, "backend_reset", resetLimit, func() error { return c.undo(plan) })
	switch {
	case errors.Is(err, errStillSelected):
		return false, whyNoUnselect, err
	case err != nil:
		return false, "reset_failed", err
	}
	if c.unread() {
		return false, "reset_failed", errOutOfStep
	}
	c.relay, c.Ledger = false, ledger.Ledger{}
	return plan.forget, "", nil
}

// unread reports whether something has come with the last answer, in the same piece or in
// the same TLS records: nothing is asked any more, so the next session would read it.
func (c *Conn) unread() bool {
	if c.Ahead() {
		return true
	}
	c.in = nil
	if c.TLS() == nil {
		return false // what the socket has is seen when the connection is lent
	}
	defer c.raw.WaitBy(c.raw.WaitBy(nil)) // TLS gives what it has
	var b [1]byte
	n, err := c.conn.Read(b[:])
	return n > 0 || !errors.Is(err, wire.ErrWouldBlock)
}

// leaveIdle says DONE and awaits the reply to IDLE.
func (c *Conn) leaveIdle(ctx context.Context) (why string, err error) {
	err = c.during(ctx, "backend_reset", resetLimit, func() error {
		done := []byte("DONE\r\n")
		c.Ledger.Client(done)
		if _, err := c.Write(done); err != nil {
			return err
		}
		var buf [4 << 10]byte
		for left := maxAnswerBytes; left > 0 && c.Ledger.Doubt() == ""; {
			if c.Ledger.Quiet() {
				return nil
			}
			n, err := c.Read(buf[:])
			c.Ledger.Backend(buf[:n])
			if left -= n; err != nil {
				return err
			}
		}
		return errOutOfStep
	})
	if err != nil {
		return "done_failed", err
	}
	return "", nil
}

// undo does UNSELECT or what replaces it, or UNAUTHENTICATE, and then asks with a
// tag of its own.
func (c *Conn) undo(p resetPlan) error {
	c.inStep, c.relay = true, false
	c.readAnswers()
	if p.forget {
		if _, err := c.askSelected("UNAUTHENTICATE"); err != nil {
			return err
		}
		c.caps.forget()
		c.pooled, c.alerts = nil, nil
		if err := c.ask("CAPABILITY"); err != nil {
			return err
		}
		if !c.caps.known() {
			return errOutOfStep
		}
		return nil
	}
	switch {
	case p.unselect:
		_, err := c.askSelected("UNSELECT")
		if p.unsure && refusedBy(err) == "BAD" { // no mailbox is selected (RFC 3691 section 2), or it knows no UNSELECT
			err = c.refusesMailbox()
		}
		if err != nil {
			return err
		}
	case p.deselect:
		if err := c.deselect(); err != nil {
			return err
		}
	}
	return c.ask("NOOP")
}

// ask says a command under a tag that no other command has had, and awaits
// its OK; another answer is a *refusing. Untagged lines may stand before it that
// say nothing of the connection's own state.
func (c *Conn) ask(commandLine string) error { return c.converse(commandLine, nil) }

// askSelected is ask where a mailbox may be selected: news of it may stand before the
// answer. It reports whether there was some.
func (c *Conn) askSelected(commandLine string) (news bool, err error) {
	err = c.converse(commandLine, &news)
	return news, err
}

// converse is ask; with news, askSelected.
func (c *Conn) converse(commandLine string, news *bool) error {
	tag := "P" + rand.Text()
	if err := c.send(tag + " " + commandLine + "\r\n"); err != nil {
		return err
	}
	for range maxAnswerLines {
		r, err := c.in.response()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.inStep = true // a slow backend: what it was asked is a whole line, which LOGOUT may follow
			return err
		case err != nil:
			return err
		case r.tag == tag:
			c.inStep = true
			c.noteAlert(r)
			if r.word == "OK" || strings.HasPrefix(commandLine, "ID ") { // ID is a courtesy
				return nil
			}
			return &refusing{c.answered(r)}
		case r.tag != "*":
			return errOutOfStep
		}
		if err := c.untagged(r, commandLine, news); err != nil {
			return err
		}
	}
	return errTooMuch
}

// untagged takes an untagged line between sessions. News of a mailbox may come only
// while one may be selected; afterwards there is none to have news of.
func (c *Conn) untagged(r answer, asked string, news *bool) error {
	switch {
	case r.word == "BYE":
		c.bye = true
		return errSaidBye
	case r.word == "OK", r.word == "NO":
		c.noteAlert(r)
		return nil
	case asked == "CAPABILITY" && r.word == "CAPABILITY":
		c.caps.learn(r, &c.dialer.lists)
		return nil
	case strings.HasPrefix(asked, "ID ") && r.word == "ID":
		return nil
	case news != nil:
		*news = true
		return nil
	}
	return fmt.Errorf("%w: %s", errOutOfStep, printable.Text(r.word, maxText))
}

// stillGood finds out whether an idle connection can be used: at once, where
// nothing has come meanwhile and it was heard of a short while ago; else by a
// question. command is NOOP or ID.
func (c *Conn) stillGood(ctx context.Context, command string, mustAsk bool) error {
	c.enter(phaseCheck)
	fault.Point("pool.check")
	c.readAnswers()
	if !mustAsk && !wire.Unread(&c.raw) {
		return nil
	}
	if err := c.hold(ctx); err != nil {
		return err
	}
	err := c.during(ctx, "backend_check", checkLimit, func() error { return c.ask(command) })
	if err == nil && c.unread() {
		return errOutOfStep
	}
	return err
}
