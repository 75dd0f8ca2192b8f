package backend

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"

	"imapproxy/backend/ledger"
	"imapproxy/backend/lines"
)

// Bounds on what a backend may say before the relay.
const (
	maxAnswerLine  = 8 << 10  // bytes of one line
	maxAnswerLines = 100      // untagged lines after one command
	maxAnswerBytes = 64 << 10 // bytes from the greeting to the end of the login
)

var (
	errLongLine = errors.New("a line over 8 KiB")
	errTooMuch  = errors.New("over 64 KiB or 100 lines before the login was answered")
	errJunk     = errors.New("not an IMAP response")
	errPreauth  = errors.New("PREAUTH: logged in before anybody said who")
	errInjected = errors.New("bytes after the answer to STARTTLS")
)

// budget bounds what is read from a backend: exactly, so that it does not matter
// how the bytes are chunked.
type budget struct {
	src  io.Reader
	used int
}

// Read implements io.Reader.
func (b *budget) Read(p []byte) (int, error) {
	if b.used >= maxAnswerBytes {
		return 0, errTooMuch
	}
	n, err := b.src.Read(p[:min(len(p), maxAnswerBytes-b.used)])
	b.used += n
	return n, err
}

// answers reads a backend's lines before the relay, bounded in every way.
type answers struct {
	lines.Reader
	budget budget
}

// init makes src the backend.
func (a *answers) init(src io.Reader) {
	a.budget.src = src
	a.Src = &a.budget
}

// line returns the next line without its end. The bytes stay valid until the
// next call.
func (a *answers) line() ([]byte, error) {
	line, err := a.Line(maxAnswerLine - 1) // its LF counts
	if errors.Is(err, lines.ErrTooLong) {
		err = errLongLine
	}
	return line, err
}

// answer is one response line: "*", "+" or a tag; then the word, the code in
// brackets and the text of a status response.
type answer struct {
	tag  string // "*", "+" or the tag
	word string // OK, NO, BAD, BYE, PREAUTH, CAPABILITY ...; upper case
	code string // what stands in the brackets, without them
	text string
}

// response returns the next response; what is none comes with errJunk, and with
// its tag where it has one. A line that ends in a literal is read
// on, within the bounds, and kept to its first part: nothing before the login
// needs what stands in a literal.
func (a *answers) response() (answer, error) {
	line, err := a.line()
	if err != nil {
		return answer{}, err
	}
	r, ok := parseAnswer(line)
	if !ok {
		return r, junk(line)
	}
	for part := line; r.tag == "*" && !isStatus(r.word); {
		n, more := literalEnd(part)
		if !more {
			break
		}
		if n > maxAnswerBytes {
			return answer{}, errTooMuch
		}
		if err := a.Skip(n); err != nil {
			return answer{}, err
		}
		if part, err = a.line(); err != nil {
			return answer{}, err
		}
	}
	return r, nil
}

func parseAnswer(line []byte) (answer, bool) {
	if bytes.IndexByte(line, 0) >= 0 {
		return answer{}, false
	}
	s := string(line)
	if s == "+" {
		return answer{tag: "+"}, true
	}
	tag, rest, ok := strings.Cut(s, " ")
	if !ok || tag == "" || len(tag) > ledger.MaxTag {
		return answer{}, false
	}
	if tag == "+" {
		return answer{tag: tag, text: rest}, true
	}
	word, rest, _ := strings.Cut(rest, " ")
	r := answer{tag: tag, word: strings.ToUpper(word), text: rest}
	if r.word == "" {
		return answer{}, false
	}
	if isStatus(r.word) && strings.HasPrefix(rest, "[") {
		if end := strings.IndexByte(rest, ']'); end > 0 {
			r.code = rest[1:end]
			r.text = strings.TrimPrefix(rest[end+1:], " ")
		}
	}
	return r, tag == "*" || isTagged(r.word)
}

func isTagged(word string) bool { return word == "OK" || word == "NO" || word == "BAD" }

func isStatus(word string) bool {
	return isTagged(word) || word == "BYE" || word == "PREAUTH"
}

// literalEnd reports whether a line ends in a literal's length, and the length;
// one that no int holds is the largest int.
func literalEnd(line []byte) (int, bool) {
	l, found := ledger.CutLiteral(line)
	if !found || l.Mark == '-' {
		return 0, false
	}
	n, err := l.Size()
	if errors.Is(err, ledger.ErrTooLarge) {
		return math.MaxInt, true
	}
	return int(n), err == nil
}

// maxText bounds a backend's words in a log or in a client's line.
const maxText = 256
