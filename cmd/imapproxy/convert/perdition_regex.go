package convert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// regexRule is a rule of a posix_regex map.
type regexRule struct {
	pattern string // as perdition's reader leaves it
	result  string
	re2     string         // the pattern in Go's syntax
	posix   *regexp.Regexp // leftmost-longest, as regcomp's
	at      *statement
}

// regexMap reads a posix_regex map. Its reader takes words in pairs on each
// line, so that a third word begins another rule.
func (c *perditionConverter) regexMap(i *instance, at *statement, name string) {
	path := within(c.folder, name)
	if c.options.Map != "" {
		path = name
	}
	content, err := readText(path)
	if err != nil {
		c.refuse(at, "the map %s can't be read: name it with --map", c.shownMap(path))
		return
	}
	shown := c.shownMap(path)
	lines, err := readVanessa(content)
	if err != nil {
		c.refuseFile(shown, err)
		return
	}
	c.hasMap = true
	if u := i.one("username_from_database"); u != nil {
		c.dbUser = true
		c.done(u, "the user names of the map are those of the login")
	}
	if len(c.keys) != 1 || kindOfKey(c.keys[0]) > localKey {
		c.refuse(i.one("query_key").at, `with a map of regular expressions imapproxy looks up only \U or \u`)
		return
	}
	for _, l := range lines {
		for n := 0; n < len(l.words); n += 2 {
			c.regexRule(shown, l, n)
		}
	}
	if u := i.one("map_library"); u != nil {
		c.done(u, "%d regular expressions of %s", len(c.mapRules), shown)
	}
}

// regexRule reads one pair of words.
func (c *perditionConverter) regexRule(shown string, l wordLine, n int) {
	at := &statement{name: l.words[n], file: shown, line: l.line}
	c.order = append(c.order, at)
	if n+1 == len(l.words) {
		c.note(at, NotNeeded, "it has no substitution, so that perdition leaves it out")
		return
	}
	at.args = []string{l.words[n+1]}
	rule := regexRule{pattern: strings.TrimSuffix(l.words[n], ":"), result: l.words[n+1], at: at}
	if rule.pattern == "" {
		c.note(at, NotNeeded, "it has no regular expression, so that perdition leaves it out")
		return
	}
	var err error
	if rule.re2, err = ereToRE2(rule.pattern); err == nil {
		rule.posix, err = regexp.CompilePOSIX(rule.re2)
	}
	if err != nil {
		c.refuse(at, "%v", err)
		return
	}
	if n > 0 {
		c.note(at, Converted, "perdition takes the words after the first two for another rule; so does the result")
	}
	c.mapRules = append(c.mapRules, rule)
}

// ereToRE2 turns a POSIX extended regular expression into one of Go's. They
// agree but for brackets, where POSIX knows no escapes, and GNU's additions.
func ereToRE2(pattern string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\':
			if i+1 == len(pattern) {
				return "", fmt.Errorf("the regular expression ends in a backslash")
			}
			i++
			if next := pattern[i]; next >= '0' && next <= '9' || strings.IndexByte("wWsSbB<>`'", next) >= 0 {
				return "", fmt.Errorf(`\%c has no meaning in imapproxy's regular expressions`, next)
			}
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '[':
			class, end, err := bracket(pattern, i)
			if err != nil {
				return "", err
			}
			b.WriteString(class)
			i = end
		case c == '{' && strings.HasPrefix(pattern[i:], "{,"):
			b.WriteString("{0,")
			i++
		default:
			b.WriteByte(c)
		}
	}
	if _, err := regexp.CompilePOSIX(b.String()); err != nil {
		return "", fmt.Errorf("not a regular expression that imapproxy takes: %w", err)
	}
	return b.String(), nil
}

