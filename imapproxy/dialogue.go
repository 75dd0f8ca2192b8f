package imapproxy

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/lines"
)

// reply is what a handler answers. Only the dialogue writes it and counts.
type reply struct {
	text  string        // whole lines without the last CRLF; "" for none
	bad   bool          // counts as a bad command
	why   string        // what is wrong with it, for the log; only in our own words
	end   endReason     // ends the session after the text
	then  func() error  // runs after the text
	login *loginAttempt // a login to try

	denied error // the refusal that the text words
}

// detail is what the log says of it, nil for nothing.
func (r *reply) detail() error {
	if r.why == "" {
		return nil
	}
	return errors.New(r.why)
}

func ok(cmd *command, text string) reply { return reply{text: cmd.tag + " OK " + text} }

func bad(cmd *command, text string) reply {
	return reply{text: cmd.tag + " BAD " + text, bad: true, why: text}
}

// handler finds one of the commands that exist before login; ID and LOGIN may
// carry literals.
func (s *session) handler(name string) (h func(*command) (reply, error), literals bool) {
	switch name {
	case "CAPABILITY":
		return s.handleCapability, false
	case "NOOP":
		return s.handleNoop, false
	case "LOGOUT":
		return s.handleLogout, false
	case "ID":
		return s.handleID, true
	case "STARTTLS":
		return s.handleSTARTTLS, false
	case "LOGIN":
		return s.handleLogin, true
	case "AUTHENTICATE":
		return s.handleAuthenticate, false
	}
	return nil, false
}

// dialogue answers commands until one asks to log in.
func (s *session) dialogue(d dialect) (*loginAttempt, error) {
	for {
		r, err := d.read(s)
		if err != nil {
			return nil, err
		}
		if r.text != "" {
			if err := s.say(r.text + "\r\n"); err != nil {
				return nil, err
			}
		}
		if r.bad {
			s.login.bad++
		}
		switch {
		case r.end != "":
			return nil, s.fail(r.end, r.detail())
		case s.login.bad >= cmp.Or(s.listener.BadCommands, s.settings.Limits.BadCommands):
			return nil, s.fail(endClientProtocol, r.detail())
		case s.login.refusals >= s.settings.Limits.FailedLogins: // refused without asking anybody
			return nil, s.fail(endTooManyFailures, nil)
		case r.login != nil:
			return r.login, nil
		case r.then != nil:
			if err := r.then(); err != nil {
				return nil, err
			}
		}
	}
}

// readCommand reads a command with its literals.
func (s *session) readCommand() (command, error) {
	fault.Point("dialogue.read")
	line, err := s.readLine()
	if err != nil {
		return command{}, err
	}
	fault.Point("dialogue.parse")
	if isHTTP(line) {
		return command{}, s.fail(endClientProtocol, errors.New("an HTTP request"))
	}
	cmd, refused := parseHead(line)
	_, literals := s.handler(cmd.name)
	if refused == nil && cmd.name == "LOGIN" && !s.mayAuthenticate() {
		literals = false // a password must not even be asked for
	}
	for {
		spec, found, err := parseLiteral(line)
		if !found {
			if refused != nil {
				return cmd, refused
			}
			return cmd, nil
		}
		if refused == nil && !literals && spec.sync {
			return cmd, nil // the command's answer takes the place of "+"
		}
		if r := s.literal(&cmd, spec, refused != nil || !literals, err); r != nil {
			return cmd, r
		}
		if line, err = s.continueLine(&cmd); err != nil {
			return cmd, err
		}
	}
}

