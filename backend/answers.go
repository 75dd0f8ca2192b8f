package backend

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"

	"imapproxy/backend/ledger"
)

// Bounds on what a backend may say before the relay.
const (
	maxAnswerLine  = 8 << 10  // bytes of one line
	maxAnswerLines = 100      // untagged lines behind one command
	maxAnswerBytes = 64 << 10 // bytes from the greeting to the end of the login
	firstBuffer    = 1 << 10
)

var (
	errLongLine = errors.New("a line over 8 KiB")
	errTooMuch  = errors.New("over 64 KiB or 100 lines before the login was answered")
	errJunk     = errors.New("not an IMAP response")
	errPreauth  = errors.New("PREAUTH: logged in before anybody said who")
	errInjected = errors.New("bytes behind the answer to STARTTLS")
)

// answers reads a backend's lines before the relay, bounded in every way.
type answers struct {
	src   io.Reader
	buf   []byte
	r, w  int
	total int
}

func (a *answers) buffered() int { return a.w - a.r }

func (a *answers) take(p []byte) int {
	n := copy(p, a.buf[a.r:a.w])
	a.r += n
	if a.r == a.w {
		a.release()
	}
	return n
}

// release gives the buffer back when nothing is left in it.
func (a *answers) release() {
	if a.r == a.w {
		a.buf, a.r, a.w = nil, 0, 0
	}
}

// line returns the next line without its end. The bytes stay valid until the
// next call.
func (a *answers) line() ([]byte, error) {
	from := a.r
	for {
		if i := bytes.IndexByte(a.buf[from:a.w], '\n'); i >= 0 {
			line := a.buf[a.r : from+i]
			a.r = from + i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if a.buffered() >= maxAnswerLine {
			return nil, errLongLine
		}
		unread := a.buffered()
		if err := a.fill(); err != nil {
			return nil, err
		}
		from = a.r + unread
	}
}

// fill reads once, making room first.
func (a *answers) fill() error {
	if a.total >= maxAnswerBytes {
		return errTooMuch
	}
	if a.r > 0 {
		a.w = copy(a.buf, a.buf[a.r:a.w])
		a.r = 0
	}
	if a.w == len(a.buf) {
		bigger := make([]byte, max(firstBuffer, 2*len(a.buf)))
		copy(bigger, a.buf)
		a.buf = bigger
	}
	// Exactly the bound, so that it does not matter how the bytes are chunked.
	n, err := a.src.Read(a.buf[a.w:min(len(a.buf), a.w+maxAnswerBytes-a.total)])
	a.w += n
	a.total += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// answer is one response line: "*", "+" or a tag; then the word, the code in
// brackets and the text of a status response.
type answer struct {
	tag  string // "*", "+" or the tag
	word string // OK, NO, BAD, BYE, PREAUTH, CAPABILITY ...; upper case
	code string // what stands in the brackets, without them
	text string
}

// response returns the next response. A line that ends in a literal is read
// on, within the bounds, and kept to its first part: nothing before the login
// needs what stands in a literal.
func (a *answers) response() (answer, error) {
	line, err := a.line()
	if err != nil {
		return answer{}, err
	}
	r, ok := parseAnswer(line)
	if !ok {
		return answer{}, errJunk
	}
	for part := line; r.tag == "*" && !isStatus(r.word); {
		n, more := literalEnd(part)
		if !more {
			break
		}
		if n > maxAnswerBytes {
			return answer{}, errTooMuch
		}
		if err := a.skip(n); err != nil {
			return answer{}, err
		}
		if part, err = a.line(); err != nil {
			return answer{}, err
		}
	}
	return r, nil
}

func (a *answers) skip(n int) error {
	for n > 0 {
		if a.buffered() == 0 {
			if err := a.fill(); err != nil {
				return err
			}
		}
		k := min(n, a.buffered())
		a.r += k
		n -= k
	}
	return nil
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

// literalEnd tells whether a line ends in a literal's length, and the length;
// one that no int holds is the largest int.
func literalEnd(line []byte) (int, bool) {
	if !bytes.HasSuffix(line, []byte("}")) {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	digits := strings.TrimSuffix(string(line[open+1:len(line)-1]), "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return math.MaxInt, true
	}
	return n, true
}

// printable makes a backend's text fit for a log or a client's line: one line,
// nothing that moves the cursor or turns the direction, at most 256 bytes.
func printable(s string) string { return printableUpTo(s, 256) }

func printableUpTo(s string, size int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\uFFFD' || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > size {
		s = strings.ToValidUTF8(s[:size], "")
	}
	return s
}
