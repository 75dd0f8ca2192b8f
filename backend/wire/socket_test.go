package wire

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAcceptDoesNotBlock has another process, as it were, make the socket block.
func TestAcceptDoesNotBlock(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		var plain net.ListenConfig
		plain.SetMultipathTCP(false) // as the daemon's sockets, and systemd's
		ln, err := plain.Listen(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewListener(ln)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(l.fd, false); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); err != ErrWouldBlock {
			t.Errorf("%s: %v, want %v", network, err, ErrWouldBlock)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_ = ln.Close()
	}
}
