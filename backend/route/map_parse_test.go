package route

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imapproxy/backend"
	"imapproxy/backend/username"
)

func TestParseMapErrors(t *testing.T) {
	resolve := exampleTargets(t).Resolve
	for _, c := range []struct{ line, want string }{
		{"bob", "no result after"},
		{"bob # imap1", "no result after"},
		{"bob imap1 imap2", "text after the result"},
		{`"bob" x imap1`, "text after the result"},
		{"bob: imap1", `leave the ":" out`},
		{"*@example.com imap1", `"*" stands alone`},
		{"@*.example.com imap1", `"*" stands alone`},
		{"@ imap1", "no domain"},
		{"@. imap1", "no domain"},
		{"@a@b imap1", "holds the delimiter"},
		{`"bob imap1`, "quoted text ends in"},
		{`"" imap1`, "not empty"},
		{`"bob"imap1`, "has a space after it"},
		{`bob "imap1"x`, "has a space after it"},
		{`bob "imap1`, "quoted text ends in"},
		{`"b\nob" imap1`, "control byte"},
		{"b\x01ob imap1", "control byte"},
		{"/^b\x01ob/ imap1", "control byte 0x01: remove it"},
		{"b\xF6b imap1", "not UTF-8"},
		{strings.Repeat("b", maxLoginName+1) + " imap1", "1025 bytes"},
		{"/^bob imap1", `no closing "/"`},
		{`/^bob\/ imap1`, `no closing "/"`},
		{"/^a/b$/ imap1", `no space after the "/"`},
		{"/^bob/i imap1", "(?i)"},
		{"/(/ imap1", "missing closing )"},
		{`/(a)\1/ imap1`, "no back-references"},
		{"/(?=a)/ imap1", "no back-references"},
		{"/^bob/", "no result after"},
		{"/^(a)/ $2@imap1", "group 2: the regular expression has 1"},
		{"/^(a)/ ${x}@imap1", "write $1 to $9"},
		{"/^(a)/ ${1@imap1", "write $1 to $9"},
		{"/^(a)/ ${-1}@imap1", "write $1 to $9"},
		{"/^(a)/ $x@imap1", "write $1 to $9"},
		{"/^(a)/ $@imap1", "write $1 to $9"},
		{"/^(a)/ ${99999999999}@imap1", "write $1 to $9"},
		{"/^(a)/ x@imap-$1$", "write $1 to $9"},
		{"/^(a)/ @imap1", "user name before the @: empty"},
		{"/^(a)/ $1@127.0.0.1:22", "not permitted"},
		{"/^(a)/ 127.0.0.1:22", "not permitted"},
		{"bob $1@imap1", "only a regular expression's result has groups"},
		{"bob imap$1", "only a regular expression's result has groups"},
		{"bob @imap1", "user name before the @: empty"},
		{`bob "x\ny@imap1"`, "user name before the @: control byte"},
		{"bob bob@", `backend ""`},
		{"bob nowhere.test", "nor in the allow-list"},
		{"bob imap1@eve", "; the order is user@backend: write eve@imap1"},
		{"bob eve@nowhere.test", "if it is a backend of yours"},
		{"bob imap://imap1", `; a result has no "imap://": leave it out`},
		{"bob imaps://eve@imap9", `; a result has no "imaps://": leave it out`},
		{"~*^u imap1", "write /(?i)^u/ for a regular expression"},
		{"*@x.org imap1", "write @x.org for all names of that domain"},
		{"*.x.org imap1", "write @.x.org for the subdomains of x.org"},
		{"a*b imap1", "write @example.com for a domain"},
		{"^u.* imap1", "write /^u.*/ for a regular expression"},
		{"regex: ^u imap1", "a key has no word before it: write /^regular expression$/"},
		{"~ ^u imap1", "a key has no word before it"},
		{"bob 10.1.1.1:0", "port"},
		{"bob imap1#comment", "nor a host name"},
		{"* 169.254.169.254", "metadata"},
		{strings.Repeat("#", maxMapLine+1), "longer than 4096"},
		{strings.Repeat("#", maxMapLine+2), "longer than 4096"},
		{strings.Repeat("#", 3*maxMapLine), "longer than 4096"},
	} {
		table, err := parseMap(strings.NewReader("ok imap1\r\n"+c.line+"\r\n# end\r\nlast imap1"), "users.map", resolve,
			username.Rewrite{})
		if table != nil || err == nil || !strings.HasPrefix(err.Error(), "users.map:2: ") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: got %v, %v, want an error with %q", c.line, table, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: more than one error: %v", c.line, err)
		}
	}
}

