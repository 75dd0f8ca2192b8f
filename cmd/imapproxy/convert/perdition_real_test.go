package convert

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// askPerdition asks the libraries of the installed perdition, and gives an
// answer for each question.
func askPerdition[T any](t *testing.T, questions []map[string]any) []T {
	t.Helper()
	notQuick(t)
	found, err := filepath.Glob("/usr/lib/*/libperditiondb_posix_regex.so.0")
	if _, python := exec.LookPath("python3"); err != nil || len(found) == 0 || python != nil {
		t.Skip("SKIPPED: perdition or python3 is not installed: scripts/install-test-programs installs them")
	}
	var in, errs bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("python3", "testdata/perdition.py")
	cmd.Stdin, cmd.Stderr = &in, &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var answers []T
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var answer T
		if err := d.Decode(&answer); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	return answers
}

// vanessaTexts are files in perdition's format with what is odd about it.
var vanessaTexts = []string{
	"debug\nd\nstrip_domain all\nok_line You are so in\n",
	"\"ok_line\" \"a  b # c\"\nx a\\#b\ny a # comment\nz 'a \\ b'\n",
	"q \"a \\\" b\"\nw \"it's\"\nc  a \\\ncont\ne   spaces   in   value  \nnovalue   \n",
	"\"two words\" v\nsl\\ ash v\nk: v\n'a b'c: d e\nm \"x\"y \"z\"\n",
	"# only a comment\n\n   \n\tindented value\n",
	"a b#c\n#x y\nlast line\n",
	"a \"\"\nb '' c\n",
	"one \"over\ntwo\" lines\nthree x\na 'x\ny' z\nc 'w\\\nv'\nd \"w\\\nv\"\n",
	"a b\n#com \\\n\"x \\\" y\" z\nc d # e \\\nf g\nh i\n# it's \\# \"\nj k\n",
	"back \\\\slash\ntab\tseparated\tvalue\n",
}

// TestVanessaAsPerdition compares our reading of a file with the library's.
func TestVanessaAsPerdition(t *testing.T) {
	const multiValueBlank, single = 5, 4 // flags of vanessa_config_file_read
	var questions []map[string]any
	for _, text := range vanessaTexts {
		name := filepath.Join(t.TempDir(), "x.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		questions = append(questions, map[string]any{"read": name, "flags": multiValueBlank},
			map[string]any{"read": name, "flags": single})
	}
	answers := askPerdition[[]*string](t, questions)
	for i, text := range vanessaTexts {
		lines, err := readVanessa(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var got [][]string
		var flat []string
		for _, l := range lines {
			got = append(got, l.words)
			switch {
			case l.indented: // one word, which is no option
				flat = append(flat, l.words[0]+" "+l.rest)
			case len(l.words) > 1:
				flat = append(flat, l.words[0], l.rest)
			default:
				flat = append(flat, l.words[0])
			}
		}
		if want := splitLines(answers[2*i]); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		var want []string
		for _, w := range answers[2*i+1][1:] {
			want = append(want, *w)
		}
		if !slices.Equal(flat, want) {
			t.Errorf("%q: values %q, want %q", text, flat, want)
		}
	}
}

// TestVanessaEnds says what ends a file badly.
func TestVanessaEnds(t *testing.T) {
	for text, want := range map[string]string{"a \"b\n": "is not closed", "a\nb c": "last line has no end",
		"a '": "is not closed"} {
		if _, err := readVanessa(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// splitLines cuts the library's words at its ends of lines.
func splitLines(words []*string) [][]string {
	var lines [][]string
	var line []string
	for _, w := range words {
		if w == nil {
			if len(line) > 0 {
				lines = append(lines, line)
			}
			line = nil
			continue
		}
		line = append(line, *w)
	}
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}

// regexTexts are maps of regular expressions.
var regexTexts = []string{
	"^a: b c d\n\"^x y\": \"h o\"\nuser([0-9]+)@(.*): $2-$1@store$1.example:144\n(q)(z)?: $2h$3$$1\n",
	"\\.fr$: french\n'\\.uk$': british\n[\\.]k: dot\nk(a|ab)(c|bcd)(d*): $1,$2,$3@h\n",
	"(a?)(ab)?: <$1><$2>\n",
	"^([^.]*)@([^.]*)\\\\.(.*)$: $1_$2_$3@imap\n",
	"[[:upper:]]+: upper\n[]^x-]y: bracket\n'[^\\\\]z': backslash\n(ab|a)(bc)?$: $1/$2\n",
	"x{2}y{,1}z{1,}: $0!\n(one|two)+: $1\n",
}

var regexNames = []string{
	"alice", "x yz", "user12@ex.org", "preuser1@z", "q", "qz", ".k", "kabcd", "c", "bob@x.fr", "bob@xfr", "bob@x.uk",
	"nobody", "xqx", "ab", "aab", "abc",
	"zabcx", "me@host.example.org", "UPPER", "lowerUP", "]y", "-y", "^y", "az", "\\z", "xxz", "axxyz", "onetwo",
	"twoone!", "",
}

// TestRegexAsPerdition compares our answers by perdition's rules with the
// library's.
func TestRegexAsPerdition(t *testing.T) {
	var questions []map[string]any
	for _, text := range regexTexts {
		name := filepath.Join(t.TempDir(), "popmap.re")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		questions = append(questions, map[string]any{"map": name, "keys": regexNames})
	}
	answers := askPerdition[[]*string](t, questions)
	for n, text := range regexTexts {
		c := &perditionConverter{notes: newNotes(), delimiter: "@", keys: []string{`\U`}, hasMap: true}
		lines, err := readVanessa(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			for n := 0; n < len(l.words); n += 2 {
				c.regexRule("popmap.re", l, n)
			}
		}
		if c.failed() {
			t.Fatalf("%q: refused %v", text, c.all())
		}
		for i, user := range regexNames {
			got, ok := c.oldLookup(user)
			if want := answers[n][i]; ok != (want != nil) || ok && got != *want {
				t.Errorf("%s: %q: %q %v, want %v", strings.TrimSpace(text), user, got, ok, deref(want))
			}
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "nothing"
	}
	return *s
}
