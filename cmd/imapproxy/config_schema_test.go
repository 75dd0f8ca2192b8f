package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSchema holds the tags of every key to what the rest of the program
// believes of them.
func TestSchema(t *testing.T) {
	keys := 0
	for _, s := range sections() {
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
	example, doc := exampleConfig(), mustRead(t, "../../docs/configuration.md")
	for _, s := range sections() {
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
	const file, begin, end = "../../docs/configuration.md", "<!-- reference: begin -->\n", "<!-- reference: end -->"
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
		t.Error("docs/configuration.md is not what the code says; run: go test ./cmd/imapproxy -run TestReference -update")
	}
}

// TestExamplesPassCheck runs check over the printed example, over the example
// with every default written, and over every TOML example of the documents. A
// whole configuration must not even give a warning.
func TestExamplesPassCheck(t *testing.T) {
	texts := map[string]string{"printed": exampleConfig(), "defaults": withDefaults(exampleConfig())}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if readme := "../../README.md"; fileExists(readme) {
		documents = append(documents, readme)
	}
	for _, document := range documents {
		for i, text := range tomlBlocks(mustRead(t, document)) {
			texts[filepath.Base(document)+" example "+string(rune('1'+i))] = text
		}
	}
	if len(texts) < 3 {
		t.Fatalf("only %d examples found", len(texts))
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			folder := siteFolder(t)
			whole := strings.Contains(text, "[[listener]]")
			if !whole { // a part of a configuration, which leaves out what nobody would miss
				text += exampleListener
			}
			mustWrite(t, filepath.Join(folder, "x.toml"), text)
			code, stdout, stderr := runIn(t, folder, "", "check", "--config", "x.toml")
			if code != exitOK || stdout != "x.toml: ok\n" || (whole && stderr != "") {
				t.Errorf("code %d, %q\n%s", code, stdout, stderr)
			}
		})
	}
}

const exampleListener = `
[[listener]]
name = "imap"
address = ":143"
certificate = "tls/imap.crt"
key = "tls/imap.key"
`

// TestDefaultsAreTheDefaults says that writing every default changes nothing.
func TestDefaultsAreTheDefaults(t *testing.T) {
	folder := siteFolder(t)
	load := func(text string) *config {
		name := filepath.Join(folder, "x.toml")
		mustWrite(t, name, text)
		c, r := loadConfig(name)
		if r.failed() {
			t.Fatal(r.findings)
		}
		return c
	}
	short, long := load(exampleConfig()), load(withDefaults(exampleConfig()))
	if !long.Limits.Place.has("sessions") || short.Limits.Place.has("sessions") {
		t.Fatal("the defaults are not written, or always")
	}
	dropPlaces(reflect.ValueOf(short).Elem())
	dropPlaces(reflect.ValueOf(long).Elem())
	if !reflect.DeepEqual(short, long) {
		t.Errorf("without defaults\n%+v\nwith them\n%+v", short, long)
	}
}

func dropPlaces(section reflect.Value) {
	section.FieldByName("Place").SetZero()
	for _, f := range fieldsOf(section.Type()) {
		switch v := section.Field(f.Index); f.Kind {
		case kindTable:
			dropPlaces(v)
		case kindTables:
			for i := range v.Len() {
				dropPlaces(v.Index(i))
			}
		}
	}
}

// withDefaults makes settings of the comments that show a default.
func withDefaults(example string) string {
	setting := regexp.MustCompile(`^#([a-z_0-9]+ = .*)$`)
	lines := strings.Split(example, "\n")
	defaulted := false
	for i, line := range lines {
		switch m := setting.FindStringSubmatch(line); {
		case line == "":
			defaulted = false
		case m != nil && defaulted:
			lines[i] = m[1]
		case strings.Contains(line, "Default: "):
			defaulted = true
		}
	}
	return strings.Join(cutSection(cutSection(lines, "#[listener.auth]"), "#[auth.http]"), "\n")
}

// cutSection drops the lines of a section that is switched off, up to the next
// header.
func cutSection(lines []string, header string) []string {
	from := slices.Index(lines, header)
	to := from + 1
	for !strings.HasPrefix(lines[to], "[") {
		to++
	}
	return slices.Delete(lines, from, to)
}

func tomlBlocks(markdown string) []string {
	var blocks []string
	for _, part := range strings.Split(markdown, "```toml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
