package route

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"imapproxy/backend/printable"
)

func checkMapText(line string) error {
	if !utf8.ValidString(line) {
		return errors.New(`not UTF-8: save the file as UTF-8, or write a single byte as \xe9 in double quotes`)
	}
	for i := range len(line) {
		if isControl(line[i]) && line[i] != '\t' {
			return fmt.Errorf("control byte 0x%02X: remove it", line[i])
		}
	}
	return nil
}

// mapKey is a line's left side.
type mapKey struct {
	kind mapKeyKind
	text string // the name, the domain without "@", the pattern; "*"
	bare bool   // not in quotes
}

type mapKeyKind int

const (
	mapExact mapKeyKind = iota
	mapDomain
	mapPattern
	mapDefault
)

// cutMapKey takes the key from the front of a line.
func cutMapKey(line string) (mapKey, string, error) {
	if line[0] == '/' {
		return cutMapPattern(line)
	}
	text, rest, err := cutMapField(line)
	switch {
	case err != nil:
		return mapKey{}, "", err
	case line[0] == '"':
		return mapKey{kind: mapExact, text: text}, rest, nil
	case text == "*":
		return mapKey{mapDefault, text, true}, rest, nil
	case strings.Contains(text, "*"):
		write := otherNotation(text, "@")
		if write == "" {
			write = "@example.com for a domain, @.example.com for its subdomains, /^regular expression$/ for more"
		}
		return mapKey{}, "", fmt.Errorf(`%s: "*" stands alone, for everybody else: write %s`, printable.Quote(text),
			write)
	case isWordBefore(text):
		return mapKey{}, "", fmt.Errorf("%s: a key has no word before it: write /^regular expression$/, @example.com "+
			"for a domain, or the name", printable.Quote(text))
	case strings.HasSuffix(text, ":"):
		return mapKey{}, "", fmt.Errorf(`%s: leave the ":" out, or put a name that ends in one in "double quotes"`,
			printable.Quote(text))
	case text[0] == '@':
		return mapKey{mapDomain, text[1:], true}, rest, nil
	}
	return mapKey{mapExact, text, true}, rest, nil
}

// cutMapPattern takes /pattern/ from the front; \/ is a slash in it.
func cutMapPattern(line string) (mapKey, string, error) {
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '/':
			if rest := line[i+1:]; rest == "" || rest[0] == ' ' || rest[0] == '\t' {
				return mapKey{mapPattern, line[1:i], true}, rest, nil
			}
			return mapKey{}, "", errors.New(
				`no space after the "/" that ends the regular expression: ` +
					`write \/ for a slash in it, (?i) at its beginning to ignore case`)
		}
	}
	return mapKey{}, "", errors.New(`the regular expression has no closing "/"`)
}

// cutMapField takes a bare or quoted field from the front; "" when s has none.
func cutMapField(s string) (field, rest string, err error) {
	if s == "" || s[0] == '#' {
		return "", "", nil
	}
	if s[0] != '"' {
		if i := strings.IndexAny(s, " \t"); i >= 0 {
			return s[:i], s[i:], nil
		}
		return s, "", nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", fmt.Errorf(`%s: a quoted text ends in ", holds \" for a quote and \\ for a backslash`,
			printable.Quote(s))
	}
	if field, err = strconv.Unquote(quoted); err != nil {
		return "", "", fmt.Errorf("%s: %w", printable.Quote(quoted), err)
	}
	rest = s[len(quoted):]
	if field == "" || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", "", fmt.Errorf("%s: a quoted text is not empty and has a space after it", printable.Quote(quoted))
	}
	return field, rest, nil
}
