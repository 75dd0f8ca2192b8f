package route

import (
	"fmt"
	"strings"
	"testing"

	"imapproxy/backend/username"
)

// warningsOf reads a map that has no mistake.
func warningsOf(t *testing.T, text string, lookup username.Rewrite) []string {
	t.Helper()
	table, err := parseMap(strings.NewReader(text), "m", exampleTargets(t).Resolve, lookup)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return table.warnings
}

// TestSuspectRules: what is meant as something else is taken, and said with its line
// and what to write.
func TestSuspectRules(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"~^user imap1", "write /^user/ for a regular expression"},
		{"~user/a imap1", `write /user\/a/ for a regular expression`},
		{"^user imap1", "write /^user/ for a regular expression"},
		{"regex:^user imap1", "write /^user/ for a regular expression"},
		{"REGEXP:a imap1", "write /a/ for a regular expression"},
		{"pcre:a imap1", "write /a/ for a regular expression"},
		{"re:a imap1", "write /a/ for a regular expression"},
		{`u[0-9]@x\.org imap1`, `write /u[0-9]@x\.org/ for a regular expression`},
		{"(.+)@x imap1", "write /(.+)@x/ for a regular expression"},
		{"bob@x.org$ imap1", "write /bob@x.org$/ for a regular expression"},
		{"example.com imap1", "write @example.com for the names of that domain"},
		{"mail.example.de imap1", "write @mail.example.de for the names of that domain"},
		{".example.com imap1", "write @.example.com for the subdomains of example.com"},
		{"domain:example.com imap1", "write @example.com for a domain"},
		{"user=bob imap1", "write bob for that name"},
		{"mailto:bob@x imap1", "write bob@x for that name"},
		{"%@example.com imap1", "write @example.com for all names of that domain"},
		{"%u@example.com imap1", "write @example.com for all names of that domain"},
		{"bob@%d imap1", "write /^bob@/ for the name in each domain"},
		{"% imap1", "write * for everybody else"},
		{"bob@ imap1", "write bob for the name without a domain, or /^bob@/"},
		{"'bob' imap1", `write "bob", in double quotes`},
		{"\u201cbob\u201d imap1", `write "bob", in double quotes`},
		{"<bob@x> imap1", "write bob@x without < and >"},
		{"bob,eve imap1", "a rule of its own for each name"},
		{"bob; imap1", "a rule of its own for each name"},
		{"10.0.0.0/8 imap1", "does not ask for the client's address"},
		{"fd00::1 imap1", "does not ask for the client's address"},
		{"default imap1", "write * for everybody else"},
		{`@example\.com imap1`, `write /@example\.com/ for one`},
		{"@(a|b).com imap1", "write /@(a|b).com/ for one"},
		{"@example.com, imap1", "write @example.com"},
		{"@example.com:143 imap1", "write @example.com"},
		{"@%d imap1", "write * for everybody else"},
		{"@example.com. imap1", "does not end in a dot: write @example.com"},
		{"@..example.com imap1", "two dots in a row: write @.example.com"},
		{"bob imap://eve@imap1", "write the result without imap://"},
		{"bob 'eve'@imap1", "the quotes are part of the user's name"},
		{"bob %u@imap1", "leave %u and the @ out"},
		{`/^(.*)@x$/ \1@imap1`, "write $1 for the first group"},
		{"/^(.*)@x$/ %1@imap1", "write $1 for the first group"},
		{"/^u/ $0@imap1", "let it begin with ^ and end with $"},
		{"/^a$|b/ $0@imap1", "let it begin with ^ and end with $"},
		{"/" + strings.Repeat("(a)", 11) + "/ $11@imap1", `$11 is group 1 and the text "1": write ${11}`},
	} {
		got := warningsOf(t, "ok imap1\n"+c.rule, username.Rewrite{})
		if len(got) != 1 || !strings.HasPrefix(got[0], "m:2: ") || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: %q, want %q", c.rule, got, c.want)
		}
	}
	got := warningsOf(t, "bob eve:canary@imap1", username.Rewrite{})
	if len(got) != 1 || !strings.Contains(got[0], "the order is user@host:port") || strings.Contains(got[0], "canary") {
		t.Errorf("a password: %q", got)
	}
}

