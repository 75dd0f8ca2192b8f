package route

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"imapproxy/backend/printable"
)

var (
	sedGroup     = regexp.MustCompile(`\\[0-9]`)                       // \1
	percentGroup = regexp.MustCompile(`^%[a-zA-Z0-9]($|[^a-zA-Z0-9])`) // %u, %1; not bob%example.org
	manyDigits   = regexp.MustCompile(`\$([1-9][0-9]+)`)
)

// result looks at the result of a rule that has been taken. One in double quotes
// is meant as it is.
func (w *mapWarnings) result(line int, result string) {
	at := strings.LastIndexByte(result, '@')
	if at <= 0 {
		return
	}
	user, what := result[:at], ""
	switch {
	case strings.Contains(user, "://"):
		what = "what stands before the @ is the user's name: write the result without " + user[:strings.Index(user,
			"://")+3]
	case strings.ContainsRune(user, ':'): // which may be a password: it is not shown
		w.add(line, "the user's name in the result holds a colon: the order is user@host:port, and no password stands "+
			"in a map; put the result in double quotes if it is right")
		return
	case strings.IndexAny(user, quoteMarks) == 0:
		what = "the quotes are part of the user's name: leave them out, or put the whole result in double quotes"
	case sedGroup.MatchString(user):
		what = "a backslash and a digit are part of the user's name: write $1 for the first group of a regular " +
			"expression"
	case percentGroup.MatchString(user):
		what = "it is part of the user's name: leave " + user[:2] + " and the @ out to keep the user's own, or write " +
			"$1 for the first group of a regular expression"
	default:
		return
	}
	w.add(line, "result %s: %s", printable.Quote(result), what)
}

// pattern looks at a regular expression and its result.
func (w *mapWarnings) pattern(line int, r mapRegexp, result string, lowerCase bool) {
	tree, err := syntax.Parse(r.pattern.String(), syntax.Perl)
	if err != nil {
		return // which has been compiled
	}
	if letter := capital(tree); lowerCase && letter != 0 {
		w.add(line, "the regular expression has the capital %q, and [rewrite.lookup] has lower_case: write it small",
			letter)
	}
	for _, part := range append(append(mapTemplate{}, r.user...), r.host...) {
		if part.text == "" && part.group == 0 && !wholeName(tree) {
			w.add(line, "result %s: $0 is what the expression matches, and that may be a part of the name: let it "+
				"begin with ^ and end with $", printable.Quote(result))
			break
		}
	}
	for _, number := range manyDigits.FindAllStringSubmatch(result, -1) {
		if digits := number[1]; len(digits) < 4 && r.pattern.NumSubexp() >= atoi(digits) {
			w.add(line, "result %s: $%s is group %c and the text %q: write ${%s} for group %s",
				printable.Quote(result), digits, digits[0], digits[1:], digits, digits)
		}
	}
}

// atoi is the number of a few digits.
func atoi(digits string) (n int) {
	for _, c := range digits {
		n = 10*n + int(c-'0')
	}
	return n
}

// capital returns a capital letter that a name must have to match, or 0. What is
// within alternatives is looked at too: a part that can't match is a mistake as well.
func capital(tree *syntax.Regexp) rune {
	for left := []*syntax.Regexp{tree}; len(left) > 0; {
		node := left[len(left)-1]
		left = append(left[:len(left)-1], node.Sub...)
		if node.Op != syntax.OpLiteral || node.Flags&syntax.FoldCase != 0 {
			continue
		}
		for _, c := range node.Rune {
			if 'A' <= c && c <= 'Z' {
				return c
			}
		}
	}
	return 0
}

// wholeName reports whether all that an expression matches are whole names: it
// begins and ends with an anchor or with anything, in each of its alternatives.
func wholeName(tree *syntax.Regexp) bool {
	for left := []*syntax.Regexp{tree}; len(left) > 0; {
		node := left[len(left)-1]
		left = left[:len(left)-1]
		first, last := node, node
		switch node.Op {
		case syntax.OpAlternate, syntax.OpCapture:
			left = append(left, node.Sub...)
			continue
		case syntax.OpConcat:
			first, last = node.Sub[0], node.Sub[len(node.Sub)-1]
		}
		if !isEnd(first) || !isEnd(last) {
			return false
		}
	}
	return true
}

func isEnd(node *syntax.Regexp) bool {
	switch node.Op {
	case syntax.OpBeginText, syntax.OpEndText:
		return true
	case syntax.OpStar, syntax.OpPlus:
		any := node.Sub[0].Op
		return node.Flags&syntax.NonGreedy == 0 && (any == syntax.OpAnyCharNotNL || any == syntax.OpAnyChar)
	}
	return false
}
