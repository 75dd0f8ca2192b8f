package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"imapproxy/cmd/imaprig/rig"
)

// tryOut runs one session with what the mode needs, before the load. What is missing is said once, and not for each
// session.
func (r *run) tryOut(ctx context.Context) error {
	t := r.opts.newTarget() // with numbers of its own
	c, err := t.Dial()
	if err != nil {
		return r.explain(err, nil)
	}
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	defer c.Close()
	steps := map[string]func() error{
		"LOGIN":   c.login,
		"SELECT":  func() error { return r.selectMailbox(c) },
		"message": func() error { return r.hasMessage(c) },
		"APPEND":  func() error { return c.appendMessage(r.opts.Mailbox, r.body, r.opts.Size) },
		"IDLE":    func() error { return errors.Join(c.idle(), c.done()) },
	}
	for _, step := range append([]string{"LOGIN"}, r.opts.Mode.needs...) {
		err := steps[step]()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return r.explain(err, c)
		}
	}
	_ = c.ok("LOGOUT") // how a session ends is the load's to count
	return nil
}

// hasMessage returns an error when the selected mailbox lacks the message that the mode reads.
func (r *run) hasMessage(c *Conn) error {
	o := r.opts
	switch {
	case c.messages == 0:
		return fmt.Errorf("mailbox %q of user %q is empty, and %s reads message %d of it: store one, as imaprig load "+
			"append does, or give --mailbox", o.Mailbox, c.userName(), o.Mode.name, r.message())
	case c.messages < r.message():
		return fmt.Errorf("mailbox %q of user %q has no message %d, which %s reads: give --message 1 to %d", o.Mailbox,
			c.userName(), r.message(), o.Mode.name, c.messages)
	}
	return nil
}

// explain returns the error of the first session in one sentence, with what can be done about it. c is nil before a
// session is open. The cause is the server that the user named, or what is wanted of it.
func (r *run) explain(err error, c *Conn) error {
	known := (*stepError)(nil)
	if !errors.As(err, &known) {
		return rig.WrongInput(err)
	}
	text := r.explainOpening(known)
	if c != nil {
		text = r.explainStep(known, c)
	}
	if text == "" {
		text = r.explainAny(known)
	}
	return rig.WrongInput(errors.New(text))
}

// explainOpening returns what is wrong with a server that no session can be opened with, or "".
func (r *run) explainOpening(e *stepError) string {
	addr, cause := r.opts.Proxy, causeOf(e)
	var noHost *net.DNSError
	var noTLS tls.RecordHeaderError
	switch {
	case e.step == "connect" && cause == "refused":
		return "nothing listens on " + addr
	case e.step == "connect" && errors.As(e, &noHost):
		return fmt.Sprintf("the host of %s is not found: %s", addr, noHost.Err)
	case e.step == "connect" && cause == "no answer in time":
		return fmt.Sprintf("%s can't be reached within %v", addr, r.opts.Limit)
	case e.step == "TLS" && errors.As(e, &noTLS):
		return fmt.Sprintf("%s does not speak TLS (%s): is it --tls off or --tls starttls?", addr, noTLS.Msg)
	case e.step == "STARTTLS" && isAnswer(e):
		return fmt.Sprintf("%s has no STARTTLS: it answers %v; is it --tls off or --tls implicit?", addr, e.err)
	case e.step == "greeting" && strings.HasPrefix(cause, "BYE"):
		return fmt.Sprintf("%s takes no session: %v", addr, e.err)
	case e.step == "greeting" && isAnswer(e):
		return fmt.Sprintf("%s does not greet as an IMAP server: %v", addr, e.err)
	case e.step == "greeting" && r.opts.TLS == "implicit":
		return fmt.Sprintf("%s does not greet as an IMAP server: %s", addr, r.causeText(cause))
	case e.step == "greeting":
		return fmt.Sprintf("%s does not greet as an IMAP server: %s; does it want --tls implicit?", addr,
			r.causeText(cause))
	}
	return ""
}

// explainStep returns what is wrong where a server refuses a step of a session, or "".
func (r *run) explainStep(e *stepError, c *Conn) string {
	if !isAnswer(e) {
		return ""
	}
	o, user := r.opts, c.userName()
	switch e.step {
	case "LOGIN":
		if text := strings.ToUpper(e.Error()); strings.Contains(text, "PRIVACYREQUIRED") ||
			strings.Contains(text, "LOGINDISABLED") {
			return fmt.Sprintf("%s takes no login without TLS: %v; give --tls", o.Proxy, e.err)
		}
		return fmt.Sprintf("%s refuses user %q: %v; give --user and --password", o.Proxy, user, e.err)
	case "SELECT":
		return fmt.Sprintf("%s does not let user %q select mailbox %q: %v; give --mailbox", o.Proxy, user, o.Mailbox,
			e.err)
	case "IDLE":
		return fmt.Sprintf("%s has no IDLE, which %s needs: it answers %v", o.Proxy, o.Mode.name, e.err)
	case "APPEND":
		return fmt.Sprintf("%s does not let user %q store %d bytes in mailbox %q: %v", o.Proxy, user, o.Size, o.Mailbox,
			e.err)
	}
	return ""
}

// explainAny returns what there is to say about any step.
func (r *run) explainAny(e *stepError) string {
	if isAnswer(e) {
		return fmt.Sprintf("%s answers %s with %v", r.opts.Proxy, e.step, e.err)
	}
	if text := r.causeText(causeOf(e)); text != "" {
		return fmt.Sprintf("%s fails at %s: %s", r.opts.Proxy, e.step, text)
	}
	return fmt.Sprintf("%s fails at %v", r.opts.Proxy, e)
}

// causeText returns what a server did that sent no answer, "" for a cause of ours.
func (r *run) causeText(cause string) string {
	switch cause {
	case "closed":
		return "it closes the connection"
	case "reset":
		return "it resets the connection"
	case "no answer in time":
		return fmt.Sprintf("it says nothing for %v", r.opts.Limit)
	}
	return ""
}

func isAnswer(err error) bool {
	answer := (*answerError)(nil)
	return errors.As(err, &answer)
}