// TestNoFalseAlarm: maps that sites have.
func TestNoFalseAlarm(t *testing.T) {
	for name, text := range map[string]string{
		"names of people":         "alice.smith imap1\njet.li imap1\nhans.peter.de imap1\n@example.com imap1",
		"dots and everybody else": "a.b imap1\nbob-1.x_y imap1\n* imap1",
		"windows":                 "EXAMPLE\\david imap1\nEXAMPLE\\wanda imap1\nhost1$ imap1",
		"old gateways":            "bob%unix.org imap1\nbob%example.com@gate imap1\nx!y imap1\neve bob%unix.org@imap1",
		"tags and punctuation": "bob+tag@x imap1\no'brien@x imap1\n#c\nbob=eve@x imap1\nbob/eve@x imap1\n" +
			"-a imap1\n1234 imap1",
		"everything in quotes": `"~^user" imap1` + "\n" + `"example.com" imap1` + "\n" + `"bob@" imap1` + "\n" +
			`"%@x" imap1` + "\n" + `"'bob'" imap1` + "\n" + `"a,b" imap1` + "\n" + `"default" imap1` + "\n" +
			`x "bob:1@imap1"`,
		"a user called default": "default imap1\n* imap1",
		"domains": "@example.com imap1\n@.example.com imap1\n@localhost imap1\n@b\u00fccher.example imap1\n" +
			"@x_y.de imap1",
		"groups": "/^(.*)@(.*)$/ $1@imap1\n/^a$|^b$/ $0@imap1\n/(^c$)/ $0@imap1\n/.*/ $0@imap1\n" +
			"/^(a)/ $12@imap1",
		"another name and address": "a b@x.org@imap1\nb bob@10.1.2.3:143",
	} {
		if got := warningsOf(t, text, username.Rewrite{}); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := warningsOf(t, "bob%d imap1\n%x%y imap1\n@x imap1", username.Rewrite{Delimiter: "%"}); len(got) != 0 {
		t.Errorf("%% as delimiter: %q", got)
	}
}

// TestSuspectByTheRest: the rest of the map says whether a dotted name is a domain.
func TestSuspectByTheRest(t *testing.T) {
	for _, c := range []struct {
		text string
		want int // the line of the warning, 0 for none
	}{
		{"example.de imap1", 1},
		{"alice.smith imap1\nexample.de imap1", 0},
		{"alice.smith imap1\nexample.com imap1", 2},
		{"alice.smith imap1\nexample.de imap1\nbob@Example.de imap1", 2},
		{"alice.smith imap1\nx@a imap1\n@.alice.smith imap1", 1},
		{"example.com imap1\n@Example.com imap1", 0},
	} {
		got := warningsOf(t, c.text, username.Rewrite{})
		if want := fmt.Sprintf("m:%d: ", c.want); (c.want == 0) != (len(got) == 0) || c.want > 0 && (len(got) != 1 ||
			!strings.HasPrefix(got[0], want)) {
			t.Errorf("%q: %q, want line %d", c.text, got, c.want)
		}
	}
}

// TestUnreachableRules: what [rewrite.lookup] makes impossible.
func TestUnreachableRules(t *testing.T) {
	for _, c := range []struct {
		rule   string
		lookup username.Rewrite
		want   string // "" for no warning
	}{
		{"Bob imap1", username.Rewrite{LowerCase: true}, ""},
		{"bob@X imap1", username.Rewrite{LowerCase: true}, ""},
		{"/^Bob/ imap1", username.Rewrite{LowerCase: true}, "has the capital 'B'"},
		{"/a|bC/ imap1", username.Rewrite{LowerCase: true}, "has the capital 'C'"},
		{`/(?i)^Bob|\S[A-Z]\pL/ imap1`, username.Rewrite{LowerCase: true}, ""},
		{"/^Bob/ imap1", username.Rewrite{}, ""},
		{"bob imap1", username.Rewrite{AddDomain: "x.org"}, `makes "bob@x.org" of it (add the domain "x.org")`},
		{`"bob" imap1`, username.Rewrite{AddDomain: "x.org"}, "is never looked up"},
		{"bob@y imap1", username.Rewrite{AddDomain: "x.org"}, ""},
		{"@y imap1", username.Rewrite{AddDomain: "x.org"}, ""},
		{"bob@y imap1", username.Rewrite{StripDomain: true}, `makes "bob" of it (strip the domain)`},
		{"@y imap1", username.Rewrite{StripDomain: true}, "takes the domain off"},
		{"@.y imap1", username.Rewrite{StripDomain: true, AddDomain: "x.org"}, "takes the domain off"},
		{"@x.ORG imap1", username.Rewrite{StripDomain: true, AddDomain: "X.org"}, ""},
		{"@.org imap1", username.Rewrite{StripDomain: true, AddDomain: "x.org"}, ""},
		{"bob@x.org imap1", username.Rewrite{StripDomain: true, AddDomain: "x.org"}, ""},
	} {
		got := warningsOf(t, c.rule, c.lookup)
		if (c.want == "") != (len(got) == 0) || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s with %v: %q, want %q", c.rule, c.lookup, got, c.want)
		}
	}
}

func TestManyWarnings(t *testing.T) {
	var text strings.Builder
	for i := range maxMapWarnings + 7 {
		fmt.Fprintf(&text, "~%d imap1\n", i)
	}
	got := warningsOf(t, text.String(), username.Rewrite{})
	if len(got) != maxMapWarnings+1 || got[maxMapWarnings] != "m: and 7 more warnings" {
		t.Errorf("%d warnings, the last %q", len(got), got[len(got)-1])
	}
}
