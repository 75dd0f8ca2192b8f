package ledger

// words is a set of words seen in a client's line, outside of literals.
type words uint8

const (
	wordCondstore words = 1 << iota // one that turns CONDSTORE on by being used (RFC 7162 section 3.1)
	wordContext                     // UPDATE or CONTEXT: updates that go on after the reply (RFC 5267)
)

// letterBits is what a letter takes in a packed word: a uint64 holds the last 12.
const letterBits = 5

// watched are the words looked for, each standing for all words that end in
// it: MODSEQ for HIGHESTMODSEQ, CHANGEDSINCE for UNCHANGEDSINCE.
var watched = [...]struct {
	packed, mask uint64
	set          words
}{
	{packWord("MODSEQ"), maskOf("MODSEQ"), wordCondstore},
	{packWord("CHANGEDSINCE"), maskOf("CHANGEDSINCE"), wordCondstore},
	{packWord("CONDSTORE"), maskOf("CONDSTORE"), wordCondstore},
	{packWord("QRESYNC"), maskOf("QRESYNC"), wordCondstore},
	{packWord("UPDATE"), maskOf("UPDATE"), wordContext},
	{packWord("CONTEXT"), maskOf("CONTEXT"), wordContext},
}

// shortestWatched is what a packed word of six letters is at least.
const shortestWatched = 1 << (letterBits * (len("MODSEQ") - 1))

func maskOf(word string) uint64 { return 1<<(letterBits*len(word)) - 1 }

func packWord(word string) uint64 {
	var w uint64
	for i := range len(word) {
		w = w<<letterBits | uint64(class[word[i]])
	}
	return w
}

const (
	classQuote     = 27
	classBackslash = 28
	classStray     = 29 // CR, NUL: some peers end a line there
)

// class maps letters of either case to 1 to 26, bytes of quoting to their class,
// all others to 0.
var class = func() (c [256]uint8) {
	for i := range uint8(26) {
		c['A'+i], c['a'+i] = i+1, i+1
	}
	c['"'], c['\\'], c['\r'], c[0] = classQuote, classBackslash, classStray, classStray
	return c
}()

// scanner looks through the bytes of a client's line, in pieces.
type scanner struct {
	word    uint64 // the last letters of the word in progress, packed
	found   words
	stray   uint8 // CR and NUL so far, the CR of CRLF among them; 2 stands for more
	quoted  bool  // inside a quoted string
	escaped bool  // after a backslash inside a quoted string
}

func (s *scanner) scan(p []byte) {
	word, quoted, escaped := s.word, s.quoted, s.escaped
	for _, b := range p {
		c := class[b]
		if c-1 < 26 {
			word = word<<letterBits | uint64(c)
			escaped = false
			continue
		}
		if word >= shortestWatched {
			s.found |= wordsIn(word)
		}
		word = 0
		switch {
		case c == 0:
			escaped = false
		case c == classStray:
			s.stray = min(s.stray+1, 2)
		case escaped:
			escaped = false
		case c == classQuote:
			quoted = !quoted
		case c == classBackslash:
			escaped = quoted
		}
	}
	s.word, s.quoted, s.escaped = word, quoted, escaped
}

// strays reports whether a CR or NUL stands where none may, at the end of p, the
// last piece so far of a line that goes on.
func (s *scanner) strays(p []byte) bool {
	return s.stray > 1 || s.stray == 1 && p[len(p)-1] != '\r'
}

// wordsIn returns the watched words that a packed word ends in.
func wordsIn(word uint64) words {
	var set words
	for i := range watched {
		if word&watched[i].mask == watched[i].packed {
			set |= watched[i].set
		}
	}
	return set
}
