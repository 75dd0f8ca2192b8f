package auth

import (
	"fmt"
	"strings"
	"testing"
)

// TestOddNames: lines that are taken, and that were surely meant as something else.
func TestOddNames(t *testing.T) {
	for name, want := range map[string]string{
		"bob@":              "no domain after the @",
		"@example.org":      "a domain is no user",
		"*":                 "no wildcards",
		"*@example.org":     "no wildcards",
		"%@example.org":     "no wildcards",
		"~^bob":             "a regular expression is no user",
		"^bob":              "a regular expression is no user",
		"/^bob/":            "a regular expression is no user",
		`"bob"`:             "the quotes are part of the name",
		"'bob'":             "the quotes are part of the name",
		"<bob@example.org>": "the brackets are part of the name",
	} {
		got := openUsers(t, "eve:"+hashSHA, name+":"+hashSHA).Warnings()
		if place := fmt.Sprintf("users: %q (line 2): ", name); len(got) != 1 || !strings.Contains(got[0], place) ||
			!strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := openUsers(t, "alice.smith:"+hashSHA, "o'brien@example.org:"+hashSHA, `EXAMPLE\david:`+hashSHA,
		"bob+tag@example.org:"+hashSHA, "a b:"+hashSHA, "bob%unix.org:"+hashSHA, "example.org:"+hashSHA,
		"bob@localhost:"+hashSHA, "host1$:"+hashSHA).Warnings()
	if len(got) != 0 {
		t.Errorf("names that sites have: %q", got)
	}
}

// TestOtherFiles: lines of other programs' files are errors that say what they are and
// quote nothing of a password.
func TestOtherFiles(t *testing.T) {
	for line, want := range map[string]string{
		"bob:" + hashSHA + ":1000:1000::/home/bob:/bin/sh":        "of a line of Dovecot's passwd-file, /etc/passwd or",
		"bob:" + hashSHA + ":19000:0:99999:7:::":                  "name and hash only",
		"bob:" + hashSHA + ":::::: proxy=y host=imap1":            "of a line of Dovecot's passwd-file",
		"bob:" + hashSHA + ":host=imap1":                          "Dovecot's host is here backend=",
		"bob:" + hashSHA + ":destuser=x":                          "Dovecot's destuser is here user=",
		"bob:" + hashSHA + ":nopassword":                          `type = "passthrough"`,
		"bob:" + hashSHA + ":canary=" + canary:                    "field 1 after the hash is unknown",
		"bob:x":                                                   "/etc/shadow",
		"bob:$apr1$abc$" + strings.Repeat("x", 22):                "Apache's $apr1$",
		"bob:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=":                   "{SHA} can't be verified here",
		"bob:{sha512-crypt.b64}x":                                 "{SHA512-CRYPT.B64} can't be verified here",
		"bob:{SSHA.HEX}x":                                         "{SSHA.HEX} can't be verified here",
		"bob:{SCRAM-SHA-256}4096,x":                               "{SCRAM-SHA-256} can't be verified here",
		"bob:{SHA." + canary + "}x":                               "a hash that begins with $ needs none",
		"bob:5f4dcc3b5aa765d61d8327deb882cf99":                    "looks like a digest without salt",
		"bob:" + canary:                                           "is not a password hash",
		"bob:$7$CU..../....abc$x":                                 "the $7$ form of scrypt",
		"bob:{CRYPT}$md5$rounds=904$salt$$abcdefghijklmnopqrstuv": "Sun's $md5$",
	} {
		_, err := parseUsers("users", []byte(line+"\n"))
		if err == nil || !strings.HasPrefix(err.Error(), `users:1: user "bob": `) ||
			!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestFileWarning chooses by name and backend.
func TestFileWarning(t *testing.T) {
	f := openUsers(t, "bob:"+hashSHA+":backend=b", "eve:"+hashSHA, "kim:"+hashSHA+":backend=c")
	got := f.Warning("is odd", func(name, server string) bool { return server != "" && name != "bob" })
	if !strings.HasSuffix(got, `: "kim" (line 3): is odd`) {
		t.Errorf("got %q", got)
	}
	if got := f.Warning("x", func(string, string) bool { return false }); got != "" {
		t.Errorf("none: %q", got)
	}
}

// TestCertificateWarnings: lines that no certificate can have.
func TestCertificateWarnings(t *testing.T) {
	for _, c := range []struct {
		from       CertificateName
		line, want string // want "" for no warning
	}{
		{FromEmail, "alice alice@example.org", ""},
		{FromEmail, "alice@example.org alice", `"alice" is no address`},
		{FromEmail, `"alice" alice@example.org`, "the quotes are part of the user's name"},
		{FromEmail, "alice 'alice@example.org'", "the quotes are part of what the certificate"},
		{FromDNSName, "alice phone.example.org", ""},
		{FromDNSName, "alice phone", ""},
		{FromDNSName, "alice alice@example.org", "is no host name"},
		{FromDNSName, "alice DNS = phone", "is no host name"},
		{FromCommonName, "alice Alice Jones", ""},
		{FromCommonName, "alice CN=Alice Jones", "leave CN= out"},
		{FromCommonName, "alice /CN=Alice Jones", "leave CN= out"},
		{FromSubject, `alice CN=alice,O=Example\, Inc.`, ""},
		{FromSubject, "alice alice", "-nameopt RFC2253"},
		{FromSubject, "alice /C=DE/CN=alice", "-nameopt RFC2253"},
		{FromSubject, "alice C = DE, CN = alice", "-nameopt RFC2253"},
		{FromSubject, "alice CN=alice, C=DE", "-nameopt RFC2253"},
		{FromSubject, "alice subject=CN=alice", "-nameopt RFC2253"},
		{FromSubject, "alice emailAddress=a@x.org,CN=alice", `"emailAddress" has no name`},
		{FromSubject, "alice CN=alice,DC=example,DC=org", `"DC" has no name`},
		{FromSubject, `alice CN=a\,b=c,O=d`, ""},
		{FromSubject, "alice CN=alice,1.2.840.113549.1.9.1=#0c0161", ""},
		{FromFingerprint, "alice " + strings.Repeat("A1:", 31) + "A1", ""},
	} {
		u, err := NewCertificateUsers(c.from, "f", "# c\n"+c.line+"\n")
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		got := u.Warnings()
		if (c.want == "") != (len(got) == 0) || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], "f:2: ") ||
			!strings.Contains(got[0], c.want)) {
			t.Errorf("%s %q: %q, want %q", c.from, c.line, got, c.want)
		}
	}
}

