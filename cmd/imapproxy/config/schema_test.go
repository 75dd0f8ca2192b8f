package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSchema holds the tags of every key to what the rest of the program
// believes of them.
func TestSchema(t *testing.T) {
	keys := 0
	for _, s := range describedSections() {
		for _, f := range s.Fields {
			keys++
			name := s.Header + " " + f.Key
			if len(f.Doc) < 10 || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s: doc %q is no sentence", name, f.Doc)
			}
			if f.isSection() {
				continue
			}
			if f.Required == (f.Default != "") && f.Example == "" {
				t.Errorf("%s: neither default nor example", name)
			}
			if f.Required && f.Default != "" {
				t.Errorf("%s: required, and has a default", name)
			}
			if len(f.Enum) > 0 && f.Default != "" && !slices.Contains(f.Enum, f.Default) {
				t.Errorf("%s: default %q is not allowed", name, f.Default)
			}
			checkBounds(t, name, f)
		}
	}
	if keys < 60 {
		t.Errorf("only %d keys seen", keys)
	}
}

func checkBounds(t *testing.T, name string, f field) {
	t.Helper()
	if bounded := f.Kind == kindCount || f.Kind == kindSpan; bounded != (f.Min != "" && f.Max != "") {
		t.Errorf("%s: bounds %q to %q", name, f.Min, f.Max)
		return
	}
	for _, text := range []string{f.Default, f.Min, f.Max} {
		if text == "" {
			continue
		}
		value, err := f.parse(text)
		if err != nil || f.outside(value) {
			t.Errorf("%s: %q: error %v, or out of bounds", name, text, err)
		}
	}
}

// TestDocumentedOnce finds every key of the schema in the example and in the
// reference, by hand-written patterns that know nothing of the printers.
func TestDocumentedOnce(t *testing.T) {
	example, doc := Example(), mustRead(t, "../../../docs/configuration.md")
	for _, s := range describedSections() {
		for _, f := range s.Fields {
			if f.isSection() {
				continue
			}
			if !regexp.MustCompile(`(?m)^#?` + f.Key + ` = `).MatchString(example) {
				t.Errorf("the example lacks %s", f.Key)
			}
			if !strings.Contains(doc, "| `"+f.Key+"` |") {
				t.Errorf("the reference lacks %s", f.Key)
			}
		}
	}
}

// TestReference compares the tables in docs/configuration.md with the code;
// -update writes them.
func TestReference(t *testing.T) {
	const file, begin, end = "../../../docs/configuration.md", "<!-- reference: begin -->\n", "<!-- reference: end -->"
	text := mustRead(t, file)
	head, rest, found := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("the markers are missing")
	}
	want := head + begin + reference() + "\n" + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Error("docs/configuration.md is not what the code says; run: go test ./cmd/imapproxy/config -run " +
			"TestReference -update")
	}
}
