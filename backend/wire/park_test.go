package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wirePair is a wire that is parked, and its peer.
func wirePair(tb testing.TB) (*Wire, *net.TCPConn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wire{}
	w.Init(conn.(*net.TCPConn))
	if err := w.Park(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close(); _ = peer.Close() })
	return w, peer.(*net.TCPConn)
}

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

// readParked reads from a parked wire, waiting for the peer's bytes.
func readParked(tb testing.TB, w io.Reader, wet *Wire, p []byte) (int, error) {
	tb.Helper()
	var n int
	var err error
	eventually(tb, func() error {
		wet.MarkReadable()
		n, err = w.Read(p)
		if errors.Is(err, ErrWouldBlock) {
			return err
		}
		return nil
	})
	return n, err
}

// TestWireParks takes a wire out of Go's poller and back, with bytes both ways in
// each state, and sees the peer's FIN at the end.
func TestWireParks(t *testing.T) {
	before := socketCount(t)
	w, peer := wirePair(t)
	buf := make([]byte, 100)
	if n, err := w.Read(buf); n != 0 || !errors.Is(err, ErrWouldBlock) {
		t.Errorf("reading nothing gives %d, %v", n, err)
	}
	if s, err := AskSocket(w); err != nil || s.State != StateEstablished {
		t.Errorf("the kernel says %v, %v of a parked socket", s, err)
	}
	for round := range 3 {
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if n, err := readParked(t, w, w, buf); string(buf[:n]) != "hello" || err != nil {
			t.Errorf("round %d: parked, it reads %q, %v", round, buf[:n], err)
		}
		w.Unpark()
		if _, err := w.Write([]byte("world")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, buf[:5]); string(buf[:5]) != "world" || err != nil {
			t.Errorf("round %d: the peer reads %q, %v", round, buf[:5], err)
		}
		_ = w.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := w.Read(buf); err == nil {
			t.Error("a deadline in the past wakes nobody")
		}
		_ = w.SetReadDeadline(time.Time{})
		if err := w.Park(); err != nil {
			t.Fatal(err)
		}
	}
	_ = peer.CloseWrite()
	if n, err := readParked(t, w, w, buf); n != 0 || err != io.EOF {
		t.Errorf("after the FIN it reads %d, %v", n, err)
	}
	w.Unpark()
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := peer.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("the peer reads %d, %v", n, err)
	}
	_, _ = w.Close(), peer.Close()
	eventually(t, func() error {
		if now := socketCount(t); now > before {
			return fmt.Errorf("%d sockets, %d before", now, before)
		}
		return nil
	})
}

// TestWireLinger resets a connection that has been parked.
func TestWireLinger(t *testing.T) {
	w, peer := wirePair(t)
	w.Unpark()
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
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if w.Unsent() {
			return errors.New("bytes are still unsent")
		}
		return nil
	})
	w.Unpark()
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

// TestWireTLS runs crypto/tls on a parked wire: reading can be taken up again,
// wherever a record was cut, and the records of one write go out together.
func TestWireTLS(t *testing.T) {
	w, peer := wirePair(t)
	w.Unpark()
	server := tls.Server(w, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	if err := w.Park(); err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("a line of text\r\n"), 4<<10)
	go func() { _, _ = client.Write(text) }()
	var got []byte
	buf := make([]byte, 1000)
	for len(got) < len(text) {
		n, err := readParked(t, server, w, buf)
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

// BenchmarkWireTLS reads and writes a line through TLS on a parked wire.
func BenchmarkWireTLS(b *testing.B) {
	w, peer := wirePair(b)
	w.Unpark()
	server := tls.Server(w, &tls.Config{Certificates: []tls.Certificate{testCertificate(b)}})
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		b.Fatal(err)
	}
	if err := w.Park(); err != nil {
		b.Fatal(err)
	}
	line, buf := []byte("a001 NOOP\r\n"), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(line); err != nil {
			b.Fatal(err)
		}
		w.MarkReadable()
		n, err := server.Read(buf)
		for errors.Is(err, ErrWouldBlock) {
			w.MarkReadable()
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