// literal reads one literal into the command. One that can't be had is
// refused; if the client sends it all the same, the connection is closed,
// since its bytes must not run as commands.
func (s *session) literal(cmd *command, spec literalSpec, refused bool, bad error) error {
	switch {
	case bad != nil:
		return &badCommand{tag: cmd.tag, text: "Invalid literal length", fatal: !spec.sync}
	case spec.size > maxLine || cmd.size()+int(spec.size) > maxCommand(cmd.name):
		return &badCommand{tag: cmd.tag, text: "[TOOBIG] Literal too long", fatal: !spec.sync}
	case refused && spec.sync:
		return &badCommand{tag: cmd.tag, text: "Invalid command"}
	case len(cmd.literals) >= maxLiteralCount:
		return &badCommand{tag: cmd.tag, text: errTooManyLiterals.Error(), fatal: !spec.sync}
	}
	fault.Point("dialogue.literal")
	if spec.sync {
		if err := s.say("+ Ready for the literal\r\n"); err != nil {
			return err
		}
	}
	if s.client.in.Buffered() < int(spec.size) {
		s.client.raw.Acknowledge()
	}
	data, err := s.client.in.Literal(int(spec.size))
	if err != nil {
		return s.readFailed(err)
	}
	cmd.literals = append(cmd.literals, data)
	return nil
}

// maxLiteralCount bounds the literals of one command; ID has 30 pairs at the
// most (RFC 2971 section 3.3).
const maxLiteralCount = 64

// maxCommand bounds a command, its literals included.
func maxCommand(name string) int {
	if name == "ID" {
		return maxIDCommand
	}
	return 3 * maxLine
}

// continueLine reads the line after a literal, within what the command may
// still have.
func (s *session) continueLine(cmd *command) ([]byte, error) {
	line, err := s.client.in.Line(maxCommand(cmd.name) - cmd.size())
	if errors.Is(err, lines.ErrTooLong) {
		return nil, &badCommand{tag: cmd.tag, text: "Command too long", fatal: true}
	}
	if err != nil {
		return nil, s.readFailed(err)
	}
	cmd.pieces = append(cmd.pieces, bytes.Clone(line))
	return line, nil
}

// readLine reads a command's first line. Those of ID and AUTHENTICATE may be
// longer than others.
func (s *session) readLine() ([]byte, error) {
	line, err := s.client.in.Line(maxLine)
	long := command{}
	if errors.Is(err, lines.ErrTooLong) {
		long = s.longCommand()
		if bound := maxLineOf(long.name); bound > maxLine {
			line, err = s.client.in.Line(bound)
		}
	}
	if !errors.Is(err, lines.ErrTooLong) {
		return line, s.readFailedIf(err)
	}
	if long.name != "AUTHENTICATE" {
		return nil, &badCommand{tag: "*", text: "Line too long", fatal: true}
	}
	over, err := s.skipLine()
	if err != nil {
		return nil, err
	}
	return nil, &badCommand{tag: long.tag, text: responseTooLong, fatal: !over}
}

// longCommand returns the head of a line that is too long, as far as it has one.
func (s *session) longCommand() command {
	b := s.client.in.Peek()
	cmd, refused := parseHead(b[:min(len(b), 128)])
	if refused != nil {
		return command{}
	}
	return cmd
}

// maxLineOf bounds the first line of a command.
func maxLineOf(name string) int {
	switch name {
	case "ID":
		return maxIDCommand
	case "AUTHENTICATE":
		return maxSASLLine
	}
	return maxLine
}

const responseTooLong = "The response is too long"

// skipLine reads over a SASL line that is too long, so that the client may go on.
// It reports whether the line has an end.
func (s *session) skipLine() (over bool, err error) {
	err = s.client.in.SkipLine(maxSkipped)
	if errors.Is(err, lines.ErrTooLong) {
		return false, nil
	}
	return err == nil, s.readFailedIf(err)
}

var httpVerbs = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI"}

// isHTTP distinguishes a browser that was led here (CVE-2021-3618, ALPACA) from a
// client whose tag happens to be a verb.
func isHTTP(line []byte) bool {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	if !slices.Contains(httpVerbs, strings.ToUpper(string(verb))) {
		return false
	}
	target, _, _ := bytes.Cut(rest, []byte(" "))
	return bytes.Contains(rest, []byte("HTTP/")) || bytes.HasPrefix(target, []byte("/"))
}
