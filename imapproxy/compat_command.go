package imapproxy

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"imapproxy/backend/fault"
	"imapproxy/backend/lines"
)

// nginx's parser of commands, without its faults: an empty literal takes no
// byte, and what does not fit is not run as a command.

// compatArgs is how many arguments a command may have.
const compatArgs = 3

// compatTagForm is a tag as nginx takes it: of 32 bytes at most, where we take
// ledger.MaxTag.
const compatTagForm = `^([A-Za-z0-9._-]{1,32}) `

var compatTag = regexp.MustCompile(compatTagForm)

// compatHead is a tag, one or more spaces and a verb.
var compatHead = regexp.MustCompile(compatTagForm + ` *([A-Za-z]+)( .*)?$`)

func (nginxDialect) read(s *session) (reply, error) {
	cmd, args, err := s.readCompat()
	var refused *badCommand
	if errors.As(err, &refused) {
		r := reply{text: refused.tag + compatInvalid, bad: true, why: refused.text}
		if refused.fatal {
			r.end = endClientProtocol
		}
		return r, nil
	}
	if err != nil {
		return reply{}, err
	}
	s.lastCommand = cmd.name
	fault.Point("dialogue.handler")
	return s.compatHandle(&cmd, args)
}

// readCompat reads a command with its arguments. ID is not nginx's and keeps
// its own parser.
func (s *session) readCompat() (command, []string, error) {
	fault.Point("dialogue.read")
	line, err := s.readLine()
	if err != nil {
		return command{}, nil, err
	}
	fault.Point("dialogue.parse")
	if isHTTP(line) {
		return command{}, nil, s.fail(endClientProtocol, errors.New("an HTTP request"))
	}
	m := compatHead.FindSubmatch(line)
	if m == nil || !isCompatVerb(string(m[2])) {
		return command{}, nil, compatBad(line)
	}
	cmd := command{tag: string(m[1]), name: strings.ToUpper(string(m[2])), pieces: [][]byte{bytes.Clone(m[3])}}
	if cmd.name == "ID" {
		return cmd, nil, s.readID(&cmd, line)
	}
	args, err := s.compatArguments(&cmd, bytes.Clone(m[3]))
	return cmd, args, err
}

// readID reads on over the literals of ID.
func (s *session) readID(cmd *command, line []byte) error {
	for {
		spec, found, err := parseLiteral(line)
		if !found {
			return nil
		}
		if err := s.literal(cmd, spec, false, err); err != nil {
			return err
		}
		if line, err = s.continueLine(cmd); err != nil {
			return err
		}
	}
}

func isCompatVerb(verb string) bool {
	switch strings.ToUpper(verb) {
	case "LOGIN", "AUTHENTICATE", "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "ID":
		return true
	}
	return false
}

// compatBad refuses a line. One that announces a literal which the client sends
// without waiting ends the session, since that must not run as a command.
func compatBad(line []byte) *badCommand {
	tag := "*"
	if m := compatTag.FindSubmatch(line); m != nil {
		tag = string(m[1])
	}
	spec, found, _ := parseLiteral(line)
	return &badCommand{tag: tag, text: "invalid command", fatal: found && !spec.sync}
}

// compatArguments reads the arguments: atoms, quoted strings and literals, at
// most three.
func (s *session) compatArguments(cmd *command, rest []byte) ([]string, error) {
	var list []string
	left := 2 * maxLine // for literals
	for {
		rest = bytes.TrimLeft(rest, " ")
		if len(rest) == 0 {
			return list, nil
		}
		if len(list) == compatArgs {
			return nil, badRest(cmd, rest)
		}
		arg, after, valid := compatArgument(rest)
		if !valid {
			return nil, badRest(cmd, rest)
		}
		if rest[0] == '{' {
			text, line, err := s.compatLiteral(cmd, rest, left)
			if err != nil {
				return nil, err
			}
			left -= len(text) + len(line)
			arg, after = text, line
		}
		if len(after) > 0 && after[0] != ' ' {
			return nil, badRest(cmd, after)
		}
		list, rest = append(list, arg), after
	}
}

// badRest refuses a command at what is left of its line.
func badRest(cmd *command, rest []byte) *badCommand {
	spec, found, _ := parseLiteral(rest)
	return &badCommand{tag: cmd.tag, text: "invalid command", fatal: found && !spec.sync}
}

// compatArgument takes an atom, in which everything but a space may stand, or a
// quoted string, in which a backslash stands in front of any byte.
func compatArgument(rest []byte) (arg string, after []byte, valid bool) {
	if rest[0] != '"' {
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		return string(rest[:end]), rest[end:], true
	}
	var text []byte
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return string(text), rest[i+1:], true
		case '\\':
			if i++; i == len(rest) {
				return "", nil, false
			}
		}
		text = append(text, rest[i])
	}
	return "", nil, false
}

// compatLiteral reads a literal that is announced at the end of the line, and
// what stands after it.
func (s *session) compatLiteral(cmd *command, rest []byte, limit int) (text string, line []byte, err error) {
	spec, found, err := parseLiteral(rest)
	if !found || err != nil || bytes.HasSuffix(rest, []byte("-}")) {
		return "", nil, &badCommand{tag: cmd.tag, text: "invalid literal", fatal: bytes.HasSuffix(rest, []byte("+}")) ||
			bytes.HasSuffix(rest, []byte("-}"))}
	}
	if spec.size > int64(limit) {
		return "", nil, &badCommand{tag: cmd.tag, text: "the literal is too long", fatal: true}
	}
	if cmd.name == "LOGIN" && !s.mayAuthenticate() { // a password must not even be asked for
		return "", nil, &badCommand{tag: cmd.tag, text: "LOGIN without TLS", fatal: !spec.sync}
	}
	fault.Point("dialogue.literal")
	if spec.sync {
		if err := s.say("+ OK\r\n"); err != nil {
			return "", nil, err
		}
	}
	data, err := s.client.in.Literal(int(spec.size))
	if err != nil {
		return "", nil, s.readFailed(err)
	}
	next, err := s.client.in.Line(maxLine)
	if errors.Is(err, lines.ErrTooLong) {
		return "", nil, &badCommand{tag: cmd.tag, text: "the command is too long", fatal: true}
	}
	if err != nil {
		return "", nil, s.readFailed(err)
	}
	return string(data), bytes.Clone(next), nil
}
