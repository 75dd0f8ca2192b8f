package config

import (
	"strconv"
	"strings"
)

// lineIndex is on which line of a TOML text each key stands. The path's
// parts are joined by pathSep; the elements of arrays count from "0".
type lineIndex map[string]int

const pathSep = "\x1f"

func joinPath(parts ...string) string { return strings.Join(parts, pathSep) }

// indexLines reads a text that the TOML parser has accepted: the parser keeps
// its positions to itself, and messages have to name a line. On any other text
// the result is incomplete, never wrong by a panic.
func indexLines(text string) lineIndex {
	text = strings.TrimPrefix(text, "\ufeff")
	s := &lineScanner{text: text, line: 1, found: lineIndex{}, arrays: map[string]int{}, wantKey: true}
	for s.at < len(s.text) {
		s.step()
	}
	return s.found
}

// lineScanner walks over the text once, without recursion.
type lineScanner struct {
	text    string
	at      int
	line    int
	found   lineIndex
	arrays  map[string]int // how many [[name]] there are so far
	table   []string       // the path of the last header
	open    []bracket      // values that are not closed yet
	wantKey bool           // a key comes next, not a value
	key     []string       // the path that the next value belongs to
}

// bracket is an open inline table or array.
type bracket struct {
	table bool
	path  []string
	count int
}

func (s *lineScanner) step() {
	switch c := s.text[s.at]; {
	case c == '\n':
		s.at++
		s.line++
		if len(s.open) == 0 {
			s.wantKey = true
		}
	case c == ' ' || c == '\t' || c == '\r' || c == '=':
		s.at++
	case c == '#':
		s.skipTo("\n")
	case c == ',':
		s.at++
		s.next()
	case c == ']' || c == '}':
		s.at++
		s.pop()
	case s.wantKey && c == '[' && len(s.open) == 0:
		s.header()
	case s.wantKey:
		s.readKey()
	default:
		s.value(c)
	}
}

func (s *lineScanner) next() {
	if len(s.open) == 0 {
		return
	}
	top := &s.open[len(s.open)-1]
	top.count++
	s.wantKey = top.table
	if !top.table {
		s.key = deeper(top.path, strconv.Itoa(top.count))
	}
}

func (s *lineScanner) pop() {
	if len(s.open) > 0 {
		s.open = s.open[:len(s.open)-1]
	}
	s.wantKey = false
}

// header reads [a.b] or [[a.b]].
func (s *lineScanner) header() {
	s.at++
	array := s.at < len(s.text) && s.text[s.at] == '['
	if array {
		s.at++
	}
	parts := s.parts()
	var path []string
	for i, part := range parts {
		path = deeper(path, part)
		s.mark(path)
		name := joinPath(path...)
		if array && i == len(parts)-1 {
			s.arrays[name]++
		}
		if n := s.arrays[name]; n > 0 {
			path = deeper(path, strconv.Itoa(n-1))
			s.mark(path)
		}
	}
	s.table = path
	s.skipTo("\n")
}

// readKey reads a key, dotted or not, before its "=".
func (s *lineScanner) readKey() {
	base := s.table
	if n := len(s.open); n > 0 {
		base = s.open[n-1].path
	}
	parts := s.parts()
	if len(parts) == 0 {
		s.at++ // not TOML; go on somehow
		return
	}
	path := base
	for _, part := range parts {
		path = deeper(path, part)
		s.mark(path)
	}
	s.key = path
	s.wantKey = false
}

func (s *lineScanner) value(c byte) {
	s.mark(s.key)
	switch c {
	case '[':
		s.at++
		s.open = append(s.open, bracket{path: s.key})
		s.key = deeper(s.key, "0")
	case '{':
		s.at++
		s.open = append(s.open, bracket{table: true, path: s.key})
		s.wantKey = true
	case '"', '\'':
		s.skipString(c)
	default:
		s.skipTo(",]}#\n")
	}
}

// parts reads a dotted key and stops after it.
func (s *lineScanner) parts() []string {
	var parts []string
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '.':
			s.at++
		case '"', '\'':
			start := s.at
			s.skipString(c)
			parts = append(parts, unquoteKey(s.text[start:s.at]))
		case '=', ']', '[', '\n', '\r', '#', ',', '{', '}':
			return parts
		default:
			start := s.at
			s.skipTo(" \t.=]\n")
			parts = append(parts, s.text[start:s.at])
		}
	}
	return parts
}

func unquoteKey(quoted string) string {
	if plain, err := strconv.Unquote(quoted); err == nil {
		return plain
	}
	return strings.Trim(quoted, `"'`)
}

// skipString skips a string of one or several lines and counts them.
func (s *lineScanner) skipString(quote byte) {
	end := string(quote)
	if triple := strings.Repeat(end, 3); strings.HasPrefix(s.text[s.at:], triple) {
		end = triple
	}
	s.at += len(end)
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '\\' && quote == '"' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n':
			s.at += 2
		case strings.HasPrefix(s.text[s.at:], end):
			s.at += len(end)
			for len(end) == 3 && s.at < len(s.text) && s.text[s.at] == quote {
				s.at++ // quotes that belong to the text stand before the closing three
			}
			return
		default:
			if s.text[s.at] == '\n' {
				s.line++
			}
			s.at++
		}
	}
}

func (s *lineScanner) skipTo(stop string) {
	if n := strings.IndexAny(s.text[s.at:], stop); n >= 0 {
		s.at += n
		return
	}
	s.at = len(s.text)
}

// mark notes the first line of a path.
func (s *lineScanner) mark(path []string) {
	name := joinPath(path...)
	if _, ok := s.found[name]; !ok {
		s.found[name] = s.line
	}
}

// maxDepth bounds the paths: no key of the schema has more than 4 parts, and
// long ones would cost the square of their length.
const maxDepth = 16

// deeper is extend up to maxDepth; what stands deeper shares its parent's path.
func deeper(path []string, part string) []string {
	if len(path) >= maxDepth {
		return path
	}
	return extend(path, part)
}

// extend appends without sharing the array of path.
func extend(path []string, part string) []string {
	return append(path[:len(path):len(path)], part)
}
