package route

import (
	"net/netip"
	"slices"
	"strings"

	"imapproxy/backend/username"
)

type wordBefore struct{ word, before, after, what string }

// wordsBefore are words that other programs write before a key, and what is
// written here in their place.
var wordsBefore = []wordBefore{
	{"~*", "/(?i)", "/", "for a regular expression"},
	{"~", "/", "/", "for a regular expression"},
	{"regexp:", "/", "/", "for a regular expression"},
	{"regex:", "/", "/", "for a regular expression"},
	{"pcre:", "/", "/", "for a regular expression"},
	{"re:", "/", "/", "for a regular expression"},
	{"domain:", "@", "", "for a domain"},
	{"domain=", "@", "", "for a domain"},
	{"user:", "", "", "for that name"},
	{"user=", "", "", "for that name"},
	{"mailto:", "", "", "for that name"},
}

// otherNotation returns what to write for a bare name that means something in
// other programs' notation, "" for one that does not.
func otherNotation(name, separator string) string {
	for _, w := range wordsBefore {
		if n := len(w.word); len(name) > n && strings.EqualFold(name[:n], w.word) {
			return w.before + asPart(name[n:], w.after) + w.after + " " + w.what
		}
	}
	before, domain, hasDomain := cutLast(name, separator)
	switch {
	case isQuoted(name):
		return `"` + strings.Trim(name, quoteMarks) + `", in double quotes`
	case name[0] == '<':
		return strings.Trim(name, "<>") + " without < and >"
	case strings.ContainsAny(name, ",;"):
		return "a rule of its own for each name, without commas and semicolons"
	case isNetwork(name):
		return "the users' names: a map does not ask for the client's address"
	case looksLikeRegexp(name, hasDomain):
		return "/" + asPart(name, "/") + "/ for a regular expression"
	case hasDomain && domain == "":
		return before + " for the name without a domain, or /^" + before + separator + "/ for it in each domain"
	case strings.Contains(separator, "%"): // what follows is no wildcard then
	case strings.ContainsRune("%*", rune(name[0])) && hasDomain:
		return "@" + domain + " for all names of that domain"
	case name[0] == '%':
		return "* for everybody else"
	case hasDomain && domain[0] == '%':
		return "/^" + before + separator + "/ for the name in each domain"
	}
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "*"), "."); ok && isDotted(rest) {
		return "@." + rest + " for the subdomains of " + rest
	}
	return ""
}

// isWordBefore reports whether a key is only such a word, with a space after it.
func isWordBefore(key string) bool {
	return slices.ContainsFunc(wordsBefore, func(w wordBefore) bool { return strings.EqualFold(key, w.word) })
}

// cutLast cuts a name at its last separator.
func cutLast(name, separator string) (before, after string, found bool) {
	return username.Rewrite{Delimiter: separator}.Split(name)
}

// asPart keeps a slash from ending a regular expression.
func asPart(text, end string) string {
	if end != "/" {
		return text
	}
	return strings.ReplaceAll(text, "/", `\/`)
}

// quoteMarks are those that are not ours.
const quoteMarks = "'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"

// isQuoted reports whether a text stands in quotes of another kind.
func isQuoted(text string) bool {
	inner := strings.TrimLeft(text, quoteMarks)
	return inner != text && strings.TrimRight(inner, quoteMarks) != inner
}

// isNetwork reports whether a text is an address or a network.
func isNetwork(text string) bool {
	_, notAddress := netip.ParseAddr(text)
	_, notNetwork := netip.ParsePrefix(text)
	return notAddress == nil || notNetwork == nil
}

// looksLikeRegexp reports characters that names do not have and regular expressions
// do. A backslash stands between domain and name at some sites, a "$" ends the names
// of machines, and "+" is in many addresses.
func looksLikeRegexp(text string, hasDomain bool) bool {
	return strings.ContainsAny(text, "^()[]{}|?") || strings.Contains(text, `\.`) || strings.Contains(text, ".+") ||
		hasDomain && strings.HasSuffix(text, "$")
}

// oddDomain returns what no domain of mail has, and what to write instead; "" for a
// good one.
func oddDomain(domain string) (odd, write string) {
	plain := strings.Trim(domain, ".")
	switch i := strings.IndexFunc(plain, notOfDomain); {
	case looksLikeRegexp(domain, true):
		return "looks like a regular expression", "/@" + asPart(domain, "/") + "/ for one"
	case i == 0:
		return "no domain has such a character", "* for everybody else"
	case i > 0:
		return "no domain has such a character", "@" + plain[:i]
	case strings.HasSuffix(domain, "."):
		return "the domain of a name does not end in a dot", "@" + strings.TrimRight(domain, ".")
	case strings.Contains(domain, ".."):
		return "no domain has two dots in a row", "@." + plain + " for its subdomains"
	}
	return "", ""
}

// notOfDomain reports ASCII characters that are not in a domain's name.
func notOfDomain(c rune) bool {
	return c < 0x80 && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' ||
		c == '_')
}
