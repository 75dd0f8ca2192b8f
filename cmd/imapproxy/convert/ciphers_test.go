package convert

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSuitesAreGos says that the table has each suite of TLS 1.2 that Go
// counts as safe.
func TestSuitesAreGos(t *testing.T) {
	for _, suite := range tls.CipherSuites() {
		known := slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.id == suite.ID })
		if !known && slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			t.Errorf("%s is missing", suite.Name)
		}
	}
}

// cipherTable is the file of cipher lists with what becomes of each: after a
// list, on a line of its own and indented, either "rejected", or the suites that
// are left and the words that are skipped.
const cipherTable = "testdata/ciphers.txt"

// cipherLists returns the table's lists, each with its line.
func cipherLists(t *testing.T) (lists, results []string) {
	t.Helper()
	for line := range strings.Lines(mustRead(t, cipherTable)) {
		line = strings.TrimSuffix(line, "\n")
		switch result, indented := strings.CutPrefix(line, "\t"); {
		case strings.HasPrefix(line, "# "):
		case indented:
			results = append(results, result)
		default:
			lists = append(lists, line)
		}
	}
	if len(lists) < 60 {
		t.Fatalf("only %d lists", len(lists))
	}
	return lists, results
}

// describeCiphers writes what becomes of a list, as the table has it.
func describeCiphers(text string) string {
	list, err := readCipherList(text)
	if err != nil {
		return "rejected: " + err.Error()
	}
	var b strings.Builder
	for _, suite := range list.chosen {
		short := strings.NewReplacer("ECDHE-", "", "-SHA256", "", "-SHA384", "", "-POLY1305", "").Replace(suite.name)
		b.WriteString(short + " ")
	}
	switch len(list.chosen) {
	case 0:
		b.WriteString("none ")
	case len(openSSLSuites):
		b.Reset()
		b.WriteString("all ")
	}
	if len(list.former) > 0 {
		b.WriteString("former: " + joinWords(list.former) + " ")
	}
	if len(list.unknown) > 0 {
		b.WriteString("unknown: " + joinWords(list.unknown) + " ")
	}
	return strings.TrimSpace(b.String())
}

// TestCipherLists says what becomes of many lists.
func TestCipherLists(t *testing.T) {
	lists, results := cipherLists(t)
	if *update {
		var b strings.Builder
		b.WriteString("# Cipher lists of OpenSSL and what becomes of them; -update writes the indented lines.\n")
		for _, text := range lists {
			fmt.Fprintf(&b, "%s\n\t%s\n", text, describeCiphers(text))
		}
		if err := os.WriteFile(cipherTable, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, text := range lists {
		if got := describeCiphers(text); got != results[i] {
			t.Errorf("%s:\n%s, want\n%s", text, got, results[i])
		}
	}
}

// TestCipherListsAsOpenSSL compares the lists with openssl ciphers: which are
// rejected, and what the others mean.
func TestCipherListsAsOpenSSL(t *testing.T) {
	notQuick(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is not installed: scripts/install-test-programs installs it")
	}
	lists, _ := cipherLists(t)
	for _, word := range strings.Fields(foreignWords + " " + formerWords) {
		lists = append(lists, word, "AES128:"+word)
	}
	for _, s := range openSSLSuites {
		lists = append(lists, s.name)
		for _, word := range s.words {
			lists = append(lists, word, "HIGH:!"+word)
		}
	}
	for word := range openSSLAliases {
		lists = append(lists, word)
	}
	slices.Sort(lists)
	for _, text := range slices.Compact(lists) {
		args := []string{"ciphers"}
		if strings.Contains(text, "@SECLEVEL=") { // -s takes the level into account
			args = append(args, "-s", "-tls1_2")
		}
		out, err := exec.Command("openssl", append(args, text)...).CombinedOutput()
		list, ours := readCipherList(text)
		if rejected := strings.Contains(string(out), "invalid command"); rejected || ours != nil {
			if !rejected || ours == nil || err == nil {
				t.Errorf("%s: our error %v, openssl's %v\n%s", text, ours, err, out)
			}
			continue
		}
		var want, got []string
		for name := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
			if err == nil && slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.name == name }) {
				want = append(want, name)
			}
		}
		for _, suite := range list.chosen {
			got = append(got, suite.name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestCipherWordsAsOpenSSL says that the converter knows the words and the names
// of suites that the installed OpenSSL knows, which rejects a wrong character
// only after those.
func TestCipherWordsAsOpenSSL(t *testing.T) {
	notQuick(t)
	out, err := exec.Command("openssl", "ciphers", "ALL:COMPLEMENTOFALL").Output()
	if err != nil {
		t.Skip("SKIPPED: openssl is not installed: scripts/install-test-programs installs it")
	}
	names := strings.Split(strings.TrimSpace(string(out)), ":")
	if len(names) < 100 {
		t.Fatalf("only %d suites", len(names))
	}
	for _, name := range names {
		if kindOfCipherWord(name) != knownWord {
			t.Errorf("%s is not known", name)
		}
	}
	words := strings.Fields(foreignWords + " " + formerWords +
		" RC4-MD5 DES-CBC3-SHA FOO TLSv1.1 TLSv1.3 DEFAULTS high ECDHE-RSA-AES128-GCM-SHA265 EXP-RC4-MD5")
	for word := range openSSLAliases {
		words = append(words, word)
	}
	for _, word := range words {
		known := exec.Command("openssl", "ciphers", "HIGH:"+word+"/").Run() != nil
		if ours := kindOfCipherWord(word) == knownWord; ours != known {
			t.Errorf("%s: known %v, by OpenSSL %v", word, ours, known)
		}
	}
}

// TestCipherListsAsNginx says that nginx takes the lists that leave a suite, and
// none that OpenSSL rejects.
func TestCipherListsAsNginx(t *testing.T) {
	notQuick(t)
	const module = "/usr/lib/nginx/modules/ngx_mail_module.so"
	if _, err := os.Stat(module); err != nil {
		t.Skip("SKIPPED: nginx with its mail module is not installed: scripts/install-test-programs installs it")
	}
	folder := t.TempDir()
	key := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-nodes",
		"-subj", "/CN=localhost", "-keyout", filepath.Join(folder, "key"), "-out", filepath.Join(folder, "cert"))
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	test := func(lists ...string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "load_module %s;\npid %s;\nerror_log stderr;\nevents {}\nmail {\nauth_http 127.0.0.1:1;\n"+
			"ssl_certificate cert;\nssl_certificate_key key;\n", module, filepath.Join(folder, "pid"))
		for i, text := range lists {
			fmt.Fprintf(&b, "server { listen 127.0.0.1:%d ssl; protocol imap; ssl_ciphers '%s'; }\n", 20000+i, text)
		}
		conf := filepath.Join(folder, "nginx.conf")
		if err := os.WriteFile(conf, []byte(b.String()+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("/usr/sbin/nginx", "-t", "-c", conf).CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	var taken []string
	lists, _ := cipherLists(t)
	for _, text := range lists {
		list, err := readCipherList(text)
		switch {
		case err != nil:
			if said := test(text); !strings.Contains(said, "invalid command") {
				t.Errorf("%s: nginx takes it, or says %s", text, said)
			}
		case len(list.chosen) > 0:
			taken = append(taken, text)
		}
	}
	if said := test(taken...); said != "" {
		t.Errorf("nginx says %s", said)
	}
}
