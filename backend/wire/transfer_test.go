package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wirePair is a wire on which no one waits, and its peer.
func wirePair(tb testing.TB) (*Wire, *net.TCPConn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	l, err := NewListener(ln)
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wire{}
	eventually(tb, func() error {
		d, err := l.Accept()
		if err == nil {
			w.Init(d)
		}
		return err
	})
	tb.Cleanup(func() { _ = w.Close(); _ = peer.Close() })
	return w, peer.(*net.TCPConn)
}

// polled waits for a wire by poll(2), as a task does in its loop.
type polled struct{}

func (polled) Await(w *Wire) error {
	_, end := w.Limit()
	for {
		wait := time.Minute
		if !end.IsZero() {
			wait = time.Until(end)
		}
		if wait <= 0 {
			return os.ErrDeadlineExceeded
		}
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if w.full {
			fds[0].Events |= unix.POLLOUT
		}
		if n, err := unix.Poll(fds, int(wait/time.Millisecond)+1); n > 0 && err == nil {
			w.Note(Events(fds[0].Revents))
			return nil
		}
	}
}

func (polled) GiveWay() {}
func (polled) Return()  {}

// eventually polls until check is content, and fails with its last words.
func eventually(tb testing.TB, check func() error) {
	tb.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	tb.Fatal(err)
}

// socketCount counts the process's sockets.
func socketCount(tb testing.TB) int {
	tb.Helper()
	held, err := HeldInodes("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(held)
}

// readSoon reads from a wire on which no one waits, once the peer's bytes have come.
func readSoon(tb testing.TB, from io.Reader, w *Wire, p []byte) (int, error) {
	tb.Helper()
	var n int
	var err error
	eventually(tb, func() error {
		w.Note(Readable)
		n, err = from.Read(p)
		if errors.Is(err, ErrWouldBlock) {
			return err
		}
		return nil
	})
	return n, err
}

// TestWire reads and writes with and without a Waiter, and sees the peer's FIN at the end.
func TestWire(t *testing.T) {
	before := socketCount(t)
	w, peer := wirePair(t)
	buf := make([]byte, 100)
	if n, err := w.Read(buf); n != 0 || !errors.Is(err, ErrWouldBlock) {
		t.Errorf("reading nothing gives %d, %v", n, err)
	}
	if s, err := AskSocket(w); err != nil || s.State != StateEstablished {
		t.Errorf("the kernel says %v, %v", s, err)
	}
	for round := range 3 {
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if n, err := readSoon(t, w, w, buf); string(buf[:n]) != "hello" || err != nil || !w.Drained() {
			t.Errorf("round %d: it reads %q, %v, drained %v", round, buf[:n], err, w.Drained())
		}
		w.WaitBy(polled{})
		if _, err := w.Write([]byte("world")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, buf[:5]); string(buf[:5]) != "world" || err != nil {
			t.Errorf("round %d: the peer reads %q, %v", round, buf[:5], err)
		}
		_ = w.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := w.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline it reads %v", err)
		}
		_ = w.SetReadDeadline(time.Time{})
		if before := w.WaitBy(nil); before != (polled{}) {
			t.Errorf("%v has waited", before)
		}
	}
	_ = peer.CloseWrite()
	w.WaitBy(polled{})
	if n, err := w.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("after the FIN it reads %d, %v", n, err)
	}
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := peer.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("the peer reads %d, %v", n, err)
	}
	_, _ = w.Close(), peer.Close()
	if _, err := w.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed, it reads %v", err)
	}
	if err := w.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed, it closes %v", err)
	}
	eventually(t, func() error {
		if now := socketCount(t); now > before {
			return fmt.Errorf("%d sockets, %d before", now, before)
		}
		return nil
	})
}

// TestWireHungUp has a FIN reported together with bytes: both are read, although no further event comes.
func TestWireHungUp(t *testing.T) {
	w, peer := wirePair(t)
	_, _ = peer.Write([]byte("last words"))
	_ = peer.CloseWrite()
	eventually(t, func() error {
		if s, err := AskSocket(w); err != nil || s.State != StateCloseWait {
			return fmt.Errorf("%v, %v", s.State, err)
		}
		return nil
	})
	w.Note(Readable | HungUp)
	buf := make([]byte, 100)
	if n, err := w.Read(buf); n != 10 || err != nil || w.Drained() {
		t.Errorf("it reads %d, %v, drained %v", n, err, w.Drained())
	}
	if n, err := w.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("then it reads %d, %v", n, err)
	}
}

