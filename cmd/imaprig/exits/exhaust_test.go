package exits

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

func TestExhaust(t *testing.T) {
	t.Parallel()
	program := ownProgram(t)
	backend, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	relay := plainRelay(t, backend.String())
	tests := []struct {
		name     string
		args     []string
		patience time.Duration
		code     int
		want     string
	}{
		{"own", []string{"--self", program}, answerLimit, rig.ExitOK, "12 of 12 sessions served"},
		{"relay", []string{"--proxy", relay, "--backend-port", fmt.Sprint(backend.Port())}, 4 * time.Second,
			rig.ExitFailed, "5 of 12 sessions served"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := parseExhaust(append(tt.args, "--sessions", "12", "--fd-limit", "5", "--java-backend",
				rigtest.JavaSource(t)), t.Output())
			if err != nil {
				t.Fatal(err)
			}
			o.patience = tt.patience
			var stdout, stderr strings.Builder
			if code := o.run(t.Context(), &stdout, &stderr); code != tt.code ||
				!strings.Contains(stdout.String(), tt.want) {
				t.Errorf("code %d, want %d and %q\n%s%s", code, tt.code, tt.want, stdout.String(), stderr.String())
			}
		})
	}
}

// plainRelay is a proxy that closes both sides when one has closed, as most do.
func plainRelay(t *testing.T, backend string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relayOne(conn, backend) })
		}
	})
	return ln.Addr().String()
}

func relayOne(client net.Conn, backend string) {
	defer client.Close()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	over := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[1], pair[0])
			_, _ = client.Close(), server.Close()
			over <- struct{}{}
		}()
	}
	<-over
	<-over
}
