package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// scripted is a server for one connection: it answers each line that it reads
// by what its map says, with TAG replaced; "" closes the connection.
type scripted struct {
	greeting string
	answers  map[string]string // by the command without its tag, or the whole line
	tls      *tls.Config
	implicit bool
}

// serve runs the script for one client and gives the address.
func (s scripted) serve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		s.talk(conn)
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

func (s scripted) talk(conn net.Conn) {
	if s.implicit {
		conn = tls.Server(conn, s.tls)
	}
	_, _ = io.WriteString(conn, s.greeting)
	in := bufio.NewScanner(conn)
	tag := ""
	for in.Scan() {
		command := in.Text()
		if t, rest, ok := strings.Cut(command, " "); ok {
			tag, command = t, rest
		}
		answer, ok := s.answers[command]
		if !ok {
			answer = "TAG BAD unknown\r\n"
		}
		if answer == "" {
			return
		}
		_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "TAG", tag))
		if command == "STARTTLS" && s.tls != nil {
			conn = tls.Server(conn, s.tls)
			in = bufio.NewScanner(conn)
		}
	}
}

// goodAnswers let alice in with the password "s e\"cret".
func goodAnswers() map[string]string {
	return map[string]string{
		"AUTHENTICATE PLAIN":   "+ \r\n",
		"AGFsaWNlAHMgZSJjcmV0": "* CAPABILITY IMAP4rev1\r\nTAG OK in\r\n",
		"NOOP":                 "* 1 EXISTS\r\nTAG OK done\r\n",
		"LOGOUT":               "* BYE bye\r\nTAG OK out\r\n",
		"STARTTLS":             "TAG OK go\r\n",
		"AGFsaWNlAHdyb25n":     "TAG NO [AUTHENTICATIONFAILED] no\x1b[31m\r\n",
	}
}

func TestProbe(t *testing.T) {
	folder := siteFolder(t)
	listen := "[[listener]]\nname = \"%s\"\naddress = \":%d\"\ntls = \"%s\"\n%s\n"
	certificate := "certificate = \"tls/imap.crt\"\nkey = \"tls/imap.key\"\n"
	mustWrite(t, filepath.Join(folder, "x.toml"),
		"auth.type = \"passthrough\"\nroute = { type = \"fixed\", target = \"one\" }\n"+
			"[[target]]\nname = \"one\"\naddresses = [\"imap1.example.org\"]\n"+
			fmt.Sprintf(listen, "off", 1143, "off", "insecure = true")+
			fmt.Sprintf(listen, "starttls", 1144, "starttls", certificate)+
			fmt.Sprintf(listen, "implicit", 1993, "implicit", certificate))
	pair := func(name string) *tls.Config {
		c, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls", name+".crt"),
			filepath.Join(folder, "tls", name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{c}}
	}
	right, other := pair("imap"), pair("other")
	const greeting, good, wrong = "* OK ready\r\n", "s e\"cret\n", "wrong\n"
	with := func(command, answer string) map[string]string {
		m := goodAnswers()
		m[command] = answer
		return m
	}
	tests := []struct {
		name     string
		listener string
		server   scripted
		password string
		phases   string // as they are printed
		failure  string // "" for success
	}{
		{"plain", "off", scripted{greeting, goodAnswers(), nil, false}, good,
			"connect greeting login NOOP LOGOUT total", ""},
		{"starttls", "starttls", scripted{greeting, goodAnswers(), right, false}, good,
			"connect greeting TLS login NOOP LOGOUT total", ""},
		{"implicit", "implicit", scripted{greeting, goodAnswers(), right, true}, good,
			"connect TLS greeting login NOOP LOGOUT total", ""},
		{"wrong password", "off", scripted{greeting, goodAnswers(), nil, false}, wrong, "connect greeting login total",
			`login failed: NO [AUTHENTICATIONFAILED] no\u001b[31m`},
		{"other certificate", "implicit", scripted{greeting, goodAnswers(), other, true}, good, "connect TLS total",
			"TLS failed: the proxy shows another certificate"},
		{"other certificate after STARTTLS", "starttls", scripted{greeting, goodAnswers(), other, false}, good,
			"connect greeting TLS total", "TLS failed: the proxy shows another certificate"},
		{"no STARTTLS", "starttls", scripted{greeting, with("STARTTLS", "TAG BAD no\r\n"), right, false}, good,
			"connect greeting TLS total", "TLS failed: BAD no"},
		{"bytes after STARTTLS", "starttls",
			scripted{greeting, with("STARTTLS", "TAG OK go\r\n* OK injected\r\n"), right, false}, good,
			"connect greeting TLS total", "TLS failed: bytes came after"},
		{"BYE", "off", scripted{"* BYE full\r\n", nil, nil, false}, good, "connect greeting total",
			"greeting failed: * BYE full"},
		{"no PLAIN", "off", scripted{greeting, with("AUTHENTICATE PLAIN", "TAG NO no\r\n"), nil, false}, good,
			"connect greeting login total", "login failed: p1 NO no"},
		{"gone at NOOP", "off", scripted{greeting, with("NOOP", ""), nil, false}, good,
			"connect greeting login NOOP total", "NOOP failed: the proxy closed the connection"},
		{"no IDLE", "off", scripted{greeting, with("IDLE", "TAG NO not now\r\n"), nil, false}, good,
			"connect greeting login NOOP IDLE total", "IDLE failed: NO not now"},
		{"silent", "off", scripted{"", nil, nil, false}, good, "connect greeting total",
			"greeting failed: no answer within --timeout"},
		{"endless", "off", scripted{strings.Repeat("x", maxProbeBytes+1), nil, nil, false}, good,
			"connect greeting total", "greeting failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := "10s"
			if tt.name == "silent" {
				timeout = "50ms"
			}
			stay := "0s"
			if tt.name == "no IDLE" {
				stay = "10s"
			}
			code, stdout, stderr := runIn(t, folder, tt.password, "probe", "alice", "--config", "x.toml",
				"--listener", tt.listener, "--address", tt.server.serve(t), "--timeout", timeout, "--stay", stay)
			if (code == exitOK) != (tt.failure == "") || !strings.Contains(stderr, tt.failure) {
				t.Errorf("code %d, %q, want %q", code, stderr, tt.failure)
			}
			checkPhases(t, stdout, tt.phases)
		})
	}
}

// checkPhases holds the table to one line of name and time for each phase.
func checkPhases(t *testing.T, table, phases string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^ *(\w+) +\d+\.\d ms`)
	var names []string
	for _, m := range line.FindAllStringSubmatch(table, -1) {
		names = append(names, m[1])
	}
	if got := strings.Join(names, " "); got != phases {
		t.Errorf("phases %q, want %q:\n%s", got, phases, table)
	}
}

func TestDialAddress(t *testing.T) {
	tests := map[string]string{
		":143": "127.0.0.1:143", "0.0.0.0:143": "127.0.0.1:143", "[::]:143": "[::1]:143",
		"192.0.2.1:143": "192.0.2.1:143", "imap.example.org:993": "imap.example.org:993",
		"[2001:db8::1]:993": "[2001:db8::1]:993",
	}
	for listen, want := range tests {
		if got := dialAddress(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
