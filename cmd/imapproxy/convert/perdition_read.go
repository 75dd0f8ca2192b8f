package convert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// wordLine is one logical line of a file in perdition's format (the library
// vanessa_adt): its words, and where it began. The rest is all after the first
// word as one value, as perdition.conf takes it.
type wordLine struct {
	line     int
	indented bool // perdition.conf: the line counts for nothing
	words    []string
	rest     string
}

// readVanessa cuts a text into lines and words. A backslash makes the next
// character an ordinary one, and joins lines in front of a newline; '...' and
// "..." quote, the latter with backslashes, and leave newlines out; "#" outside
// begins a comment, which a backslash at its end continues. Spaces between the words of a value stay in the rest. The
// library loses the last word of a file whose last line has no end; here that
// is an error.
func readVanessa(text string) ([]wordLine, error) {
	r := &vanessaReader{text: text, line: 1}
	for r.at < len(r.text) {
		if err := r.next(); err != nil {
			return nil, err
		}
	}
	if r.inWord {
		return nil, &badConf{line: r.line,
			text: "the file's last line has no end, so that perdition loses its last word: end the line"}
	}
	r.endLine()
	return r.lines, nil
}

type vanessaReader struct {
	text string
	at   int
	line int // of at

	lines   []wordLine
	current wordLine
	word    strings.Builder
	inWord  bool
	spaces  string // between the words of the rest
}

// next takes one character, or a whole quoted text or comment.
func (r *vanessaReader) next() error {
	c := r.text[r.at]
	r.at++
	switch {
	case c == '\n':
		r.endLine()
		r.line++
	case c == '#':
		r.comment()
	case c == ' ' || c == '\t' || c == '\r':
		r.endWord()
		r.spaces += string(c)
	case c == '\\':
		if r.at == len(r.text) {
			return nil
		}
		if r.text[r.at] == '\n' {
			r.line++
		} else {
			r.put(r.text[r.at])
		}
		r.at++
	case c == '\'' || c == '"':
		return r.quoted(c)
	default:
		r.put(c)
	}
	return nil
}

// comment skips to the line's end. A backslash in front of it makes the next
// line part of the comment too.
func (r *vanessaReader) comment() {
	for r.at < len(r.text) && r.text[r.at] != '\n' {
		if r.text[r.at] == '\\' && r.at+1 < len(r.text) {
			if r.at++; r.text[r.at] == '\n' {
				r.line++
			}
		}
		r.at++
	}
}

// quoted takes a quoted text after its opening quote.
func (r *vanessaReader) quoted(quote byte) error {
	opened := r.line
	r.begin()
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == quote:
			return nil
		case c == '\\' && quote == '"' && r.at < len(r.text):
			if r.text[r.at] != '\n' {
				r.put(r.text[r.at])
			} else {
				r.line++
			}
			r.at++
		default:
			if c == '\n' {
				r.line++
				continue
			}
			r.put(c)
		}
	}
	return &badConf{line: opened, text: fmt.Sprintf("the quote %c is not closed", quote)}
}

// begin begins a word, or goes on with it.
func (r *vanessaReader) begin() {
	if r.inWord {
		return
	}
	r.inWord = true
	switch len(r.current.words) {
	case 0:
		r.current.line, r.current.indented = r.line, r.spaces != ""
	case 1:
	default:
		r.current.rest += r.spaces
	}
	r.spaces = ""
}

func (r *vanessaReader) put(c byte) {
	r.begin()
	r.word.WriteByte(c)
}

func (r *vanessaReader) endWord() {
	if !r.inWord {
		return
	}
	if len(r.current.words) > 0 {
		r.current.rest += r.word.String()
	}
	r.current.words = append(r.current.words, r.word.String())
	r.word.Reset()
	r.inWord, r.spaces = false, ""
}

func (r *vanessaReader) endLine() {
	r.endWord()
	if len(r.current.words) > 0 {
		r.lines = append(r.lines, r.current)
	}
	r.current, r.spaces = wordLine{}, ""
}

// shellWords cuts a command line into words as a shell does for plain words and
// quotes. Variables and commands in it are refused: nothing is run here.
func shellWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != '\'' && (c == '$' || c == '`'):
			return nil, fmt.Errorf("%q: variables and commands of the shell are not run here: "+
				"write what they stand for", shorten(line))
		case quote == 0 && (c == '\'' || c == '"'):
			quote, in = c, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			in = true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q: the quote %c is not closed", shorten(line), quote)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// readText reads a file of a bounded size.
func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = errors.New("the file is too large")
	}
	return string(text), err
}
