package config

import (
	"slices"
	"strings"
	"testing"
)

// TestDescriptions wants one description for each section and each key, in the
// order of the schema, and no other.
func TestDescriptions(t *testing.T) {
	described, err := parseDescriptions(keysText)
	if err != nil {
		t.Fatal(err)
	}
	var names, lines []string
	for _, s := range ownSections() {
		if s.Name != "" {
			names, lines = append(names, s.Name), append(lines, "["+s.Name+"]")
		}
		for _, f := range s.Fields {
			if !f.isSection() {
				names, lines = append(names, (Place{Name: s.Name}).key(f.Key)), append(lines, f.Key)
			}
		}
	}
	for _, name := range names {
		if described[name] == "" {
			t.Errorf("%s has no description", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is described and is not in the schema", name)
	}
	var written []string
	for line := range strings.Lines(keysText) {
		if line != "\n" && !strings.HasPrefix(line, " ") {
			written = append(written, strings.TrimSpace(line))
		}
		if len(line) > 101 {
			t.Errorf("longer than 100 columns: %s", line)
		}
	}
	if !slices.Equal(written, lines) {
		t.Errorf("the order is not the schema's:\n%q\nwant\n%q", written, lines)
	}
}

// TestBadDescriptions names the line of what is wrong.
func TestBadDescriptions(t *testing.T) {
	for text, want := range map[string]string{
		"    text\n":                    "keys.txt:1: a description of nothing",
		"[a]\n    x\nb\n    y\nb\n":     "keys.txt:5: a.b is described twice",
		"[a]\n    x\n\n[a]\n    y\n":    "keys.txt:4: a is described twice",
		"[a]\n    x\n\n[b]\na\n    y\n": "",
	} {
		if _, err := parseDescriptions(text); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
