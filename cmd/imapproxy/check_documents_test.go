package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imapproxy/docs"
)

// blocksOf are the fenced blocks of a language in a page.
func blocksOf(page, language string) []string {
	var blocks []string
	for _, part := range strings.Split(page, "```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

// documentSite has the targets of the pages; a map, users and certificates as given.
func documentSite(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	folder = siteFolder(t)
	config := `auth = { type = "file", file = "users", external = { from = "email", file = "certificates" } }
route = { type = "auth", file = "map", allow = ["store-a.example.org:143"], template = "one" }
` + exampleListener
	for _, name := range []string{"one", "two"} {
		config += fmt.Sprintf("[[target]]\nname = %q\naddresses = [\"imap-%s.example.org\"]\nmaster_user = \"x\"\n"+
			"master_password_file = \"master.password\"\n", name, name)
	}
	for name, text := range map[string]string{"x.toml": config, "users": "alice:" + sampleHash + "\n", "map": "* one\n",
		"certificates": ""} {
		mustWrite(t, filepath.Join(folder, name), text)
	}
	for name, text := range files {
		mustWrite(t, filepath.Join(folder, name), text)
	}
	return folder
}

// TestDocumentedFiles: the examples of maps and of files of users are good, and no
// warning is about them.
func TestDocumentedFiles(t *testing.T) {
	examples := map[string]int{}
	for _, page := range []string{docs.Users, docs.Maps, mustRead(t, "../../docs/configuration.md")} {
		for _, kind := range []string{"map", "users", "certificates"} {
			for _, block := range blocksOf(page, kind) {
				examples[kind]++
				t.Run(kind, func(t *testing.T) {
					folder := documentSite(t, map[string]string{kind: block})
					code, _, stderr := runIn(t, folder, "", "check", "--config", "x.toml")
					if code != exitOK || stderr != "" {
						t.Errorf("%s\ncode %d: %s", block, code, stderr)
					}
				})
			}
		}
	}
	if examples["map"] == 0 || examples["users"] == 0 || examples["certificates"] == 0 {
		t.Errorf("examples: %v", examples)
	}
}

// TestDocumentManuals: the manual pages have all that the pages of docs say.
func TestDocumentManuals(t *testing.T) {
	for manual, page := range map[string]string{"imapproxy-users.5": docs.Users, "imapproxy-map.5": docs.Maps} {
		code, stdout, _ := runIn(t, t.TempDir(), "", "manual", manual)
		if title := strings.ToUpper(strings.TrimSuffix(manual, ".5")); code != exitOK ||
			!strings.HasPrefix(stdout, ".TH "+title+" 5 ") {
			t.Fatalf("%s: code %d, %.80s", manual, code, stdout)
		}
		shown := strings.NewReplacer(`\fB`, "", `\fR`, "", `\-`, "-", `\e`, `\`, `""`, `"`, "\n", " ").Replace(stdout)
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "```") || strings.Count(line, "`")%2 != 0 {
				continue // a fence, or code that goes on in the next line
			}
			for _, text := range codes(line) {
				if !strings.Contains(shown, strings.ReplaceAll(text, `\|`, "|")) {
					t.Errorf("%s lacks %s", manual, text)
				}
			}
		}
	}
	if code, _, stderr := runIn(t, t.TempDir(), "", "manual", "x"); code != exitUsage ||
		!strings.Contains(stderr, "imapproxy-map.5, imapproxy-users.5, imapproxy.8, imapproxy.toml.5") {
		t.Errorf("code %d, %s", code, stderr)
	}
}

// tableBelow are the rows of a table, each as its cells.
func tableBelow(t *testing.T, page, heading string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(page, heading+"\n")
	if !found {
		t.Fatalf("no table %q", heading)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "| \n"), `\|`, "\x00"), " | ")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
		}
		rows = append(rows, cells)
	}
	return rows[1:] // without the rule below the heading
}

// codes are what a cell has in backquotes.
func codes(cell string) []string {
	var list []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// TestDocumentedRoutes: users end up where docs/maps.md says, and route prints the rule
// that it says.
func TestDocumentedRoutes(t *testing.T) {
	folder := documentSite(t, map[string]string{"map": blocksOf(docs.Maps, "map")[0]})
	rows := tableBelow(t, docs.Maps, "| user | rule | backend | name there |")
	printed := regexp.MustCompile(`(?m)^(?:rule|backend|backend user)  +(?:map )?(.*?)(?:  .*)?$`)
	for _, row := range rows {
		user, want := codes(row[0])[0], []string{codes(row[1])[0], codes(row[2])[0], codes(row[3])[0]}
		code, stdout, stderr := runIn(t, folder, "", "route", "--config", "x.toml", user)
		var got []string
		for _, line := range printed.FindAllStringSubmatch(stdout, -1) {
			got = append(got, line[1])
		}
		if code != exitOK || !slices.Equal(got, want) {
			t.Errorf("%s: code %d, %q, want %q\n%s%s", user, code, got, want, stdout, stderr)
		}
	}
	if len(rows) != 7 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestDocumentedSuspects: each key that docs/maps.md says looks like something else gives
// a warning or an error with what it says to write, and in quotes none.
func TestDocumentedSuspects(t *testing.T) {
	rows := tableBelow(t, docs.Maps, "| written | is here | to write if something else was meant |")
	for _, row := range rows {
		for _, key := range codes(row[0]) {
			check := func(key string) (code int, said string) {
				folder := documentSite(t, map[string]string{"map": key + " one\n"})
				code, _, said = runIn(t, folder, "", "check", "--config", "x.toml")
				return code, said
			}
			code, said := check(key)
			isError := strings.Contains(row[1], "error") && strings.Contains(key, "*")
			if (code != exitOK) != isError || !strings.Contains(said, "route.file: map:1: ") {
				t.Errorf("%s: code %d, %s", key, code, said)
			}
			said = strings.Replace(said, strconv.Quote(key), "", 1)
			if write := codes(row[2]); len(write) > 0 && !slices.ContainsFunc(write,
				func(write string) bool { return strings.Contains(said, write) }) {
				t.Errorf("%s: %q is not in %s", key, write, said)
			}
			if code, said := check(`"` + strings.ReplaceAll(key, `\`, `\\`) + `"`); code != exitOK || said != "" {
				t.Errorf("%s in quotes: code %d, %s", key, code, said)
			}
		}
	}
	if len(rows) < 10 {
		t.Errorf("only %d rows", len(rows))
	}
}
