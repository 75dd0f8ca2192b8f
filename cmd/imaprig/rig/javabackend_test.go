package rig

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

// rig is a running Java backend for one test and its subtests.
type rig struct {
	*JavaBackend
	t *testing.T
}

func newRig(t *testing.T, opts JavaOptions) rig {
	t.Helper()
	opts.Source = rigtest.JavaSource(t)
	j, err := StartJava(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	return rig{j, t}
}

// begin gives a subtest the backend in this mode, with counters at zero, and takes everything back after it.
func (r rig) begin(t *testing.T, mode string) rig {
	t.Helper()
	for _, err := range []error{r.SetMode(t.Context(), mode), r.Reset(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := r.CloseAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return rig{r.JavaBackend, t}
}

func (r rig) stats() JavaStats {
	r.t.Helper()
	stats, err := r.Stats(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return stats
}

// socket returns the backend's end of a client's connection as the kernel shows it. TIME_WAIT is gone.
func (r rig) socket(client netip.AddrPort) (wire.TableEntry, bool) {
	r.t.Helper()
	all, err := wire.ReadTable(filepath.Join("/proc", strconv.Itoa(r.PID()), "net"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range SocketsOn(all, r.Port, ServerSide) {
		if s.Remote == client && s.State != wire.StateTimeWait {
			return s, true
		}
	}
	return wire.TableEntry{}, false
}

// wantGone waits until the kernel has no socket for this client.
func (r rig) wantGone(client netip.AddrPort) {
	r.t.Helper()
	rigtest.Eventually(r.t, func() error {
		if s, found := r.socket(client); found {
			return fmt.Errorf("socket in %v, Recv-Q %d; want it gone", s.State, s.RecvQ)
		}
		return nil
	})
}

// wantCloseWait waits until the backend's socket is in CLOSE_WAIT with this Recv-Q, for this reason, and stays there.
func (r rig) wantCloseWait(client netip.AddrPort, recvQ uint64, why finding) {
	r.t.Helper()
	rigtest.EventuallyStays(r.t, func() error { return r.checkCloseWait(client, recvQ, why) })
}

func (r rig) checkCloseWait(client netip.AddrPort, recvQ uint64, why finding) error {
	r.t.Helper()
	s, found := r.socket(client)
	if !found || s.State != wire.StateCloseWait || s.RecvQ != recvQ || Examine(s) != why {
		return fmt.Errorf("socket %+v (found %v), want CLOSE_WAIT, Recv-Q %d, finding %d", s, found, recvQ, why)
	}
	return nil
}

// wantCounts waits until the backend holds this many descriptors and has counted this since the reset, and does so
// for good.
func (r rig) wantCounts(open int, want JavaCounts) {
	r.t.Helper()
	rigtest.EventuallyStays(r.t, func() error {
		stats := r.stats()
		if stats.Open != open || stats.JavaCounts != want || stats.FDs < open {
			return fmt.Errorf("open %d, want %d, of %d sockets in its /proc;\n got %+v\nwant %+v", stats.Open, open,
				stats.FDs, stats.JavaCounts, want)
		}
		return nil
	})
}

func TestFindJavaSource(t *testing.T) {
	source := filepath.Join(rigtest.Root(t), javaSourcePath)
	if got, err := FindJavaSource(source); err != nil || got != source {
		t.Errorf("given: %q, %v", got, err)
	}
	if _, err := FindJavaSource("no/such/file"); err == nil || !strings.Contains(err.Error(), "no/such/file") ||
		!strings.Contains(err.Error(), "--java-backend") {
		t.Errorf("missing: error %v, want the name and the remedy", err)
	}
	root := rigtest.Root(t)
	t.Chdir(t.TempDir())
	if _, err := FindJavaSource(""); err == nil ||
		!strings.Contains(err.Error(), "/share/imapproxy/JavaBackend.java: give ") {
		t.Errorf("nowhere: error %v, want where the package has it among the places", err)
	}
	t.Chdir(root)
	if got, err := FindJavaSource(""); err != nil || got != javaSourcePath {
		t.Errorf("from the module's root: %q, %v", got, err)
	}
}

func TestStartJavaTellsWhyNot(t *testing.T) {
	source := rigtest.JavaSource(t)
	_, err := StartJava(t.Context(), JavaOptions{Source: source, Mode: "no-such-mode"})
	if err == nil || !strings.Contains(err.Error(), "no mode of that name") {
		t.Errorf("error %v, want what the backend said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartJava(ctx, JavaOptions{Source: source}); err == nil ||
		!strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v, want it to be cancelled", err)
	}
}
