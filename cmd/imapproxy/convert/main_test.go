package convert

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"
)

// update rewrites the expected outputs under testdata.
var update = flag.Bool("update", false, "rewrite expected outputs")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// caseFile is an archive of testdata: a source with what has to come out of it.
type caseFile struct {
	name    string
	archive *txtar.Archive
	folder  string // the archive's files, written out
}

// openCases writes each archive of a folder out.
func openCases(t *testing.T, pattern string) []*caseFile {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, error %v", pattern, len(names), err)
	}
	var cases []*caseFile
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := &caseFile{name: name, archive: archive, folder: t.TempDir()}
		for _, f := range archive.Files {
			path := filepath.Join(c.folder, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// short is the archive's name without folder and ending.
func (c *caseFile) short() string { return strings.TrimSuffix(filepath.Base(c.name), ".txtar") }

// has says whether the archive holds a file.
func (c *caseFile) has(name string) bool { return c.find(name) >= 0 }

func (c *caseFile) find(name string) int {
	for i, f := range c.archive.Files {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// text gives a file of the archive.
func (c *caseFile) text(name string) string {
	if i := c.find(name); i >= 0 {
		return string(c.archive.Files[i].Data)
	}
	return ""
}

// golden compares an output with the archive's file; -update writes it there.
func (c *caseFile) golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		at := c.find(name)
		switch {
		case at < 0 && got != "":
			c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(got)})
		case at >= 0:
			c.archive.Files[at].Data = []byte(got)
		}
		if err := os.WriteFile(c.name, txtar.Format(c.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := c.text(name); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// report prints a result's findings.
func report(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.Print(&b, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// notQuick leaves a test out of make quick, which runs go test -short.
func notQuick(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of make quick")
	}
}
