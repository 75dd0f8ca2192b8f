package ledger

import (
	"bytes"
	"strings"
)

// This file is the syntax of the commands that bring messages: APPEND (RFC 9051
// section 6.3.12, with CATENATE of RFC 4469) and REPLACE (RFC 8508).
//
// Dovecot 2.3 parses APPEND piece by piece. After an error it reads the rest of the
// line as a command: `a APPEND x "b STORE 1 +FLAGS (x)` runs STORE. Where a policy
// must not be escaped, such a line goes on only when there is no error in it.

// maxStoreLine bounds the lines that are judged whole, in bytes.
const maxStoreLine = 4096

// storeState says what comes next in a command that brings messages.
type storeState uint8

const (
	storeMailbox storeState = iota
	storeNumber             // of the message that is replaced, then the mailbox
	storeFirst              // a message
	storeMore               // the end, or one more message
	storePart               // the end of CATENATE, or one more part
)

// storeLine reads a line of such a command.
type storeLine struct {
	rest      []byte
	state     storeState
	catenate  bool // CATENATE may be used
	announced bool // the line has ended with a literal
}

// passStore takes a line of a command that brings messages, once it is whole. Its
// first line begins with s.
func (l *Ledger) passStore(e *edit, at int, s start) (int, bool) {
	rest := e.in[at:]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 && len(rest) <= maxStoreLine {
		return l.hold(e, at)
	}
	fits := end >= 0 && end <= maxStoreLine
	line := storeLine{state: l.state().store, catenate: l.policy.appendLimit == 0}
	if s.kind == startCommand {
		line.state = storeMailbox
		if strings.HasSuffix(commands[findCommand(s.name)].name, "REPLACE") {
			line.state = storeNumber
		}
	}
	switch {
	case fits && line.read(bytes.TrimSuffix(rest[s.end:end], []byte("\r"))):
		l.filter.store = line.state
		return l.passLine(e, at)
	case s.kind == startCommand:
		return l.refuse(e, at, s, refusedInvalid)
	}
	l.suspect(doubtLine)
	return 0, true
}

// read reports whether a line has no error.
func (s *storeLine) read(p []byte) bool {
	s.rest = p
	for ok := true; ok; {
		switch s.state {
		case storeNumber:
			ok, s.state = s.takes(" ") && s.run("*"), storeMailbox
		case storeMailbox:
			ok, s.state = s.takes(" ") && s.astring(), storeFirst
		case storeFirst:
			ok = s.message()
		case storeMore:
			if len(s.rest) == 0 {
				return true
			}
			ok = s.message()
		case storePart:
			if s.takes(")") {
				s.state = storeMore
			} else {
				ok = s.takes(" ") && s.part()
			}
		}
		if s.announced {
			return true
		}
	}
	return false
}

// message reads what describes a message, up to its literal or its first part.
func (s *storeLine) message() bool {
	switch {
	case !s.takes(" "),
		s.takes("(") && !(s.run(" \\") && s.takes(")") && s.takes(" ")), // flags
		s.begins('"') && !(s.quoted() && s.takes(" ")):                  // a date
		return false
	case s.catenate && s.takes("CATENATE ("):
		return s.part()
	}
	s.state = storeMore
	return s.literal()
}

// part reads a part of CATENATE.
func (s *storeLine) part() bool {
	s.state = storePart
	if s.takes("URL ") {
		return s.astring()
	}
	return s.takes("TEXT ") && s.literal()
}

// takes takes a word in upper case, if it comes next.
func (s *storeLine) takes(word string) bool {
	found, _ := beginsWith(s.rest, word)
	if found {
		s.rest = s.rest[len(word):]
	}
	return found
}

func (s *storeLine) begins(b byte) bool { return len(s.rest) > 0 && s.rest[0] == b }

// run takes what there is of the bytes of atoms and some others.
func (s *storeLine) run(others string) bool {
	n := 0
	for n < len(s.rest) && (atomByte(s.rest[n]) || strings.IndexByte(others, s.rest[n]) >= 0) {
		n++
	}
	s.rest = s.rest[n:]
	return true
}

func (s *storeLine) astring() bool {
	switch {
	case s.begins('"'):
		return s.quoted()
	case s.begins('{'):
		return s.literal()
	}
	before := len(s.rest)
	return s.run("]") && len(s.rest) < before
}

// quoted takes a quoted string.
func (s *storeLine) quoted() bool {
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case 0, '\r':
			return false
		case '"':
			s.rest = s.rest[i+1:]
			return true
		case '\\':
			i++
			if i == len(s.rest) || s.rest[i] != '"' && s.rest[i] != '\\' {
				return false
			}
		}
	}
	return false
}

// literal takes the announcement of a literal, with which the line ends.
func (s *storeLine) literal() bool {
	s.takes("~")
	l, found := CutLiteral(s.rest)
	_, err := l.Size()
	s.announced = found && len(l.Before) == 0 && err == nil
	return s.announced
}
