package ledger

import "bytes"

// listState is whether the backend's line in flight is in a list of capabilities.
type listState uint8

const (
	notList     listState = iota
	listLine              // of an untagged CAPABILITY, to the line's end
	listCode              // of a response code, to its "]"
	listDropped           // the whole line is left out
)

// tokenState is what is done with the rest of a capability that is too long to be
// held.
type tokenState uint8

const (
	tokenNone tokenState = iota
	tokenPassed
	tokenDropped
)

// listStart finds the list of capabilities in the beginning of a response: where it
// begins, and how it ends. It reports whether more has to come to tell.
func listStart(p []byte) (from int, kind listState, open bool) {
	n := 1
	if p[0] != '*' {
		n = bytes.IndexByte(p[:min(len(p), MaxTag+1)], ' ')
		if n < 0 {
			return 0, notList, len(p) <= MaxTag
		}
	}
	if len(p) <= n+1 {
		return 0, notList, true
	}
	if p[n+1]|0x20 == 'c' && n == 1 && p[0] == '*' {
		found, open := beginsWith(p[n:], " CAPABILITY ")
		if found {
			return n + len(" CAPABILITY"), listLine, false
		}
		return 0, notList, open
	}
	switch p[n+1] | 0x20 {
	case 'o', 'n', 'b', 'p':
		return codeStart(p, n+1)
	}
	return 0, notList, false
}

// codeStart finds the list in the response code after the status at an offset.
func codeStart(p []byte, at int) (from int, kind listState, open bool) {
	for _, status := range [...]string{"OK ", "NO ", "BAD ", "BYE ", "PREAUTH "} {
		if upperByte(p[at]) != status[0] {
			continue
		}
		found, unsure := beginsWith(p[at:], status)
		open = open || unsure
		if !found {
			continue
		}
		at += len(status)
		if found, open = beginsWith(p[at:], "[CAPABILITY "); found {
			return at + len("[CAPABILITY"), listCode, false
		}
		return 0, notList, open
	}
	return 0, notList, open
}

// beginsWith reports whether p begins with a word in upper case, or whether that
// is still open.
func beginsWith(p []byte, word string) (found, open bool) {
	n := min(len(p), len(word))
	if !foldEqual(p[:n], word[:n]) {
		return false, false
	}
	return n == len(word), n < len(word)
}

// hide leaves out the capabilities in a piece of a list that the policy hides. It
// returns where the last one begins, if it has to wait for more, else the piece's
// end.
func (l *Ledger) hide(e *edit, from, to int) int {
	f := l.filter
	if f.list == listDropped {
		e.cut(from, to)
		return to
	}
	for at := from; at < to; {
		end := f.tokenEnd(e.in, at, to)
		switch {
		case f.token == tokenDropped:
			e.cut(at, end)
			at = end
		case f.token == tokenPassed:
			at = end
		case end == at && e.in[at] != ' ':
			f.list = notList
			return to
		default:
			if end = f.tokenEnd(e.in, at+1, to); end == to && end-at <= maxWord {
				return at
			}
			f.token = tokenPassed
			if l.policy.hides(e.in[at+1 : end]) {
				f.token = tokenDropped
				e.cut(at, end)
			}
			at = end
		}
		if at < to {
			f.token = tokenNone
		}
	}
	return to
}

// tokenEnd returns where a capability ends, to when it goes on.
func (f *filter) tokenEnd(p []byte, from, to int) int {
	for i := from; i < to; i++ {
		switch b := p[i]; {
		case b == ' ', b == '\r', b == '\n', b == ']' && f.list == listCode:
			return i
		}
	}
	return to
}
