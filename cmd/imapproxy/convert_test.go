package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"imapproxy/cmd/imapproxy/config"
)

// valuesToCome are errors about values that conversions write and that are not
// taken yet.
var valuesToCome []string

// TestConversionsPassCheck holds every expected result of a conversion against
// the schema.
func TestConversionsPassCheck(t *testing.T) {
	unseen := map[string]bool{}
	for _, expected := range valuesToCome {
		unseen[expected] = true
	}
	results := 0
	for _, name := range conversions(t) {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name != "imapproxy.toml" {
				continue
			}
			results++
			file := filepath.Join(t.TempDir(), "imapproxy.toml")
			mustWrite(t, file, string(f.Data))
			_, r := config.Load(file)
			for _, problem := range r.Of(config.Error) {
				if strings.HasPrefix(problem.Key, "log.") && strings.Contains(problem.Text, "is missing") {
					continue // a folder that this machine lacks
				}
				expected := problem.Text
				if _, listed := unseen[expected]; !listed {
					t.Errorf("%s: %s", filepath.Base(name), problem)
					continue
				}
				unseen[expected] = false
			}
		}
	}
	if results < 100 {
		t.Errorf("only %d results", results)
	}
	for expected, still := range unseen {
		if still {
			t.Errorf("%s is no error any more: remove it from the list", expected)
		}
	}
}

func conversions(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("convert/testdata/*/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d archives, error %v", len(names), err)
	}
	return names
}

// comparedUsers are asked of every conversion of perdition.
var comparedUsers = strings.Fields(`
	alice bob carol Alice alice@example.org alice@example.net x@example.net x@example.com x@Example.COM else where
	nobody user12@foo.net user12@foo.org u1@x u2 wraps wrab was x/y^ z
	zoë@example.org bob@nowhere@example.net alice#domain alice@bob odd@else`)

// expectedDifferences are the names that imapproxy sends elsewhere than
// perdition, by archive; the report of each says why.
var expectedDifferences = map[string]string{
	"posix_regex": "odd@else user12@foo.org was where wraps",
}

// TestComparison asks each conversion of perdition where users go, by
// perdition's rules and by the result.
func TestComparison(t *testing.T) {
	for _, name := range conversions(t) {
		short := strings.TrimSuffix(filepath.Base(name), ".txtar")
		if !strings.Contains(name, "/perdition/") {
			continue
		}
		t.Run(short, func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			for _, f := range archive.Files {
				mustWrite(t, filepath.Join(folder, f.Name), string(f.Data))
			}
			mustWrite(t, filepath.Join(folder, "users"), strings.Join(comparedUsers, "\n")+"\n")
			args := []string{"convert", "perdition", "perdition.conf", "--users", "users"}
			for line := range strings.Lines(string(archive.Comment)) {
				option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				args = append(args, "--"+option, value)
			}
			code, stdout, stderr := runIn(t, folder, "", args...)
			var different []string
			for _, m := range regexp.MustCompile(`(?m)^(\S+) .*DIFFERS$`).FindAllStringSubmatch(stdout, -1) {
				different = append(different, m[1])
			}
			slices.Sort(different)
			if got := strings.Join(different, " "); got != expectedDifferences[short] ||
				(code == exitOK) != (got == "") {
				t.Errorf("code %d, different: %q, want %q\n%s%s", code, got, expectedDifferences[short], stdout, stderr)
			}
			if lines := strings.Count(stdout, "\n"); lines != len(comparedUsers)+2 {
				t.Errorf("%d lines", lines)
			}
		})
	}
}

const plainNginx = `mail {
	auth_http 127.0.0.1:9000/auth;
	auth_http_header X-Key secretword;
	server { listen 143; }
}
`

