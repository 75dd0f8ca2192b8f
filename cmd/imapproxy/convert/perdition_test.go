package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPerditionCases converts each archive's perdition.conf, which must be
// good, and its bad.conf, or the command line in bad.line, which must be refused.
func TestPerditionCases(t *testing.T) {
	for _, c := range openCases(t, "testdata/perdition/*.txtar") {
		t.Run(c.short(), func(t *testing.T) {
			r := convertPerdition(t, c, "perdition.conf")
			if r.Failed() {
				t.Errorf("refused:\n%s", report(t, r))
			}
			c.golden(t, "imapproxy.toml", r.Config)
			for _, m := range r.Maps {
				c.golden(t, "converted-"+m.Name, m.Text)
			}
			c.golden(t, "report", report(t, r))
			if !c.has("bad.conf") && !c.has("bad.line") {
				return
			}
			name := "bad.conf"
			if c.has("bad.line") { // a command line instead
				c.archive.Comment = []byte("line " + c.text("bad.line"))
				name = "perdition.conf"
			}
			bad := convertPerdition(t, c, name)
			if !bad.Failed() {
				t.Error("the bad case is taken")
			}
			if c.has("bad.line") {
				c.archive.Comment = nil
			}
			c.golden(t, "bad.report", report(t, bad))
		})
	}
}

// convertPerdition converts with the options that the archive's comment gives,
// one a line.
func convertPerdition(t *testing.T, c *caseFile, name string) *Result {
	t.Helper()
	var o PerditionOptions
	for line := range strings.Lines(string(c.archive.Comment)) {
		option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch option {
		case "defaults":
			o.Defaults = filepath.Join(c.folder, value)
		case "line":
			o.Lines = append(o.Lines, value)
		case "backend":
			o.Backends = append(o.Backends, value)
		}
	}
	r, err := perditionAt(filepath.Join(c.folder, name), "/etc/perdition", o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// onlyOneWay are options that are always refused.
var onlyOneWay = []string{"authenticate_in", "client_server_specification", "login_disabled", "ssl_passphrase_fd"}

// TestPerditionOptionsCovered says that each option has an archive in which it
// is taken, unless it never is, and one in which it is refused.
func TestPerditionOptionsCovered(t *testing.T) {
	cases := map[string]*caseFile{}
	for _, c := range openCases(t, "testdata/perdition/*.txtar") {
		cases[c.short()] = c
	}
	for _, option := range perditionOptions {
		c := cases[option.long]
		if c == nil {
			t.Errorf("testdata/perdition/%s.txtar is missing", option.long)
			continue
		}
		names := func(report, status string) bool {
			return slices.ContainsFunc(strings.Split(report, "\n"), func(line string) bool {
				_, source, found := strings.Cut(line, ": "+status+": ")
				return found && slices.ContainsFunc([]string{option.long, option.short}, func(name string) bool {
					source = strings.TrimLeft(source, "-")
					return name != "" && (strings.HasPrefix(source, name+" ") || strings.HasPrefix(source, name+":") ||
						strings.HasPrefix(source, name+"="))
				})
			})
		}
		good := c.text("report")
		if !names(good, "converted") && !names(good, "differs") && !names(good, "not needed") &&
			!slices.Contains(onlyOneWay, option.long) {
			t.Errorf("%s: not in its report", option.long)
		}
		if !names(c.text("bad.report"), "refused") {
			t.Errorf("%s: not refused in its bad.report", option.long)
		}
	}
}

// TestOldAnswers says what perdition's rules make of names.
func TestOldAnswers(t *testing.T) {
	want := map[string]string{
		"username_from_database alice":      "alice at imap2.example.org:143",
		"username_from_database bob":        "robert at imap3.example.org:1143",
		"username_from_database Nobody":     "nobody at imap1.example.org:143",
		"username_from_database where":      "where at imap1.example.org:143",
		"map_library bob":                   "bob at imap3.example.org:1143",
		"query_key x@example.net":           "x@example.net at imap4:143",
		"query_key x@example.com":           "x@example.com at imap5:143",
		"query_key x@example.info":          "x@example.info at imap7:993",
		"query_key_local alice@example.net": "alice@example.net at imap2.example.org:143",
		"posix_regex alice":                 "alice at imap1.example.org:143",
		"posix_regex user12@foo.net":        "foo-12 at imap2.example.org:1143",
		"posix_regex zoë@example.org":       "zoë at imap3:143",
		"posix_regex wraps":                 "wa$2 at imap4:143",
		"posix_regex wrab":                  "wab at imap4:143",
		"posix_regex was":                   "was at waimap5:143",
		"posix_regex x/y^":                  "q x/y^ at imap6:143",
		"posix_regex nobody":                "refused",
	}
	for _, c := range openCases(t, "testdata/perdition/*.txtar") {
		for question, answer := range want {
			name, user, _ := strings.Cut(question, " ")
			if name != c.short() {
				continue
			}
			a := convertPerdition(t, c, "perdition.conf").Old(user)
			got := fmt.Sprintf("%s at %s", a.User, strings.Join(a.Backends, ","))
			if a.Refused != "" {
				got = "refused"
			}
			if got != answer {
				t.Errorf("%s: %s, want %s", question, got, answer)
			}
			delete(want, question)
		}
	}
	for question := range want {
		t.Errorf("%s: not asked", question)
	}
}

// TestPerditionAuthorities says that the authorities in perdition's own folder,
// which count without any option, are not lost in silence.
func TestPerditionAuthorities(t *testing.T) {
	for conf, want := range map[string]bool{"": true, "ssl_no_cert_verify\n": false, "ssl_mode none\n": false} {
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "perdition.ca"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"perdition.ca/ca.pem": "an authority\n",
			"perdition.conf": "protocol IMAP4S\nmap_library \"\"\noutgoing_server imap1.example.org\n" + conf} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Perdition(filepath.Join(folder, "perdition.conf"), PerditionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if said := report(t, r); strings.Contains(said, "perdition's authorities are in") != want {
			t.Errorf("%q: %s", conf, said)
		}
	}
}
