package dialogue

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var testFormat = Format{
	Headers: []string{"auth", "reason"},
	Sides:   []string{"N", "O"},
	Verbs:   []string{"C:", "C-", "S:", "S~", "EOF", "="},
	Bare:    []string{"CLOSE", "TLS"},
	Macros:  map[string]string{"canary": "swordfish"},
}

const testText = `# A comment in front.

== headers
auth: one: two
# A comment between.
auth: <b64 "\x00<canary>"> <y*2>
reason: logout

C: a LOGIN joe <canary>

S~ a OK .*
# A comment among the steps.
C- "<x*3><\r\n*2>"
CLOSE
== no headers

N S: * OK at its end a space 
O EOF 1.5 3
O TLS
EOF
S:
= idle <script> "not quoted"
`

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some.txt")
	if err := os.WriteFile(file, []byte(testText), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(line string) string { return file + ":" + line }
	want := []*Dialogue{
		{
			Name: "headers", File: "some",
			Headers: map[string][]string{"auth": {"one: two", "AHN3b3JkZmlzaA== yy"}, "reason": {"logout"}},
			Steps: []Step{
				{"", "C:", "a LOGIN joe swordfish", at("9")},
				{"", "S~", "a OK .*", at("11")},
				{"", "C-", "xxx\r\n\r\n", at("13")},
				{"", "CLOSE", "", at("14")},
			},
		},
		{
			Name: "no headers", File: "some", Headers: map[string][]string{},
			Steps: []Step{
				{"N", "S:", "* OK at its end a space ", at("17")},
				{"O", "EOF", "1.5 3", at("18")},
				{"O", "TLS", "", at("19")},
				{"", "EOF", "", at("20")},
				{"", "S:", "", at("21")},
				{"", "=", `idle <script> "not quoted"`, at("22")},
			},
		},
	}
	pattern := filepath.Join(filepath.Dir(file), "*.txt")
	got := testFormat.Read(t, pattern, 1)
	if len(got) != len(want) {
		t.Fatalf("%d dialogues, want %d", len(got), len(want))
	}
	for i, d := range got {
		if !reflect.DeepEqual(d, want[i]) {
			t.Errorf("\n got %+v\nwant %+v", *d, *want[i])
		}
	}
	var names []string
	testFormat.Run(t, pattern, 1, func(t *testing.T, _ *Dialogue) { names = append(names, t.Name()) })
	if run := strings.Join(names, " "); run != "TestRead/some/headers TestRead/some/no_headers" {
		t.Errorf("the subtests are %s", run)
	}
	if first, none := got[0].Header("reason"), got[1].Header("reason"); first != "logout" || none != "" {
		t.Errorf("the headers are %q and %q", first, none)
	}
	if last := got[0].Header("auth"); last != "AHN3b3JkZmlzaA== yy" {
		t.Errorf("the last of two headers is %q", last)
	}
	if path := got[1].Path(); path != "some/no headers" {
		t.Errorf("the path is %q", path)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a step first", "C: x\n", `f.txt:1: "C: x" in front of the first dialogue`},
		{"no name", "== \n\nCLOSE", `f.txt:1: the name "" is empty`},
		{"a name twice", "== a\n\nCLOSE\n== a\n\nCLOSE", `f.txt:4: the name "a" is empty or another`},
		{"no step at all", "== a\nreason: x\n", `f.txt:3: the dialogue "a" ends without a step`},
		{"no step before the next", "== a\n\n== b\n\nCLOSE", `f.txt:3: the dialogue "a" ends without a step`},
		{"a header of another format", "== a\nlog: x\n\nCLOSE", `f.txt:2: "log: x" is no header`},
		{"a header without a value", "== a\nreason: \n\nCLOSE", `f.txt:2: "reason: " is no header`},
		{"a header without a space", "== a\nreason:x\n\nCLOSE", `f.txt:2: "reason:x" is no header`},
		{"no blank line", "== a\nCLOSE", `f.txt:2: "CLOSE" is no header; steps begin after a blank line`},
		{"a verb of another format", "== a\n\nB: x", `f.txt:3: "B: x" is no step`},
		{"a text for a bare verb", "== a\n\nCLOSE now", `f.txt:3: "CLOSE now" is no step`},
		{"a side of another format", "== a\n\nP CLOSE", `f.txt:3: "P CLOSE" is no step`},
		{"only a side", "== a\n\nN", `f.txt:3: "N" is no step`},
		{"two sides", "== a\n\nN O CLOSE", `f.txt:3: "N O CLOSE" is no step`},
		{"a space in front", "== a\n\n CLOSE", `f.txt:3: " CLOSE" is no step`},
		{"no quotes", "== a\n\nC- x", `f.txt:3: the text of C- is not quoted as in Go: invalid syntax`},
		{"a quote left open", "== a\n\nC- \"x", `f.txt:3: the text of C- is not quoted as in Go`},
		{"no quotes for base64", "== a\n\nC: <b64 x>", `f.txt:3: <b64 x> is not quoted as in Go`},
		{"base64 in a header", "== a\nauth: <b64 x>\n\nCLOSE", `f.txt:2: <b64 x> is not quoted as in Go`},
		{"too much", "== a\n\nC: <x*1000001>", `f.txt:3: <x*1000001>: at most 1000000 times`},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, err := testFormat.Parse("f.txt", test.text)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || all != nil {
				t.Errorf("%d dialogues\n got %v\nwant %s", len(all), err, test.want)
			}
		})
	}
}
