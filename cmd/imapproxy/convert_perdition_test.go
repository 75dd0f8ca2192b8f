package main

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"imapproxy/cmd/imapproxy/config"
)

// convertedPaths are the lines of a converted file that name files of the old
// machine.
var convertedPaths = regexp.MustCompile(`(?m)^(certificate|key|ca|key_password_file|file)( = )"(/[^"]*)"`)

// TestPerditionPassesCheck runs check over every expected result of perdition's
// configurations, with its map, on a machine that has the files that it names,
// and looks for backends that the source does not name.
func TestPerditionPassesCheck(t *testing.T) {
	results := 0
	for _, name := range conversions(t) {
		if !strings.Contains(name, "/perdition/") {
			continue
		}
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		results++
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { checkConverted(t, archive) })
	}
	if results < 70 {
		t.Errorf("only %d results", results)
	}
}

func checkConverted(t *testing.T, archive *txtar.Archive) {
	t.Helper()
	folder := siteFolder(t)
	mustWrite(t, filepath.Join(folder, "password"), "secret\n")
	here := map[string]string{"certificate": "tls/imap.crt", "key": "tls/imap.key", "ca": "tls/imap.crt",
		"key_password_file": "password", "file": "log"}
	source, result := string(archive.Comment), ""
	for _, f := range archive.Files {
		switch f.Name {
		case "imapproxy.toml":
			result = convertedPaths.ReplaceAllStringFunc(string(f.Data), func(line string) string {
				m := convertedPaths.FindStringSubmatch(line)
				return m[1] + m[2] + `"` + filepath.Join(folder, here[m[1]]) + `"`
			})
		case "converted-map":
			mustWrite(t, filepath.Join(folder, "map"), string(f.Data))
		case "report", "bad.conf", "bad.report", "bad.line":
		default:
			source += string(f.Data)
		}
	}
	mustWrite(t, filepath.Join(folder, "imapproxy.toml"), result)
	if code, stdout, stderr := runIn(t, folder, "", "check", "--config", "imapproxy.toml"); code != exitOK {
		t.Errorf("check: %d\n%s%s\n%s", code, stdout, stderr, result)
	}
	file, _ := config.Load(filepath.Join(folder, "imapproxy.toml"))
	for _, target := range file.Targets {
		for _, address := range target.Addresses {
			if host, _, err := net.SplitHostPort(address); err != nil || !strings.Contains(source, host) {
				t.Errorf("the source does not name %s (%v)", address, err)
			}
		}
	}
}
