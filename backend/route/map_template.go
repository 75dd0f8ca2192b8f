package route

import (
	"fmt"
	"strconv"
	"strings"

	"imapproxy/backend/printable"
)

// mapPart is literal text, or a group when text is "".
type mapPart struct {
	text  string
	group int
}

// mapTemplate is one half of a regular expression's result.
type mapTemplate []mapPart

// literal returns the text of a template without groups.
func (t mapTemplate) literal() (string, bool) {
	var b strings.Builder
	for _, p := range t {
		if p.text == "" {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// expand fills in what the groups of match (regexp's pairs of indexes) hold in
// key. A group that took no part is empty.
func (t mapTemplate) expand(key string, match []int) (string, error) {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.text)
		if from := match[2*p.group]; p.text == "" && from >= 0 {
			b.WriteString(key[from:match[2*p.group+1]])
		}
		if b.Len() > maxLoginName {
			return "", fmt.Errorf("the result for %s is longer than %d bytes", printable.Quote(key), maxLoginName)
		}
	}
	return b.String(), nil
}

// parseMapTemplate reads text with $1, ${1} and $$. The result is never nil.
func parseMapTemplate(s string, groups int) (mapTemplate, error) {
	t := mapTemplate{}
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return append(t, mapPart{text: s}), nil
		}
		if i > 0 {
			t = append(t, mapPart{text: s[:i]})
		}
		part, rest, err := cutMapGroup(s[i:], groups)
		if err != nil {
			return nil, err
		}
		t, s = append(t, part), rest
	}
	return t, nil
}

// cutMapGroup takes $$, $1 or ${1} from the front.
func cutMapGroup(s string, groups int) (mapPart, string, error) {
	number, rest := "", ""
	switch {
	case strings.HasPrefix(s, "$$"):
		return mapPart{text: "$"}, s[2:], nil
	case strings.HasPrefix(s, "${"):
		if end := strings.IndexByte(s, '}'); end > 0 {
			number, rest = s[2:end], s[end+1:]
		}
	case len(s) > 1:
		number, rest = s[1:2], s[2:]
	}
	group, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return mapPart{}, "", fmt.Errorf("%s: write $1 to $9 or ${1} for a group, $$ for a dollar", printable.Quote(s))
	}
	if groups < 0 {
		return mapPart{}, "", fmt.Errorf("%s: only a regular expression's result has groups; write $$ for a dollar",
			printable.Quote(s))
	}
	if int(group) > groups {
		return mapPart{}, "", fmt.Errorf("group %d: the regular expression has %d", group, groups)
	}
	return mapPart{group: int(group)}, rest, nil
}
