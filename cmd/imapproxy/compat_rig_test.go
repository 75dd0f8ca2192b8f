package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/backend"
	"imapproxy/imapproxy"
)

// The rig of the dialogues in testdata/compat: an auth server and a backend that
// do as they are told, nginx, and the proxy with nginx's configuration converted.

const nginxMailModule = "/usr/lib/nginx/modules/ngx_mail_module.so"

// safeText collects a log that is written meanwhile.
type safeText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// acting serves connections on loopback until the test's end.
func acting(t *testing.T, serve func(net.Conn)) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				defer func() { _ = c.Close() }()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return ln.Addr().(*net.TCPAddr).Port
}

// authScript answers questions in order, the last answer again and again, and
// keeps what was asked.
type authScript struct {
	answers []string
	backend int

	mu    sync.Mutex
	asked []string // header blocks
}

func (a *authScript) serve(c net.Conn) {
	var head strings.Builder
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
		head.WriteString(line)
	}
	a.mu.Lock()
	answer := a.answers[min(len(a.asked), len(a.answers)-1)]
	a.asked = append(a.asked, head.String())
	a.mu.Unlock()
	switch {
	case answer == "close":
		return
	case answer == "hang":
		_, _ = io.Copy(io.Discard, c)
		return
	}
	status := "HTTP/1.0 200 OK"
	if s, rest, found := strings.Cut(answer, " || "); found {
		status, answer = s, rest
	}
	answer = strings.ReplaceAll(answer, "$backend", fmt.Sprintf("Auth-Server: 127.0.0.1 | Auth-Port: %d", a.backend))
	_, _ = io.WriteString(c, status+"\r\n"+strings.ReplaceAll(answer, " | ", "\r\n")+"\r\n\r\n")
}

func (a *authScript) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

// backendScript is a backend that takes any login.
type backendScript struct {
	greeting string // "" for the usual
	login    string // $TAG is the command's; "" for the usual
	extra    string // offered beside IMAP4rev1
	push     bool   // says something five times a second behind the login

	mu     sync.Mutex
	logins []string
	said   []string // lines behind the login
}

func (b *backendScript) seen() (logins, said []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.logins...), append([]string(nil), b.said...)
}

func (b *backendScript) serve(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	read := func() (string, bool) {
		line, err := in.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err == nil
	}
	greeting := b.greeting
	if greeting == "" {
		greeting = "* OK ready"
	}
	say(greeting)
	loggedIn := false
	for {
		line, good := read()
		if !good {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		verb, arg, _ := strings.Cut(rest, " ")
		if loggedIn {
			b.note(&b.said, rest)
		}
		switch strings.ToUpper(verb) {
		case "CAPABILITY":
			say("* CAPABILITY IMAP4rev1 " + b.extra)
			say(tag + " OK done")
		case "LOGIN":
			loggedIn = b.takeLogin(c, in, say, arg)
			b.answer(c, say, tag)
		case "AUTHENTICATE":
			mechanism, response, found := strings.Cut(arg, " ")
			if !found {
				say("+ ")
				response, _ = read()
			}
			b.note(&b.logins, mechanism+" "+response)
			loggedIn = true
			if strings.HasPrefix(b.login, "+ ") {
				challenge, _, _ := strings.Cut(b.login, " then ")
				say(challenge)
				dummy, _ := read()
				b.note(&b.said, dummy)
			}
			b.answer(c, say, tag)
		case "LOGOUT":
			say("* BYE out")
			say(tag + " OK out")
			return
		case "HANGUP":
			return
		default:
			say(tag + " OK done")
		}
	}
}

func (b *backendScript) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

// takeLogin reads LOGIN with literals.
func (b *backendScript) takeLogin(c net.Conn, in *bufio.Reader, say func(string), arg string) bool {
	literal := func(arg string) (string, string) {
		n, _ := strconv.Atoi(strings.Trim(arg, " {}"))
		say("+ go on")
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			_ = c.Close()
		}
		rest, _ := in.ReadString('\n')
		return string(data), strings.TrimRight(rest, "\r\n")
	}
	user, rest := literal(arg)
	password, _ := literal(rest)
	b.note(&b.logins, user+" "+password)
	return true
}

func (b *backendScript) answer(c net.Conn, say func(string), tag string) {
	login := b.login
	if _, then, found := strings.Cut(login, " then "); found {
		login = then
	}
	if login == "" {
		login = "$TAG OK [CAPABILITY IMAP4rev1 IDLE] Logged in"
	}
	say(strings.ReplaceAll(login, "$TAG", tag))
	for b.push {
		if _, err := io.WriteString(c, "* OK tick\r\n"); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// compatSide is nginx or the proxy, ready to be connected to.
type compatSide struct {
	name    string
	address string
	folder  string
	auth    *authScript
	backend *backendScript
	log     func() string
}

// startNginx starts nginx with a configuration of one IMAP server.
func startNginx(t *testing.T, folder, config string, port int) *compatSide {
	t.Helper()
	cmd := exec.Command("nginx", "-p", folder, "-e", filepath.Join(folder, "error.log"), "-c", filepath.Join(folder, "nginx.conf"))
	var output safeText
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			t.Error("nginx does not end")
			_ = cmd.Process.Kill()
			<-over
		}
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return &compatSide{name: "nginx", address: address, log: func() string {
				text, _ := os.ReadFile(filepath.Join(folder, "error.log"))
				return string(text)
			}}
		}
		select {
		case err := <-over:
			over <- err
			t.Fatalf("nginx: %v\n%s\n%s", err, output.String(), config)
		case <-time.After(25 * time.Millisecond):
		}
	}
	t.Fatalf("nginx does not listen\n%s", output.String())
	return nil
}

// startConverted converts nginx's configuration and starts the proxy with it.
func startConverted(t *testing.T, folder string, backendPort int) *compatSide {
	t.Helper()
	return startConvertedAt(t, folder, backendPort, 0)
}

// startConvertedAt serves the listener of that number.
func startConvertedAt(t *testing.T, folder string, backendPort, listener int) *compatSide {
	t.Helper()
	var stdout, stderr bytes.Buffer
	out := filepath.Join(folder, "imapproxy.toml")
	code := run([]string{"convert", "nginx", filepath.Join(folder, "nginx.conf"), "-o", out, "--force",
		"--backend", fmt.Sprintf("127.0.0.1/32:%d", backendPort)}, strings.NewReader(""), &stdout, &stderr)
	if code != exitOK {
		t.Fatalf("convert: %d\n%s%s", code, stdout.String(), stderr.String())
	}
	g, r := loadGeneration(out)
	if r.failed() {
		t.Fatalf("%v\n%s", r.of(isError), mustRead(t, out))
	}
	var log safeText
	server := imapproxy.New(g.Settings, &backend.Dialer{Clock: backend.SystemClock{}}, zerolog.New(zerolog.ConsoleWriter{Out: &log, NoColor: true}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- server.Serve(ln, g.Config.Listeners[listener].Name) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Drain(ctx) // sessions of dialogues that leave one open are cut
		if err := <-over; !errors.Is(err, imapproxy.ErrClosed) {
			t.Error(err)
		}
		g.close()
	})
	return &compatSide{name: "imapproxy", address: ln.Addr().String(), log: log.String}
}
