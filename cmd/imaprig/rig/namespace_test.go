package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"

	"golang.org/x/sys/unix"
)

func testNamespace(t *testing.T) *Namespace {
	t.Helper()
	rigtest.NeedRoot(t)
	n, err := NewNamespace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNamespaceVanish has clients that vanish step by step: deaf, then mute too. Then no FIN of theirs arrives.
func TestNamespaceVanish(t *testing.T) {
	n := testNamespace(t)
	defer func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	}()
	ln, err := net.Listen("tcp", netip.AddrPortFrom(n.Outside(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := func() (inside, outside net.Conn, host netip.Addr) {
		host, err := n.NewClient(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: host.AsSlice()}, Timeout: clientLimit, KeepAlive: -1}
		if inside, err = n.Dial(dialer, ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if outside, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = outside.(*net.TCPConn).SetLinger(0); _ = outside.Close(); _ = inside.Close() })
		return inside, outside, host
	}
	inside, outside, host := pair()
	stays, staysOutside, _ := pair()
	pass(t, inside, outside, "there")
	pass(t, outside, inside, "and back")
	if err := n.Deafen(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	pass(t, inside, outside, "heard still")
	if _, err := outside.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	silent(t, inside)
	if err := n.Mute(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if err := inside.Close(); err != nil {
		t.Fatal(err)
	}
	silent(t, outside)
	pass(t, stays, staysOutside, "others stay")
	pass(t, staysOutside, stays, "both ways")
}

func pass(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(clientLimit)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(to, buf); err != nil || string(buf) != text {
		t.Fatalf("read %q: %v; want %q", buf, err, text)
	}
}

// silent wants neither bytes nor an end of the connection for a while.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 8)); !IsTimeout(err) {
		t.Errorf("read %d bytes, %v; want nothing", n, err)
	}
}

// TestNamespaceRemove leaves no device behind, in whatever state the namespace was.
func TestNamespaceRemove(t *testing.T) {
	n := testNamespace(t)
	if _, err := net.InterfaceByName(n.veth); err != nil {
		t.Errorf("no device %s: %v", n.veth, err)
	}
	ln, err := net.Listen("tcp", netip.AddrPortFrom(n.Outside(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := n.NewClient(t.Context()); err != nil {
		t.Error(err)
	}
	conn, err := n.Dial(&net.Dialer{Timeout: clientLimit}, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // a socket that is open keeps the namespace, but must not keep the device
	if err := n.Remove(); err != nil {
		t.Fatal(err)
	}
	rigtest.NoDevice(t, n.veth)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as Ctrl-C does
	if _, err := NewNamespace(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want it to be cancelled", err)
	}
	rigtest.NoDevice(t, n.veth)
}

// asFirstThread makes the test's program, in its environment, run the child of TestNamespaceLeavesFirstThread.
const asFirstThread = "IMAPRIG_TEST_FIRST_THREAD"

// otherThread is the child's exit code when its main goroutine is not in the first thread: nothing was tried.
const otherThread = 3

// TestNamespaceLeavesFirstThread makes a namespace from the process's first thread, which must stay where it is. It
// does so in a process of its own: in this one the first thread may be held by something else for as long as it lives,
// such as the runtime's wait for signals.
func TestNamespaceLeavesFirstThread(t *testing.T) {
	rigtest.NeedRoot(t)
	for range 50 { // main begins in the first thread; only a preemption before its first line moves it
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), asFirstThread+"=1")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == otherThread {
			continue
		}
		if err != nil {
			t.Errorf("the child ends with %v: %s", err, out)
		}
		return
	}
	t.Fatal("no child has begun in its first thread")
}

// leaveFirstThread is the child's whole life; it returns its exit code.
func leaveFirstThread() int {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		return otherThread
	}
	if err := namespaceFromHere(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// namespaceFromHere starts a namespace in the calling goroutine's thread, and wants the process to be where it was.
func namespaceFromHere() error {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	n := &Namespace{calls: make(chan func()), done: make(chan struct{})}
	started, seen := make(chan error, 1), make(chan error, 1)
	go func() { seen <- n.elsewhere(before, started) }()
	n.live(started) // until the namespace is gone
	return <-seen
}

// elsewhere compares the namespaces of the process and of n with the one before, and ends n.
func (n *Namespace) elsewhere(before string, started <-chan error) error {
	defer close(n.calls)
	if err := <-started; err != nil {
		return err
	}
	if now, err := os.Readlink("/proc/self/ns/net"); now != before || err != nil {
		return fmt.Errorf("the process is in %s now (%v); it was in %s", now, err, before)
	}
	inside := ""
	err := n.inside(func() (err error) { inside, err = os.Readlink("/proc/thread-self/ns/net"); return err })
	if err != nil || inside == before {
		return fmt.Errorf("inside is %s (%v); want another namespace", inside, err)
	}
	return nil
}

func TestPickNetwork(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		used []netip.Prefix
		seed int
		want string
	}{
		{nil, 0, "198.18.0.0/24"},
		{nil, 300, "198.19.44.0/24"},
		{[]netip.Prefix{prefix("198.18.7.1/24"), prefix("10.0.0.0/8")}, 7, "198.18.8.0/24"},
		{[]netip.Prefix{prefix("198.19.255.0/25")}, 511, "198.18.0.0/24"},
		{[]netip.Prefix{prefix("198.18.0.0/15")}, 1, ""},
	}
	for _, tt := range tests {
		got, err := pickNetwork(tt.used, tt.seed)
		if tt.want == "" {
			rigtest.CheckError(t, err, "198.18.0.0/15 is in use")
		} else if got.String() != tt.want || err != nil {
			t.Errorf("%v from %d: %v, %v; want %s", tt.used, tt.seed, got, err, tt.want)
		}
	}
}
