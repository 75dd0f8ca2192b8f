package wire

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestWakeAfterClose wakes a closed poller whose eventfd's number belongs to
// another connection by now: eight bytes would go into it.
func TestWakeAfterClose(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	other := openAt(t, p.wakeFD)
	p.Wake()
	buf := make([]byte, 16)
	if n, err := unix.Read(other, buf); err != unix.EAGAIN {
		t.Errorf("the socket with that number has sent % x, %v", buf[:max(n, 0)], err)
	}
	if err := p.Close(); err == nil {
		t.Error("a second Close closes a descriptor that is not the poller's")
	}
}

// openAt opens a pair of sockets one of which has the number fd, and returns the
// other one.
func openAt(t *testing.T, fd int) (other int) {
	t.Helper()
	for range 100 { // the kernel gives the lowest number that is free
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) })
		for i, got := range pair {
			if got == fd {
				return pair[1-i]
			}
		}
	}
	t.Fatalf("no socket gets the number %d", fd)
	return 0
}
