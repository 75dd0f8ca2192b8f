package main

import (
	"bytes"
	"strings"
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

func TestExitCodes(t *testing.T) {
	folder := siteFolder(t)
	mustWrite(t, folder+"/good.toml", config.Example())
	tests := []struct {
		args   string
		code   int
		stdout string // what it holds; "" for nothing at all
		stderr string
	}{
		{"", exitUsage, "", "usage: imapproxy COMMAND"},
		{"help", exitOK, "usage: imapproxy COMMAND", ""},
		{"--help", exitOK, "usage: imapproxy COMMAND", ""},
		{"-h", exitOK, "usage: imapproxy COMMAND", ""},
		{"help check", exitOK, "usage: imapproxy check", ""},
		{"help nothing", exitUsage, "", `no command "nothing"`},
		{"help check config", exitUsage, "", "help takes one command"},
		{"nothing", exitUsage, "", `no command "nothing"`},
		{"check --nothing", exitUsage, "", "flag provided but not defined: -nothing"},
		{"check --config", exitUsage, "", "flag needs an argument"},
		{"check a b", exitUsage, "",
			"takes at most 1 argument(s), the last in place of --config; usage: imapproxy check [FILE] [flags]"},
		{"check missing.toml", exitFailed, "", "missing.toml:1: error"},
		{"check good.toml", exitOK, "good.toml: ok", ""},
		{"check good.toml --config good.toml", exitUsage, "",
			"takes at most 1 argument(s), the last in place of --config"},
		{"check -c good.toml", exitOK, "good.toml: ok", ""},
		{"check -c=good.toml", exitOK, "good.toml: ok", ""},
		{"check -config good.toml", exitOK, "good.toml: ok", ""},
		{"check --confg good.toml", exitUsage, "", "-confg; did you mean --config?"},
		{"serve missing.toml", exitFailed, "", "missing.toml:1: error"},
		{"route a -c good.toml", exitOK, "imap1.example.org:993", ""},
		{"route -c good.toml -- -c", exitOK, "-c", ""},
		{"passwd a:b", exitUsage, "", "can't stand in the file"},
		{"session -c good.toml", exitFailed, "", "good.toml has no admin listener"},
		{"pools -c good.toml", exitFailed, "", "good.toml has no admin listener"},
		{"kick alice -c good.toml", exitFailed, "", "good.toml has no admin listener"},
		{"kick alice --user alice", exitUsage, "", "takes at most 1 argument(s), the last in place of --user"},
		{"sessions alice -c good.toml", exitFailed, "", "good.toml has no admin listener"},
		{"chekc", exitUsage, "", "there is no command \"chekc\"; did you mean `imapproxy check`?"},
		{"reload", exitUsage, "", "there is no command \"reload\"; send the proxy SIGHUP"},
		{"status", exitUsage, "", "there is no command \"status\"; systemctl status imapproxy"},
		{"help session", exitOK, "usage: imapproxy sessions", ""},
		{"help kcik", exitUsage, "", "did you mean `imapproxy kick`?"},
		{"-v", exitOK, "imapproxy ", ""},
		{"check --config missing.toml", exitFailed, "", "missing.toml:1: error"},
		{"check --config good.toml", exitOK, "good.toml: ok", ""},
		{"config", exitOK, "[[listener]]", ""},
		{"version", exitOK, "imapproxy ", ""},
		{"--version", exitOK, "imapproxy ", ""},
		{"route", exitUsage, "", "usage: imapproxy route USER [flags]"},
		{"route a b", exitUsage, "", "takes 1 argument(s), not 2"},
		{"route a --config good.toml", exitOK, "imap1.example.org:993", ""},
		{"route --config good.toml a", exitOK, "imap1.example.org:993", ""},
		{"route --config=good.toml -- -a", exitOK, "-a", ""},
		{"route --config missing.toml a", exitFailed, "", "missing.toml:1: error"},
		{"probe", exitUsage, "", "usage: imapproxy probe USER [flags]"},
		{"probe a --timeout 0s", exitUsage, "", "--timeout has to be positive"},
		{"probe a --config good.toml --listener none", exitUsage, "", `no listener "none"; there are imap, imaps`},
		{"passwd --scheme rot13", exitUsage, "", `no scheme "rot13"`},
		{"passwd --user a:b", exitUsage, "", "can't stand in the file"},
		{"kick", exitUsage, "", "exactly one of --session, --user and --backend"},
		{"kick --user a --session b", exitUsage, "", "exactly one of"},
		{"sessions --config good.toml", exitFailed, "", "good.toml has no admin listener: write a section [admin]"},
		{"sessions --config missing.toml", exitFailed, "", "missing.toml:1: error"},
		{"sessions --admin 192.0.2.1:9143", exitFailed, "", "can be reached from other machines"},
		{"sessions --admin 127.0.0.1:9143", exitFailed, "", "needs a token: name its file with --token-file"},
		{"sockets --admin unix:missing.sock", exitFailed, "",
			"nothing listens on unix:missing.sock: is the proxy running"},
		{"drain --admin 127.0.0.1:9143 --token-file missing", exitFailed, "", "--token-file missing: no such file"},
		{"kick bob alice", exitUsage, "", "kick takes at most 1 argument(s)"},
		{"serve --config missing.toml", exitFailed, "", "missing.toml:1: error"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := runIn(t, folder, "", strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for what, got := range map[string][2]string{"stdout": {stdout, tt.stdout}, "stderr": {stderr, tt.stderr}} {
				if !strings.Contains(got[0], got[1]) || (got[1] == "") != (got[0] == "") {
					t.Errorf("%s: %q, want %q", what, got[0], got[1])
				}
			}
		})
	}
}

// TestHelpOfEveryCommand holds each help to naming all it should, in both ways
// of asking.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, name := range []string{"serve", "check", "demo", "passwd", "route", "probe", "sessions", "sockets", "kick",
		"drain", "manual", "config", "version"} {
		c, ok := findCommand(name)
		if !ok {
			t.Errorf("there is no command %s", name)
			continue
		}
		var long, short, overview bytes.Buffer
		if run([]string{name, "--help"}, nil, &long, nil) != exitOK ||
			run([]string{"help", name}, nil, &short, nil) != exitOK {
			t.Errorf("%s: --help fails", name)
		}
		if long.String() != short.String() {
			t.Errorf("%s: two helps", name)
		}
		for _, want := range append([]string{"usage: imapproxy " + name, c.summary}, flagNames(c)...) {
			if !strings.Contains(long.String(), want) {
				t.Errorf("%s: the help lacks %q:\n%s", name, want, long.String())
			}
		}
		run([]string{"help"}, nil, &overview, nil)
		if !strings.Contains(overview.String(), "\n  "+name) {
			t.Errorf("the overview lacks %s", name)
		}
	}
}

func flagNames(c command) []string {
	var names []string
	for _, f := range c.flags() {
		names = append(names, "--"+f.Name)
	}
	return names
}