func TestParseMapDuplicates(t *testing.T) {
	resolve := exampleTargets(t).Resolve
	for file, want := range map[string]string{
		"bob imap1\nbob imap2":         `f:2: "bob" again: line 1`,
		"bob imap1\nBOB imap2":         `f:2: "bob" again: line 1`,
		"@a.b imap1\n@A.B imap2":       `f:2: "a.b" again: line 1`,
		"* imap1\n# x\n* imap2":        `f:3: "*" again: line 1`,
		"\"bob\" imap1\n\nbob imap2\n": `f:3: "bob" again: line 1`,
	} {
		if _, err := parseMap(strings.NewReader(file), "f", resolve, username.Rewrite{LowerCase: true}); err == nil ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", file, err, want)
		}
	}
	if _, err := parseMap(strings.NewReader("bob imap1\nBOB imap2\n@.a imap1\n@a imap2"), "f", resolve,
		username.Rewrite{}); err != nil {
		t.Errorf("not duplicates: %v", err)
	}
}

func TestParseMapGathersErrors(t *testing.T) {
	resolve := exampleTargets(t).Resolve
	_, err := parseMap(strings.NewReader("a\nok imap1\nb evil.test\n/(/ x\n"), "f", resolve, username.Rewrite{})
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"f:1: ", "f:3: ", "f:4: "} {
		if len(lines) != 3 || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("want errors of lines 1, 3 and 4, got:\n%v", err)
		}
	}
	_, err = parseMap(strings.NewReader(strings.Repeat("a\n", maxMapErrors+7)), "f", resolve, username.Rewrite{})
	if err == nil || strings.Count(err.Error(), "\n") != maxMapErrors ||
		!strings.HasSuffix(err.Error(), "f: and 7 more errors") {
		t.Errorf("many errors: %v", err)
	}
}

// repeated is a file of n lines made by line(i).
func repeated(n int, line func(i int) string) io.Reader {
	i, rest := 0, ""
	return readerFunc(func(b []byte) (int, error) {
		if rest == "" {
			if i == n {
				return 0, io.EOF
			}
			rest = line(i)
			i++
		}
		k := copy(b, rest)
		rest = rest[k:]
		return k, nil
	})
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestParseMapBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of make quick: it takes seconds")
	}
	target := &backend.Target{Name: "t"}
	resolve := func(string) (*backend.Target, error) { return target, nil }
	parse := func(r io.Reader) (*mapTable, error) { return parseMap(r, "f", resolve, username.Rewrite{}) }
	user := func(i int) string { return "u" + strconv.Itoa(i) + " t\n" }

	// The line of the error says that all rules before it were taken.
	if _, err := parse(repeated(maxMapRules+1, user)); err == nil ||
		!strings.Contains(err.Error(), "f:1000001: more than 1000000 rules") {
		t.Errorf("one rule too many: %v", err)
	}
	pattern := func(i int) string { return fmt.Sprintf("/^u%d$/ t\n", i) }
	if _, err := parse(repeated(maxMapRegexps+1, pattern)); err == nil ||
		!strings.Contains(err.Error(), "f:10001: more than 10000 regular") {
		t.Errorf("one regular expression too many: %v", err)
	}
	comment := strings.Repeat("#", maxMapLine-1) + "\n"
	ok := func(i int) string {
		if i == 0 {
			return "*" + strings.Repeat(" ", maxMapLine-3) + "t\n"
		}
		return comment
	}
	if _, err := parse(repeated(maxMapBytes/maxMapLine, ok)); err != nil {
		t.Errorf("%d bytes: %v", maxMapBytes, err)
	}
	if _, err := parse(io.MultiReader(repeated(maxMapBytes/maxMapLine, ok), strings.NewReader("#"))); err == nil ||
		!strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := parse(strings.NewReader(strings.Repeat("#", maxMapLine+1) + "\n* t\n")); err == nil ||
		!strings.Contains(err.Error(), "longer than 4096") {
		t.Errorf("a line one byte too long: %v", err)
	}
	longest := "*" + strings.Repeat(" ", maxMapLine-2) + "t\r\n"
	if _, err := parse(strings.NewReader(longest)); err != nil {
		t.Errorf("longest line: %v", err)
	}
	broken := errors.New("broken")
	if _, err := parse(io.MultiReader(strings.NewReader("* t\n"),
		readerFunc(func([]byte) (int, error) { return 0, broken }))); !errors.Is(err, broken) {
		t.Errorf("read error: %v", err)
	}
}