// bracket copies a bracket expression that begins at i; end is its "]".
func bracket(pattern string, i int) (class string, end int, err error) {
	var b strings.Builder
	b.WriteByte('[')
	j := i + 1
	if j < len(pattern) && pattern[j] == '^' {
		b.WriteByte('^')
		j++
	}
	for first := true; j < len(pattern); first = false {
		switch c := pattern[j]; {
		case c == ']' && !first:
			b.WriteByte(']')
			return b.String(), j, nil
		case c == '[' && j+1 < len(pattern) && strings.IndexByte(".=", pattern[j+1]) >= 0:
			return "", 0, fmt.Errorf("[%c has no meaning in imapproxy's regular expressions", pattern[j+1])
		case c == '[' && strings.HasPrefix(pattern[j:], "[:"):
			stop := strings.Index(pattern[j:], ":]")
			if stop < 0 {
				return "", 0, fmt.Errorf("[: is not closed")
			}
			b.WriteString(pattern[j : j+stop+2])
			j += stop + 2
			continue
		case c == '\\' || c == '[' || c == ']':
			b.WriteString(`\` + string(c))
		default:
			b.WriteByte(c)
		}
		j++
	}
	return "", 0, fmt.Errorf("[ is not closed")
}

// anchored reports whether a match can begin only at the beginning.
func (r *regexRule) anchored() bool {
	return strings.HasPrefix(r.pattern, "^") && !strings.Contains(r.pattern, "|")
}

// mapRule writes the rule for imapproxy's map: pattern and result.
func (c *perditionConverter) mapRule(r *regexRule) (string, bool) {
	user, where := "", r.result
	named := false
	if i := strings.LastIndex(r.result, c.delimiter); i >= 0 {
		user, where, named = r.result[:i], r.result[i+len(c.delimiter):], true
	}
	pattern, shift := r.re2, 0
	switch {
	case r.anchored():
	case named && c.dbUser:
		pattern, shift = "^(.*?)(?:"+r.re2+")", 1 // perdition keeps what stands before the match
		user = "${1}" + c.groups(r, user, shift)
	case !named:
		c.note(r.at, Differs,
			"perdition puts the text before the match in front of the server, which then is none: left out; write ^ "+
				"in front when the match has to begin the name")
	}
	if shift == 0 {
		user = c.groups(r, user, shift)
	}
	if !c.ruleAddress(r, &where, shift) {
		return "", false
	}
	if strings.ContainsAny(r.pattern, "|?") && strings.Contains(r.result, "$") {
		c.note(r.at, Differs,
			"of several matches perdition takes the longest, imapproxy the first; for a group that takes no part "+
				"perdition writes its number with the $, imapproxy nothing: compare with --users")
	}
	if named && c.dbUser {
		if c.login.strip || c.login.add != "" || c.login.lower {
			c.note(r.at, Differs, "remote_login does not change the user names of the map any more")
		}
		where = user + "@" + where
	}
	if r.posix.MatchString("") {
		c.note(r.at, Differs,
			"where it matches no character, perdition puts the next one after the server, which then is none: "+
				"left out")
	}
	c.note(r.at, Converted, "a rule of the map")
	return "/" + strings.ReplaceAll(pattern, "/", `\/`) + "/  " + mapField(where), true
}

// ruleAddress converts the server of a rule's result.
func (c *perditionConverter) ruleAddress(r *regexRule, where *string, shift int) bool {
	_, host, port := serverPort(*where, c.delimiter)
	if host == "" {
		if len(c.outgoing) == 0 {
			c.refuse(r.at, "it names no server, and there is no outgoing_server")
			return false
		}
		*where = outgoingTarget
		return true
	}
	if !strings.Contains(*where, "$") {
		address, good := c.address(host, port)
		if !good {
			c.refuse(r.at, "%q is not host[:port]", *where)
			return false
		}
		*where, good = c.where(r.at, address, port)
		return good
	}
	if mode := c.modeFor(port); mode != c.mode {
		c.refuse(r.at, "the user's name makes the server here, on a port that is spoken to with another tls than the "+
			"others: convert one instance with --line")
		return false
	}
	if len(c.options.Backends) == 0 {
		c.refuse(r.at, "the user's name makes the server here, and imapproxy goes only to listed backends: list "+
			"them with --backend")
		return false
	}
	if port == "" {
		*where += ":" + c.port
		c.portless = true
	}
	if names := groupNumbers(*where); len(names) > 0 && names[len(names)-1] > r.posix.NumSubexp() {
		c.refuse(r.at, "there is no group %d, so that perdition looks for a server with a $ in its name",
			names[len(names)-1])
		return false
	}
	*where = c.groups(r, *where, shift)
	return true
}

// group is a reference to a group in a substitution.
var group = regexp.MustCompile(`\$([0-9]?)`)

// groupNumbers lists the groups of a substitution, the highest last.
func groupNumbers(s string) []int {
	highest := -1
	for _, m := range group.FindAllStringSubmatch(s, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil {
			highest = max(highest, n)
		}
	}
	if highest < 0 {
		return nil
	}
	return []int{highest}
}

// groups writes a substitution for imapproxy: $1 moves by shift, a dollar that
// is no group, or one of a group that is not there, stays a dollar.
func (c *perditionConverter) groups(r *regexRule, s string, shift int) string {
	return group.ReplaceAllStringFunc(s, func(ref string) string {
		n, err := strconv.Atoi(ref[1:])
		if err != nil || n > r.posix.NumSubexp() {
			return "$" + ref
		}
		if n == 0 && shift > 0 {
			c.refuse(r.at, "$0 in an expression without ^ in front can't be converted")
			return ref
		}
		return "${" + strconv.Itoa(n+shift) + "}"
	})
}
