package imapproxy

import (
	"bytes"
	"errors"
	"strings"

	"imapproxy/backend/ledger"
)

// Bounds on what a client may send before login.
const (
	maxLine      = 8 << 10  // bytes of a command line
	maxSASLLine  = 20 << 10 // bytes of a line in a SASL exchange, of AUTHENTICATE with its initial response too
	maxSkipped   = 1 << 20  // bytes of a longer one, which is refused and read over
	maxIDCommand = 40 << 10 // bytes of an ID command (RFC 2971 allows about 32 KiB)
	maxPipelined = 64 << 10 // bytes read ahead while a login is being decided
)

// command is one command before login: the pieces of its line, with a literal
// between each two (RFC 9051 section 4.3).
type command struct {
	tag      string
	name     string // upper case
	pieces   [][]byte
	literals [][]byte
}

// size counts the bytes that the command holds.
func (c *command) size() int {
	n := 0
	for _, part := range [][][]byte{c.pieces, c.literals} {
		for _, p := range part {
			n += len(p)
		}
	}
	return n
}

// badCommand is a refusal of a line, answered and counted.
type badCommand struct {
	tag   string // "*" when the client's can't be reflected
	text  string
	fatal bool // bytes that may be a literal follow: the stream can't be trusted
}

func (e *badCommand) Error() string { return e.text }

var errTooManyLiterals = errors.New("too many literals")

// parseHead splits the tag and the name off the first line.
func parseHead(line []byte) (command, *badCommand) {
	tag, rest, _ := bytes.Cut(line, []byte(" "))
	if !ledger.IsTag(tag) {
		return command{tag: "*"}, &badCommand{tag: "*", text: "Invalid tag"}
	}
	name, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	cmd := command{tag: string(tag), name: strings.ToUpper(string(name))}
	if len(name) == 0 || len(name) > 32 {
		return cmd, &badCommand{tag: cmd.tag, text: "A command is missing"}
	}
	at := bytes.Index(rest, name) + len(name)
	cmd.pieces = [][]byte{bytes.Clone(rest[at:])}
	return cmd, nil
}

// literalSpec is the announcement of a literal at the end of a line.
type literalSpec struct {
	size int64
	sync bool // the client waits for "+"
}

var errLiteralSize = errors.New("no such literal length")

// maxDigits bounds the digits of a literal's length.
const maxDigits = 18

// parseLiteral finds {n}, {n+} or {n-} at a line's end (RFC 9051, RFC 7888).
// An error means that braces are there but no length.
func parseLiteral(line []byte) (literalSpec, bool, error) {
	l, found := ledger.CutLiteral(line)
	if n := len(l.Before); !found || n > 0 && l.Before[n-1] != ' ' && l.Before[n-1] != '(' {
		return literalSpec{}, false, nil
	}
	spec := literalSpec{sync: l.Mark == 0}
	size, err := l.Size()
	if err != nil || len(l.Digits) > maxDigits {
		return spec, true, errLiteralSize
	}
	spec.size = size
	return spec, true, nil
}

// args walks over a command's arguments, literals included.
type args struct {
	cmd   *command
	piece int
	rest  []byte
}

func (c *command) args() *args { return &args{cmd: c, rest: c.pieces[0]} }

// space skips the spaces in front of an argument; false when there is none.
func (a *args) space() bool {
	n := len(a.rest)
	a.rest = bytes.TrimLeft(a.rest, " ")
	return len(a.rest) < n
}

// end reports whether nothing is left.
func (a *args) end() bool {
	return len(bytes.TrimRight(a.rest, " ")) == 0 && a.piece == len(a.cmd.pieces)-1
}

// atLiteral reports whether the rest of this piece is the announcement of the
// literal after it.
func (a *args) atLiteral() bool {
	return a.piece < len(a.cmd.literals) && len(a.rest) > 0 && a.rest[0] == '{' && bytes.IndexByte(a.rest, ' ') < 0
}

// astring takes an atom, a quoted string or a literal.
func (a *args) astring() (string, bool) {
	switch {
	case len(a.rest) == 0:
		return "", false
	case a.atLiteral():
		s := string(a.cmd.literals[a.piece])
		a.piece++
		a.rest = a.cmd.pieces[a.piece]
		return s, true
	case a.rest[0] == '"':
		return a.quoted()
	}
	return a.atom()
}

// atom takes bytes to the next space or closing parenthesis: more than RFC
// 9051 allows in an atom, since clients send passwords so.
func (a *args) atom() (string, bool) {
	end := bytes.IndexAny(a.rest, " ()")
	if end < 0 {
		end = len(a.rest)
	}
	if end == 0 || a.rest[0] == '{' {
		return "", false
	}
	s := string(a.rest[:end])
	a.rest = a.rest[end:]
	return s, true
}

func (a *args) quoted() (string, bool) {
	var out []byte
	for i := 1; i < len(a.rest); i++ {
		switch c := a.rest[i]; c {
		case '"':
			a.rest = a.rest[i+1:]
			return string(out), true
		case '\\':
			i++
			if i == len(a.rest) || (a.rest[i] != '"' && a.rest[i] != '\\') {
				return "", false
			}
			out = append(out, a.rest[i])
		default:
			out = append(out, c)
		}
	}
	return "", false
}
