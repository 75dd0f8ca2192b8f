package convert

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imapproxy/backend/route"
)

// page is a page of docs/ whose blocks are files and outputs.
type page struct {
	name, text string
}

func openPage(t *testing.T, name string) *page {
	t.Helper()
	path := filepath.Join("../../../docs", name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &page{path, string(text)}
}

// block finds what stands between ```KIND and ```.
func (p *page) block(t *testing.T, kind string) (from, to int) {
	t.Helper()
	begin := "```" + kind + "\n"
	from = strings.Index(p.text, begin)
	if from < 0 {
		t.Fatalf("%s has no block %s", p.name, kind)
	}
	from += len(begin)
	return from, from + strings.Index(p.text[from:], "```")
}

// write puts a block into a file.
func (p *page) write(t *testing.T, kind, name string) string {
	t.Helper()
	from, to := p.block(t, kind)
	if err := os.WriteFile(name, []byte(p.text[from:to]), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// expect compares a block with what it should be; -update writes it.
func (p *page) expect(t *testing.T, kind, want string) {
	t.Helper()
	from, to := p.block(t, kind)
	if *update {
		p.text = p.text[:from] + want + p.text[to:]
		if err := os.WriteFile(p.name, []byte(p.text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := p.text[from:to]; got != want {
		t.Errorf("%s: %s\n%s\nwant\n%s", p.name, kind, got, want)
	}
}

// notHere is what the report says of files that only the reader's machine has.
var notHere = regexp.MustCompile(`; \S+ is not on this machine`)

// TestDocumentsNginx says that docs/from-nginx.md shows what really comes out.
func TestDocumentsNginx(t *testing.T) {
	p := openPage(t, "from-nginx.md")
	r, err := nginxAt(p.write(t, "nginx", filepath.Join(t.TempDir(), "nginx.conf")),
		"/etc/nginx", NginxOptions{Backends: []string{"10.1.0.0/24:143"}})
	if err != nil {
		t.Fatal(err)
	}
	p.expect(t, "report", notHere.ReplaceAllString(report(t, r), ""))
	p.expect(t, "toml converted", r.Config)

	r, err = nginxAt(p.write(t, "nginx", filepath.Join(t.TempDir(), "nginx.conf")), "/etc/nginx", NginxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(r.Config, "[route]\n")
	part, _, _ = strings.Cut(part, "\n[route.backend]")
	p.expect(t, "toml any", "[route]\n"+part)
	for _, narrow := range route.NarrowOnly() {
		name := strings.TrimSuffix(strings.TrimSuffix(narrow.String(), "/32"), "/128")
		if !narrow.Addr().IsLoopback() && !strings.Contains(p.text, name) {
			t.Errorf("%s does not say that %s is left out", p.name, name)
		}
	}
}

// TestDocumentsPerdition does the same for docs/from-perdition.md.
func TestDocumentsPerdition(t *testing.T) {
	p, folder := openPage(t, "from-perdition.md"), t.TempDir()
	conf := p.write(t, "perdition.conf", filepath.Join(folder, "perdition.conf"))
	o := PerditionOptions{Defaults: p.write(t, "default", filepath.Join(folder, "default")),
		Map: p.write(t, "popmap", filepath.Join(folder, "popmap"))}
	r, err := perditionAt(conf, "/etc/perdition", o)
	if err != nil || r.Failed() {
		t.Fatalf("%v\n%s", err, report(t, r))
	}
	named := strings.NewReplacer("default:", "/etc/default/perdition:")
	p.expect(t, "report", named.Replace(report(t, r)))
	p.expect(t, "toml converted", named.Replace(r.Config))
	p.expect(t, "map", r.Maps[0].Text)
}
