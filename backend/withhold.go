package backend

import (
	"encoding/base64"
	"slices"
	"strings"
)

// hidden is what a backend's words may not repeat where others read them: some
// backends send back the line that they don't understand. The zero value hides
// nothing.
type hidden struct {
	words   []string // the password, its first bytes, as it is and as a quoted string has it
	encoded []string // pieces of what has it in base64
}

// maxHidden is how many bytes of a password are looked for.
const maxHidden = 64

func (c Credentials) hidden() *hidden {
	secret := c.Secret[:min(len(c.Secret), maxHidden)]
	h := &hidden{words: []string{secret}}
	if q, quotable := quoted(secret); quotable && len(q) != len(secret)+2 {
		h.words = append(h.words, q[1:len(q)-1])
	}
	h.encode(c.plain())
	h.encode(base64.StdEncoding.EncodeToString([]byte(c.Secret)))
	return h
}

// minRepeat is how many bytes of the password count as repeated: some backends
// cut the line that they repeat.
const minRepeat = 8

// encode hides a base64 word too, cut so that each run of 11 of its bytes holds a
// piece. A shorter one is hidden as it is.
func (h *hidden) encode(word string) {
	h.encoded = slices.Grow(h.encoded, len(word)/4)
	if len(word) < minRepeat {
		h.words = append(h.words, word)
	}
	for i := 0; i+minRepeat <= len(word); i += 4 {
		h.encoded = append(h.encoded, word[i:i+minRepeat])
	}
}

// withhold takes the password out of what may be shown. A code is judged, so a
// short password that a usual code happens to hold must not change it; that of OK
// is a list of capabilities, or not read.
func (c *Conn) withhold(r *answer) {
	if !isStatus(r.word) {
		return
	}
	r.text = c.hidden.without(r.text[:min(len(r.text), maxLineText)]) // more is never shown
	if r.word == "OK" {
		return
	}
	r.code = r.code[:min(len(r.code), maxLineText)]
	if c.hidden != nil && len(c.hidden.words[0]) >= minRepeat && c.hidden.without(r.code) != r.code {
		r.code = ""
	}
}

// without returns text less the parts that repeat what is hidden.
func (h *hidden) without(text string) string {
	if h == nil {
		return text
	}
	covered := make([]bool, len(text))
	for _, word := range h.words {
		cover(covered, text, word)
	}
	if h.coverEncoded(covered, text) {
		for i := 1; i < len(text); i++ { // the rest of a word that was cut
			covered[i] = covered[i] || covered[i-1] && isBase64(text[i])
		}
		for i := len(text) - 2; i >= 0; i-- {
			covered[i] = covered[i] || covered[i+1] && isBase64(text[i])
		}
	}
	if !slices.Contains(covered, true) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			b.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			b.WriteString("(withheld)")
		}
	}
	return b.String()
}

func (h *hidden) coverEncoded(covered []bool, text string) (found bool) {
	for _, piece := range h.encoded {
		found = cover(covered, text, piece) || found
	}
	return found
}

// cover marks each place of part in text.
func cover(covered []bool, text, part string) (found bool) {
	for at := 0; part != ""; {
		i := strings.Index(text[at:], part)
		if i < 0 {
			break
		}
		for j := range len(part) {
			covered[at+i+j] = true
		}
		found = true
		at += i + 1
	}
	return found
}

func isBase64(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '+' || b == '/' || b == '='
}