// Whatever parses, a route leads where the resolver let it, under a fit name,
// by the rule that a slow reading of the file's table gives.
func FuzzMap(f *testing.F) {
	for _, user := range []string{"alice", "bob@example.com", "x@a.deep.example.com", "u7@other", "h=127.0.0.1:22",
		"m=@imap1", "nobody", "odd name"} {
		f.Add(exampleMap, user, false)
	}
	f.Add("Bob imap1\n@.x.org imap2\n/(.*)/ $1@$1", "BOB", true)
	f.Add("\"a\\x00\" imap1\n/(/ x", "a@b", false)
	targets := exampleTargets(f)
	f.Fuzz(func(t *testing.T, file, user string, lower bool) {
		permitted := map[*backend.Target]bool{}
		resolve := func(s string) (*backend.Target, error) {
			target, err := targets.Resolve(s)
			permitted[target] = err == nil
			return target, err
		}
		m := &Map{path: "f", resolve: resolve, lookup: username.Rewrite{LowerCase: lower},
			login: username.Rewrite{StripDomain: lower}}
		table, err := parseMap(strings.NewReader(file), "f", resolve, m.lookup)
		if (table == nil) != (err != nil) {
			t.Fatalf("table %v with error %v", table, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("an error without its line: %v", err)
			}
			return
		}
		m.table.Store(table)
		got, err := m.Route(t.Context(), backend.Query{User: user})
		line := slowLine(table, m.lookup.Apply(user))
		if errors.Is(err, backend.ErrNoRoute) != (line == 0) && checkLoginName(m.lookup.Apply(user)) == nil {
			t.Fatalf("line %d should decide, got %v", line, err)
		}
		if err != nil {
			return
		}
		if !permitted[got.Target] || got.User == "" || len(got.User) > maxLoginName ||
			strings.ContainsFunc(got.User, func(r rune) bool { return r < ' ' || r == 0x7F }) {
			t.Fatalf("user %q of file %q got %+v", user, file, got)
		}
		if !strings.HasPrefix(got.Rule, fmt.Sprintf("map f:%d (", line)) {
			t.Fatalf("line %d should decide, got %s", line, got.Rule)
		}
	})
}

// slowLine finds the deciding line by trying all rules; 0 when none matches.
func slowLine(table *mapTable, key string) int {
	for name, r := range table.exact {
		if name == key {
			return r.line
		}
	}
	best, line := "", 0
	if parts := regexp.MustCompile(`(?s)^.*@(.*)$`).FindStringSubmatchIndex(key); parts != nil {
		domain := username.LowerASCII(key[parts[2]:])
		for d, r := range table.domains {
			below := d[0] == '.' && strings.HasSuffix(domain, d) && len(domain) > len(d)
			if (d == domain && d[0] != '.' || below) && len(d) > len(best) {
				best, line = d, r.line
			}
		}
	}
	if line != 0 {
		return line
	}
	for _, r := range table.regexps {
		if r.pattern.MatchString(key) {
			return r.line
		}
	}
	if table.fallback != nil {
		return table.fallback.line
	}
	return 0
}
