package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"imapproxy/cmd/imapproxy/config"
)

// TestConvertedFilesPassCheck converts each sample as a user does, nginx's with
// the backends that the sample lists and without any. What converts passes
// check, once the files that it names are there, and names no backend that
// the sample does not.
func TestConvertedFilesPassCheck(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]int{}
	for _, name := range conversions(t) {
		archive, err := txtar.ParseFile(filepath.Join(home, name))
		if err != nil {
			t.Fatal(err)
		}
		from := filepath.Base(filepath.Dir(name))
		variants := [][]string{sampleOptions(from, string(archive.Comment))}
		if from == "nginx" {
			variants = append(variants, nil)
		}
		for _, options := range variants {
			t.Run(filepath.Base(name)+" "+strings.Join(options, " "), func(t *testing.T) {
				if convertAndCheck(t, from, archive, options) {
					passed[from]++
				}
			})
		}
	}
	if passed["nginx"] < 100 || passed["perdition"] < 50 {
		t.Errorf("only %v samples were converted and checked", passed)
	}
}

// sampleOptions are the flags that a sample's comment stands for.
func sampleOptions(from, comment string) []string {
	var flags []string
	if from == "nginx" {
		for _, entry := range strings.Fields(comment) {
			flags = append(flags, "--backend", entry)
		}
		return flags
	}
	for line := range strings.Lines(comment) {
		if option, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			flags = append(flags, "--"+option, value)
		}
	}
	return flags
}

// convertAndCheck reports whether a sample was converted and checked.
func convertAndCheck(t *testing.T, from string, archive *txtar.Archive, options []string) bool {
	t.Helper()
	folder, source := t.TempDir(), ""
	for _, f := range archive.Files {
		text := strings.NewReplacer("/etc/", folder+"/etc/", "/var/", folder+"/var/").Replace(string(f.Data))
		if f.Name == "imapproxy.toml" || strings.HasSuffix(f.Name, "report") {
			continue
		}
		name := filepath.Join(folder, f.Name)
		try(t, "folder", os.MkdirAll(filepath.Dir(name), 0o700))
		mustWrite(t, name, text)
		source += text
	}
	conf := from + ".conf"
	if !fileExists(filepath.Join(folder, conf)) {
		return false // a sample of what is refused
	}
	try(t, "folder", os.MkdirAll(filepath.Join(folder, "out"), 0o700))
	arguments := append([]string{"convert", from, conf, "-o", "out/out.toml"}, options...)
	if code, _, stderr := runIn(t, folder, "", arguments...); code != exitOK {
		t.Fatalf("code %d\n%s", code, stderr)
	}
	c, _ := config.Load(filepath.Join(folder, "out/out.toml"))
	if from == "nginx" && len(c.Targets) > 0 {
		t.Errorf("a target: %+v", c.Targets)
	}
	for _, target := range c.Targets {
		for _, address := range target.Addresses {
			if host, _, err := net.SplitHostPort(address); err != nil || !strings.Contains(source, host) {
				t.Errorf("%s is not in the source", address)
			}
		}
	}
	addNamedFiles(t, c)
	if code, stdout, stderr := runIn(t, folder, "", "check", "--config", "out/out.toml"); code != exitOK ||
		stdout != "out/out.toml: ok\n" {
		t.Errorf("check: code %d\n%s%s", code, stderr, mustRead(t, filepath.Join(folder, "out/out.toml")))
	}
	return true
}

// addNamedFiles makes what the listeners, the targets and the log name.
func addNamedFiles(t *testing.T, c *config.File) {
	t.Helper()
	site := siteFolder(t)
	by := issueAuthority(t, filepath.Join(site, "tls/revoker"), nil)
	mustWrite(t, filepath.Join(site, "tls/client.crl"), string(revoke(t, by, 1)))
	add := func(name config.Path, like string) {
		if name != "" && !fileExists(string(name)) {
			try(t, "folder", os.MkdirAll(filepath.Dir(string(name)), 0o700))
			mustWrite(t, string(name), mustRead(t, filepath.Join(site, like)))
		}
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		for _, pair := range l.AllCertificates() {
			if pair.Key == "" {
				pair.Key = pair.Certificate
			}
			makeCertificate(t, string(pair.Certificate), string(pair.Key), farAway)
		}
		add(l.KeyPasswords, "tls/key.passwords")
		add(l.ClientCA, "tls/revoker.crt")
		add(l.TrustedCertificates, "tls/revoker.crt")
		add(l.ClientCRL, "tls/client.crl")
		for _, key := range l.TicketKeys {
			add(config.Path(key), "tls/ticket.key")
		}
	}
	for i := range c.Targets {
		add(c.Targets[i].CA, "tls/backend-ca.pem")
	}
	add(c.Route.Backend.CA, "tls/backend-ca.pem")
	logs := []config.Path{c.Log.File}
	for _, output := range c.Log.Outputs {
		logs = append(logs, output.File)
	}
	for _, name := range logs {
		if name != "" {
			try(t, "folder of the log", os.MkdirAll(filepath.Dir(string(name)), 0o700))
		}
	}
}