// TestWireLinger resets a connection of ours.
func TestWireLinger(t *testing.T) {
	w, peer := wirePair(t)
	if err := errors.Join(w.SetLinger(0), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer reads %v, want a reset", err)
	}
}

// TestWireKeepsUnsent writes more than the kernel takes; nothing is lost, and
// beyond its bound the wire refuses.
func TestWireKeepsUnsent(t *testing.T) {
	w, peer := wirePair(t)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	total := 0
	for !w.Unsent() {
		if n, err := w.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
		total += len(chunk)
	}
	n, err := w.Write(chunk)
	if n != len(chunk) || err != nil {
		t.Fatalf("after what is unsent, it writes %d, %v", n, err)
	}
	total += n
	for range 10 {
		_, err = w.Write(chunk)
		if err != nil {
			break
		}
		total += len(chunk)
	}
	if !errors.Is(err, errFlooded) {
		t.Errorf("it keeps more than %d bytes: %v", maxUnsentBytes, err)
	}
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(peer)
		got <- all
	}()
	eventually(t, func() error {
		w.Note(Writable)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if w.Unsent() {
			return errors.New("bytes are still unsent")
		}
		return nil
	})
	_ = w.Close()
	if all := <-got; len(all) != total || !bytes.Equal(all, bytes.Repeat(chunk, total/len(chunk))) {
		t.Errorf("the peer reads %d bytes, want %d, the same", len(all), total)
	}
}

// testCertificate returns a certificate that no client has to trust.
func testCertificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.TLS.Certificates[0]
}

// TestWireTLS runs crypto/tls on a wire without a Waiter: reading can be taken up again,
// wherever a record was cut, and the records of one write go out together.
func TestWireTLS(t *testing.T) {
	w, peer := wirePair(t)
	w.WaitBy(polled{})
	server := tls.Server(w, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	w.WaitBy(nil)
	text := bytes.Repeat([]byte("a line of text\r\n"), 4<<10)
	go func() { _, _ = client.Write(text) }()
	var got []byte
	buf := make([]byte, 1000)
	for len(got) < len(text) {
		n, err := readSoon(t, server, w, buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, text) {
		t.Error("it reads something else")
	}
	w.Cork()
	if _, err := server.Write(text[:50<<10]); err != nil || !w.Unsent() {
		t.Errorf("corked, a write gives %v and is sent at once", err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, 50<<10)
	if _, err := io.ReadFull(client, back); err != nil || !bytes.Equal(back, text[:50<<10]) {
		t.Errorf("the client reads %v", err)
	}
}

// BenchmarkWireTLS reads and writes a line through TLS on a wire without a Waiter.
func BenchmarkWireTLS(b *testing.B) {
	w, peer := wirePair(b)
	w.WaitBy(polled{})
	server := tls.Server(w, &tls.Config{Certificates: []tls.Certificate{testCertificate(b)}})
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		b.Fatal(err)
	}
	w.WaitBy(nil)
	line, buf := []byte("a001 NOOP\r\n"), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(line); err != nil {
			b.Fatal(err)
		}
		w.Note(Readable)
		n, err := server.Read(buf)
		for errors.Is(err, ErrWouldBlock) {
			w.Note(Readable)
			n, err = server.Read(buf)
		}
		w.Cork()
		if _, err := server.Write(buf[:n]); err != nil {
			b.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf[:n]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWriteAfterUnsent: what was kept while no one waited goes out before what is written next.
func TestWriteAfterUnsent(t *testing.T) {
	w, peer := wirePair(t)
	chunk := bytes.Repeat([]byte("a"), unsentSize)
	total := 0
	for !w.Unsent() {
		n, err := w.Write(chunk)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	read := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(peer)
		read <- text
	}()
	w.WaitBy(polled{})
	if n, err := w.Write([]byte("end")); n != 3 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	_ = w.Close()
	if text := <-read; len(text) != total+3 || !bytes.HasSuffix(text, []byte("aend")) {
		t.Errorf("%d bytes came, want %d; the last are %q", len(text), total+3, text[max(0, len(text)-8):])
	}
}
