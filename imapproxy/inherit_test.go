package imapproxy

import (
	"net"
	"testing"
	"time"

	"imapproxy/backend/wire"
)

// TestInherit accepts clients of listeners whose sockets get their options from
// the listening one, and of those that Go gives its own.
func TestInherit(t *testing.T) {
	options := wire.TCPOptions{KeepAliveIdle: 77 * time.Second, KeepAliveInterval: 7 * time.Second, KeepAliveCount: 3,
		UserTimeout: 44 * time.Second}
	other := options
	other.KeepAliveIdle = 99 * time.Second
	for _, test := range []struct {
		name   string
		keep   time.Duration // of net.ListenConfig
		passes bool
	}{{"inherited", -1, true}, {"set by Go", 0, false}} {
		t.Run(test.name, func(t *testing.T) {
			lc := net.ListenConfig{KeepAlive: test.keep}
			lc.SetMultipathTCP(false)
			ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			from := optionListener{Listener: ln}
			for i, o := range []wire.TCPOptions{options, options, options, other, other} {
				client, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				conn, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				from.apply(o, conn.(*net.TCPConn))
				if !o.InForce(conn.(*net.TCPConn)) {
					t.Errorf("client %d does not have the options", i)
				}
				if (i == 2 || i == 4) && from.inherits != test.passes {
					t.Errorf("client %d: passes is %v, want %v", i, from.inherits, test.passes)
				}
			}
		})
	}
}
