package imapproxy

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// drop makes a socket deaf: the kernel throws away what comes for it before
// TCP sees it. Nothing is acknowledged and nothing answered, as if the peer
// had vanished, and it needs neither a namespace nor a right.
func drop(t testing.TB, c syscall.Conn) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err == nil {
		filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
		var failed error
		err = rc.Control(func(fd uintptr) {
			failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: 1, Filter: &filter[0]})
		})
		if err == nil {
			err = failed
		}
	}
	if err != nil {
		t.Fatalf("the peer can't be made to vanish: %v", err)
	}
}

// vanish makes a peer deaf that has nothing in flight: its own kernel would
// repeat what is not acknowledged, and be heard.
func vanish(t testing.TB, c syscall.Conn) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "all that the peer has sent to be acknowledged", func() bool {
		left := -1
		_ = rc.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return left == 0
	})
	drop(t, c)
}

// hearAgain ends the silence of the client's kernel.
func (s *stage) hearAgain() {
	s.t.Helper()
	rc, err := s.c.raw.SyscallConn()
	if err == nil {
		err = rc.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER,
				0)
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// unacknowledged counts the client's bytes that its peer's kernel has not got.
func unacknowledged(t *testing.T, c *testClient) (left int) {
	t.Helper()
	rc, err := c.raw.SyscallConn()
	if err == nil {
		err = rc.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return left
}
