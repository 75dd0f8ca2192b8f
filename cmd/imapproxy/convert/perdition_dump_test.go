package convert

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dumpText is a map, and what it becomes.
const (
	dumpText  = "alice:imap2.example.org\nbob:robert@imap3.example.org:1143\nx y:imap4.example.org\n"
	dumpConf  = "protocol IMAP4\nusername_from_database\nmap_library libperditiondb_LIBRARY.so.0\n"
	dumpRules = "\"x y\"  imap4.example.org:143\nalice  imap2.example.org:143\nbob  robert@imap3.example.org:1143"
)

// convertDump converts a configuration with a dump, and returns the map's rules
// in order.
func convertDump(t *testing.T, library, dump string) (string, *Result) {
	t.Helper()
	folder := t.TempDir()
	conf, named := filepath.Join(folder, "perdition.conf"), filepath.Join(folder, "dump")
	for name, text := range map[string]string{conf: strings.Replace(dumpConf, "LIBRARY", library, 1), named: dump} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Perdition(conf, PerditionOptions{Map: named})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Maps) == 0 {
		return "", r
	}
	rules := strings.Split(strings.TrimSpace(r.Maps[0].Text), "\n")[1:]
	slices.Sort(rules)
	return strings.Join(rules, "\n"), r
}

// TestDumpWithNULs converts what makegdbm -u of perdition 2.2 prints, which has
// NUL bytes, and a value that was stored with one.
func TestDumpWithNULs(t *testing.T) {
	dump := "bob:\x00robert@imap3.example.org:1143\n\x00x y:\x00imap4.example.org\n\x00" +
		"alice:\x00imap2.example.org\x00\n\x00lost\x00:\x00imap5.example.org\n\x00"
	got, r := convertDump(t, "gdbm", dump)
	if got != dumpRules || r.Failed() {
		t.Errorf("%s\n%s", got, report(t, r))
	}
	said := report(t, r)
	if !strings.Contains(said, "ends with a NUL byte") || strings.Contains(said, "not key:value") {
		t.Error(said)
	}
}

// TestDumpsOfPrograms makes databases with perdition's programs, converts what
// those print of them, and refuses the databases themselves.
func TestDumpsOfPrograms(t *testing.T) {
	notQuick(t)
	for program, library := range map[string]string{"makegdbm": "gdbm", "makebdb": "bdb"} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("SKIPPED: %s is not installed: scripts/install-test-programs installs perdition", program)
			}
			db := filepath.Join(t.TempDir(), "popmap."+library+".db")
			build := exec.Command(program, db)
			build.Stdin = strings.NewReader(dumpText)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			dump, err := exec.Command(program, "-u", db).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, r := convertDump(t, library, string(dump)); got != dumpRules || r.Failed() {
				t.Errorf("%q\n%s\n%s", dump, got, report(t, r))
			}
			if _, r := convertDump(t, library, mustRead(t, db)); !strings.Contains(report(t, r),
				"a database, not its text") {
				t.Error(report(t, r))
			}
		})
	}
}