// TestCertificateFaults: their number is bounded, a long line hides none after it, and
// what is no fingerprint is not taken for one.
func TestCertificateFaults(t *testing.T) {
	_, err := NewCertificateUsers(FromEmail, "f", strings.Repeat("alice\n", 250))
	if err == nil || strings.Count(err.Error(), "\n") != maxFileErrors ||
		!strings.HasSuffix(err.Error(), "f: 150 more errors: mend these first") {
		t.Errorf("many faults: %v", err)
	}
	u, err := NewCertificateUsers(FromEmail, "f", "# "+strings.Repeat("x", 128<<10)+"\nalice alice@example.org\n")
	if err != nil || len(u.names) != 1 {
		t.Errorf("after a long line: %v, %v", u.names, err)
	}
	for line, want := range map[string]string{
		"alice " + strings.Repeat("x", 64): "hexadecimal digits",
		strings.Repeat("ab:", 31) + "ab x": "the fingerprint stands before the user",
	} {
		_, err := NewCertificateUsers(FromFingerprint, "f", line)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	u, err = NewCertificateUsers(FromEmail, "f", strings.Repeat("\n", 3)+manyOdd(maxCertificateWarnings+2))
	if n := len(u.Warnings()); err != nil || n != maxCertificateWarnings+1 ||
		u.Warnings()[n-1] != "f: and 2 more warnings" {
		t.Errorf("many warnings: %d, %v", n, err)
	}
}

func manyOdd(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "alice x%d\n", i)
	}
	return b.String()
}
