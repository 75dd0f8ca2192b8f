package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

// TestExamplesPassCheck runs check over the printed example, over the example
// with every default written, and over every TOML example of the documents. A
// whole configuration must not even give a warning.
func TestExamplesPassCheck(t *testing.T) {
	texts := map[string]string{"printed": config.Example(), "defaults": withDefaults(config.Example())}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if readme := "../../README.md"; fileExists(readme) {
		documents = append(documents, readme)
	}
	for _, document := range documents {
		for i, text := range blocksOf(mustRead(t, document), "toml") {
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
			if !whole { // a part of a configuration, which leaves out what is not needed there
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
	load := func(text string) *config.File {
		name := filepath.Join(folder, "x.toml")
		mustWrite(t, name, text)
		c, r := config.Load(name)
		if r.Failed() {
			t.Fatal(r.Sorted())
		}
		return c
	}
	short, long := load(config.Example()), load(withDefaults(config.Example()))
	if !long.Limits.Place.Has("sessions") || short.Limits.Place.Has("sessions") {
		t.Fatal("the defaults are not written, or always")
	}
	dropPlaces(reflect.ValueOf(short).Elem())
	dropPlaces(reflect.ValueOf(long).Elem())
	if !reflect.DeepEqual(short, long) {
		t.Errorf("without defaults\n%+v\nwith them\n%+v", short, long)
	}
}

// dropPlaces forgets where a section and those in it are written.
func dropPlaces(section reflect.Value) {
	for i := range section.NumField() {
		switch v := section.Field(i); {
		case v.Type() == reflect.TypeFor[config.Place]():
			v.SetZero()
		case v.Kind() == reflect.Struct:
			dropPlaces(v)
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
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
	for _, header := range []string{"#[[log.output]]", "#[listener.auth]", "#[auth.http]"} {
		lines = cutSection(lines, header)
	}
	return strings.Join(lines, "\n")
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

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
