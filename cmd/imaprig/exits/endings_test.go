package exits

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestLiteralsAtThreshold wants literals that the relay's loop copies, and such that it hands to the kernel even where
// they break off in the middle.
func TestLiteralsAtThreshold(t *testing.T) {
	source := rigtest.ReadFile(t, filepath.Join(rigtest.Root(t), "imapproxy", "pipes.go"))
	found := regexp.MustCompile(`\n\tspliceLeast = (\d+) << 10 `).FindStringSubmatch(source)
	if found == nil {
		t.Fatal("imapproxy/pipes.go has no spliceLeast")
	}
	kib, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	if least := kib << 10; smallLiteral >= least || largeLiteral/2 <= least || javaMessage/2 <= least {
		t.Errorf("literals of %d, %d and %d bytes, the threshold is %d", smallLiteral, largeLiteral, javaMessage, least)
	}
}

// TestMidLoginReadsGreeting wants no login before the greeting of a server that is slow to greet: a client that closes
// with the greeting unread resets, and leaves no socket in CLOSE_WAIT.
func TestMidLoginReadsGreeting(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", rigtest.AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := (&runOptions{user: "rig%d", password: "secret"}).newClient(1)
	if err := c.connect(dialTCP, ln.Addr().String(), netip.Addr{}, false); err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	opened := make(chan error, 1)
	go func() { opened <- endingOf(cell{Ending: "mid-login"}).open(c) }()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.SetReadDeadline(time.Now().Add(1200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(make([]byte, 100)); !rig.IsTimeout(err) {
		t.Errorf("%d bytes came before the greeting, error %v", n, err)
	}
	if _, err := io.WriteString(server, "* OK at last\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil || c.tags != 1 {
		t.Errorf("%d commands sent, error %v; want LOGIN", c.tags, err)
	}
}
