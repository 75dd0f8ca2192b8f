package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"imapproxy/backend/timing"
	"imapproxy/cmd/imapproxy/config"
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
	return actingAt(t, "127.0.0.1:0", serve)
}

func actingAt(t *testing.T, address string, serve func(net.Conn)) int {
	t.Helper()
	ln, err := net.Listen("tcp", address)
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

// compatSide is nginx or the proxy, ready to be connected to.
type compatSide struct {
	name    string
	address string
	folder  string
	auth    *authScript
	backend *backendScript
	log     func() string
	signal  func(syscall.Signal) error
}

// startNginx starts nginx with a configuration of one IMAP server.
func startNginx(t *testing.T, folder, config string, port int) *compatSide {
	t.Helper()
	cmd := exec.Command("nginx", "-p", folder, "-e", filepath.Join(folder, "error.log"),
		"-c", filepath.Join(folder, "nginx.conf"))
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
		case <-time.After(patience):
			t.Error("nginx does not end")
			_ = cmd.Process.Kill()
			<-over
		}
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return &compatSide{name: "nginx", address: address,
				signal: func(s syscall.Signal) error { return cmd.Process.Signal(s) }, log: func() string {
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
	return startFile(t, convertHere(t, folder, backendPort), listener)
}

// startFile serves the listener of that number of a configuration file.
func startFile(t *testing.T, out string, listener int) *compatSide {
	t.Helper()
	g, r := loadGeneration(out)
	if r.Failed() {
		t.Fatalf("%v\n%s", r.Of(config.Error), mustRead(t, out))
	}
	var log safeText
	server := imapproxy.New(g.Settings, &backend.Dialer{Clock: timing.System{}},
		zerolog.New(zerolog.ConsoleWriter{Out: &log, NoColor: true}))
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

// convertHere converts nginx's configuration in the folder and gives the name
// of the result. Without a port no backend is listed.
func convertHere(t *testing.T, folder string, backendPort int) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	out := filepath.Join(folder, "imapproxy.toml")
	arguments := []string{"convert", "nginx", filepath.Join(folder, "nginx.conf"), "-o", out, "--force"}
	if backendPort != 0 {
		arguments = append(arguments, "--backend", fmt.Sprintf("127.0.0.1/32:%d", backendPort),
			"--backend", fmt.Sprintf("[::1]:%d", backendPort))
	}
	if code := run(arguments, strings.NewReader(""), &stdout, &stderr); code != exitOK {
		t.Fatalf("convert: %d\n%s%s", code, stdout.String(), stderr.String())
	}
	return out
}

// launchConverted starts the proxy with nginx's configuration as a process.
func launchConverted(t *testing.T, folder string, port, backendPort int) *compatSide {
	t.Helper()
	r := &rig{Config: convertHere(t, folder, backendPort), PlainPort: port}
	p, _ := r.launch(t, r.program(t), 1)
	return &compatSide{name: "imapproxy", address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		log: func() string {
			text, _ := os.ReadFile(filepath.Join(folder, "error.log"))
			return p.text(t) + string(text)
		}, signal: func(s syscall.Signal) error { return p.cmd.Process.Signal(s) }}
}
