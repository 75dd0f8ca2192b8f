package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCheckBackends: a line for each good address, a finding with the section's line for
// each that is not, and an exit code that says which.
func TestCheckBackends(t *testing.T) {
	folder := siteFolder(t)
	answers := goodAnswers()
	answers["CAPABILITY"] = "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n"
	answers["LOGOUT"] = "" // closes
	good := scripted{"* OK ready\r\n", answers, nil, false}.serve(t)
	again := scripted{"* OK ready\r\n", answers, nil, false}.serve(t)
	mail := scripted{"220 mx ESMTP\r\n", nil, nil, false}.serve(t)
	target := "[[target]]\nname = \"%s\"\naddresses = [\"%s\"]\ntls = \"off\"\n"
	file := filepath.Join(folder, "x.toml")
	start := "auth = { type = \"file\", file = \"users\" }\nroute = { type = \"fixed\", target = \"one\" }\n" +
		"[[listener]]\nname = \"imap\"\naddress = \"127.0.0.1:0\"\ntls = \"off\"\n" + fmt.Sprintf(target, "one", good)
	for _, test := range []struct {
		config, args string
		code         int
		stdout       string // patterns
		stderr       string
	}{
		{start + fmt.Sprintf(target, "two", mail), "", exitFailed,
			`^target one at \S+: ok: no TLS, greeting "ready", IMAP4rev1 AUTH=PLAIN\n$`,
			`^x.toml:13: error: target.addresses: target two at ` + mail + `: the server speaks SMTP, not IMAP; ` +
				`name the port of IMAP, as 143 or 993\nimapproxy: x.toml: 1 error\(s\)\n$`},
		{strings.NewReplacer(good, again, "type = \"fixed\"", "backend = { proxy_header = \"off\" }, "+
			"allow = [\"10.1.0.0/24:143\"], type = \"auth\"").Replace(start), "", exitOK,
			`\n\[route\.backend\]: not checked: .*\nx.toml: ok\n$`, "^$"},
		{start, " --user nobody\x01", exitFailed, "^$", `^imapproxy: --user: no login can carry`},
	} {
		mustWrite(t, file, test.config)
		args := append([]string{"check", "--config", "x.toml", "--backends"}, strings.Fields(test.args)...)
		code, stdout, stderr := runIn(t, folder, "", args...)
		if code != test.code || !regexp.MustCompile(test.stdout).MatchString(stdout) ||
			!regexp.MustCompile(test.stderr).MatchString(stderr) {
			t.Errorf("code %d\n%s\n%s", code, stdout, stderr)
		}
	}
	if code, _, stderr := runIn(t, folder, "", "check", "--config", "x.toml", "--user", "a"); code != exitUsage ||
		!strings.Contains(stderr, "--user is for --backends") {
		t.Errorf("code %d, %s", code, stderr)
	}
}

// TestCheckBackendsOfDovecot checks a Dovecot at its right ports, and with each of the
// mistakes that are easily made.
func TestCheckBackendsOfDovecot(t *testing.T) {
	d := startDovecot(t, "checked", map[string]string{"alice": "secret"})
	folder := siteFolder(t)
	var config strings.Builder
	config.WriteString("auth = { type = \"file\", file = \"users\" }\nroute = { type = \"fixed\", target = \"t0\" }\n" +
		"[[listener]]\nname = \"imap\"\naddress = \"127.0.0.1:0\"\ntls = \"off\"\n")
	targets := []struct {
		port int
		rest string
		want string // of the line about it
	}{
		{d.TLSPort, "ca = \"" + d.CAFile + "\"", `ok: TLS 1\.3, certificate of .* AUTH=PLAIN`},
		{d.PlainPort, "tls = \"starttls\"\nca = \"" + d.CAFile + "\"", `ok: TLS 1\.3, certificate of .* AUTH=PLAIN`},
		{d.PlainPort, `tls = "off"`, `ok: no TLS, greeting ".*", .*AUTH=PLAIN`},
		{d.TLSPort, `tls = "starttls"`, `expects TLS from the first byte; write tls = "implicit"`},
		{d.PlainPort, `tls = "implicit"`, `begins without TLS; write tls = "starttls"`},
		{d.TLSPort, `tls = "implicit"`, `signed by an unknown authority, ".*"; set target\.ca to the CA's file`},
		{d.TLSPort, "server_name = \"imap.example.net\"\nca = \"" + d.CAFile + "\"", `not for imap\.example\.net; set`},
		{d.TLSPort, "proxy_header = \"v2\"\nca = \"" + d.CAFile + "\"", `write proxy_header = "off"`},
		{d.PlainPort, "proxy_header = \"v1\"\ntls = \"off\"", `write proxy_header = "off"`},
	}
	for i, target := range targets {
		fmt.Fprintf(&config, "[[target]]\nname = \"t%d\"\naddresses = "+
			"[\"127.0.0.1:%d\"]\n%s\n", i, target.port, target.rest)
	}
	mustWrite(t, filepath.Join(folder, "x.toml"), config.String())
	_, stdout, stderr := runIn(t, folder, "", "check", "--config", "x.toml", "--backends")
	for i, target := range targets {
		line := regexp.MustCompile(fmt.Sprintf(`(?m)target t%d at .*$`, i)).FindString(stdout + stderr)
		if !regexp.MustCompile(target.want).MatchString(line) {
			t.Errorf("%s: got %q, want %s", target.rest, line, target.want)
		}
	}
}
