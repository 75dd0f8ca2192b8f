package exits

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// firstLine calls f when something is written.
type firstLine struct{ f func() }

func (w firstLine) Write(p []byte) (int, error) { w.f(); return len(p), nil }

// silentServer takes connections, calls f for each, and says nothing.
func silentServer(t *testing.T, f func()) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); accepting.Wait() })
	accepting.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			f()
		}
	})
	return ln.Addr().String()
}

// TestExitsInterrupted is Ctrl-C after the first cell, while sessions wait for an answer, and while a server owes its
// greeting: the run ends at once and nothing is left running.
func TestExitsInterrupted(t *testing.T) {
	program := ownProgram(t)
	backend, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	java := []string{"--java-backend", rigtest.JavaSource(t), "--modes", "good", "--backend-port",
		fmt.Sprint(backend.Port()), "--sessions", "5"}
	server := []string{"--peer", proxyDirect, "--user", "u", "--password", "secret"}
	for _, tt := range []struct {
		when   string
		silent string // the flag of what takes connections and says nothing; without it, the first output interrupts
		args   []string
	}{
		{"after the first cell", "", append(java, "--self", program)},
		{"while sessions wait", "--proxy", java},
		{"before the greeting", "--server", server},
	} {
		t.Run(tt.when, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dirs := len(tempDirs(t))
			var at time.Time
			var once sync.Once
			interrupt := func() { once.Do(func() { at = time.Now(); cancel() }) }
			var stderr io.Writer = firstLine{interrupt}
			if tt.silent != "" {
				tt.args, stderr = append(tt.args, tt.silent, silentServer(t, func() {
					time.Sleep(100 * time.Millisecond) // so that clients wait for an answer by then
					interrupt()
				})), io.Discard
			}
			var stdout strings.Builder
			if code := Run(ctx, tt.args, &stdout, stderr); code != rig.ExitFailed || stdout.String() != "" {
				t.Errorf("code %d, output %q; want 1 and none", code, stdout.String())
			}
			if took := time.Since(at); took > answerLimit-time.Second {
				t.Errorf("it went on for %v", took)
			}
			if n := len(tempDirs(t)); n > dirs {
				t.Errorf("%d folders of peers are left", n-dirs)
			}
			noNamespace(t)
		})
	}
}

// noNamespace waits until no thread of ours is in another network namespace, where the rig's lives.
func noNamespace(t *testing.T) {
	t.Helper()
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Eventually(t, func() error {
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		for _, path := range threads {
			// a thread may end meanwhile
			if its, gone := os.Readlink(path); gone == nil && its != ours {
				err = errors.Join(err, fmt.Errorf("%s is %s, ours is %s", path, its, ours))
			}
		}
		return err
	})
}

func tempDirs(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), "imaprig-"+rig.OwnProxy+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
