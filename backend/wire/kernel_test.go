package wire

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGoneAfterApplies asks the kernel for TCP_USER_TIMEOUT, of sockets that
// have the options set and of one that has them from its listener.
func TestGoneAfterApplies(t *testing.T) {
	o := TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3}
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := o.Apply(ln.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	if err := o.Apply(dialled.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for name, conn := range map[string]net.Conn{"dialled": dialled, "accepted": accepted} {
		got := 0
		err := control(conn.(*net.TCPConn), func(fd int) (err error) {
			got, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			return err
		})
		if err != nil || got != 25000 {
			t.Errorf("%s: %d ms, %v; want 25 s", name, got, err)
		}
	}
}
