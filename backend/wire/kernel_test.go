package wire

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProbesOfSilentSocket gives options to a socket that has been silent for longer than the time
// before the first probe, as a machine does that is slow between them: whatever the kernel does at
// once, the next probe comes after the interval of the options.
func TestProbesOfSilentSocket(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of make quick: a socket is silent for a second")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, func() error {
		if i := tcpInfo(t, conn); i.Last_ack_recv < 1200 || i.Last_data_recv < 1200 {
			return fmt.Errorf("silent for %d ms only", i.Last_ack_recv)
		}
		return nil
	})
	before := tcpInfo(t, conn).Segs_out
	o := TCPOptions{KeepAliveIdle: time.Second, KeepAliveInterval: time.Second, KeepAliveCount: 3}
	for _, v := range o.values() {
		err := control(conn.(syscall.Conn), func(fd int) error { return unix.SetsockoptInt(fd, v[0], v[1], v[2]) })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond) // several of the kernel's ticks
	}
	for probes := range uint32(3) { // the system's interval is 75 s
		eventually(t, func() error {
			if tcpInfo(t, conn).Segs_out <= before+probes {
				return fmt.Errorf("%d probes, want another", probes)
			}
			return nil
		})
	}
}

func tcpInfo(t *testing.T, c net.Conn) *unix.TCPInfo {
	t.Helper()
	var info *unix.TCPInfo
	err := control(c.(syscall.Conn), func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

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