// TestConvertWrites says what is written where, and what is not overwritten.
func TestConvertWrites(t *testing.T) {
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "nginx.conf"), plainNginx)
	convertTo := func(args ...string) (int, string, string) {
		return runIn(t, folder, "",
			append([]string{"convert", "nginx", "nginx.conf", "--backend", "10.0.0.0/8:143"}, args...)...)
	}
	code, stdout, stderr := convertTo()
	if code != exitOK || !strings.Contains(stdout, "secretword") || strings.Contains(stderr, "secretword") ||
		!strings.Contains(stderr, "nginx.conf:4: converted: listen 143") {
		t.Errorf("to standard output: %d\n%s\n%s", code, stdout, stderr)
	}
	if code, stdout, _ := convertTo("--check"); code != exitOK || strings.Contains(stdout, "[[listener]]") ||
		!strings.Contains(stdout, "0 refused") {
		t.Errorf("--check: %d\n%s", code, stdout)
	}
	if code, stdout, stderr := convertTo("-o", "out.toml"); code != exitOK || stdout != "" ||
		!strings.Contains(stderr, "out.toml is written") {
		t.Errorf("-o: %d\n%s\n%s", code, stdout, stderr)
	}
	info, err := os.Stat(filepath.Join(folder, "out.toml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("out.toml: %v, %v", info, err)
	}
	if code, _, stderr := convertTo("-o", "out.toml"); code != exitFailed ||
		!strings.Contains(stderr, "is there already") {
		t.Errorf("again: %d\n%s", code, stderr)
	}
	if code, _, stderr := convertTo("-o", "out.toml", "--force"); code != exitOK {
		t.Errorf("--force: %d\n%s", code, stderr)
	}
}

// TestConvertRefuses says that nothing is written when a line is refused.
func TestConvertRefuses(t *testing.T) {
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "nginx.conf"),
		strings.Replace(plainNginx, "listen 143;", "listen 143; frobnicate on;", 1))
	code, stdout, stderr := runIn(t, folder, "", "convert", "nginx", "nginx.conf", "-o", "out.toml")
	if code != exitFailed || stdout != "" ||
		!strings.Contains(stderr, `nginx.conf:4: refused: frobnicate on: unknown directive`) ||
		!strings.Contains(stderr, `--ignore frobnicate leaves it out`) ||
		fileExists(filepath.Join(folder, "out.toml")) {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"convert", "dovecot", "x.conf"}, exitUsage, "takes nginx or perdition"},
		{[]string{"convert", "nginx"}, exitUsage, "takes 2 argument(s)"},
		{[]string{"convert", "nginx", "nginx.conf", "--users", "x"}, exitUsage, "are for perdition"},
		{[]string{"convert", "nginx", "nginx.conf", "--backend", "everywhere"}, exitUsage, "no port"},
		{[]string{"convert", "nginx", "nginx.conf", "--ignore", "listen"}, exitUsage,
			"--ignore: listen can't be left out"},
		{[]string{"convert", "nginx", "nginx.conf", "--ignore", "frobnicate", "--ignore", "server"}, exitUsage,
			"--ignore: server can't be left out"},
		{[]string{"convert", "nginx", "nginx.conf", "--check", "--ignore", "frobnicate", "--backend",
			"192.0.2.1:143"}, exitOK, ""},
		{[]string{"convert", "perdition", "x.conf", "--ignore", "x"}, exitUsage, "--ignore is for nginx"},
		{[]string{"convert", "nginx", "missing.conf"}, exitFailed, "missing.conf can't be read: no such file"},
		{[]string{"convert", "perdition", "missing.conf"}, exitFailed, "missing.conf can't be read: no such file"},
	} {
		if code, _, stderr := runIn(t, folder, "", c.args...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: %d %s", c.args, code, stderr)
		}
	}
}

// TestComparisonDocument says that docs/from-perdition.md shows what --users
// prints; -update writes it.
func TestComparisonDocument(t *testing.T) {
	const file = "../../docs/from-perdition.md"
	text, folder := mustRead(t, file), t.TempDir()
	block := func(kind string) (before, inside, behind string) {
		before, rest, found := strings.Cut(text, "```"+kind+"\n")
		inside, behind, closed := strings.Cut(rest, "```")
		if !found || !closed {
			t.Fatalf("there is no block %s", kind)
		}
		return before + "```" + kind + "\n", inside, "```" + behind
	}
	for _, kind := range []string{"perdition.conf", "popmap", "default"} {
		_, inside, _ := block(kind)
		mustWrite(t, filepath.Join(folder, kind), inside)
	}
	mustWrite(t, filepath.Join(folder, "users.txt"), "alice@example.org\nBob\ncarol@example.net\ndave\n")
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runIn(t, folder, "", "convert", "perdition", "perdition.conf", "--defaults", "default",
		"--map", "popmap", "--users", "users.txt")
	if code != exitOK {
		t.Fatalf("%d\n%s\n%s", code, stdout, stderr)
	}
	before, inside, behind := block("users")
	if *update {
		if err := os.WriteFile(filepath.Join(home, file), []byte(before+stdout+behind), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if inside != stdout {
		t.Errorf("the document shows\n%s\nwant\n%s", inside, stdout)
	}
}
