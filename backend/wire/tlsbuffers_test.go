package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
)

// pieces is a connection of which what has come is read in pieces, with ErrWouldBlock after each, once there are any.
type pieces struct {
	net.Conn
	left [][]byte
	cut  bool // the pieces are all there is
}

func (p *pieces) Read(b []byte) (int, error) {
	switch {
	case !p.cut:
		return p.Conn.Read(b)
	case len(p.left) == 0:
		return 0, io.EOF
	case len(p.left[0]) == 0:
		p.left = p.left[1:]
		return 0, ErrWouldBlock
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	return n, nil
}

// TestReleaseTLSBuffers gives the memory back whenever nothing more is there to read: within records, and between them.
func TestReleaseTLSBuffers(t *testing.T) {
	if !tlsBuffers.known {
		t.Fatal("this version of Go has other fields in tls.Conn: look at ReleaseTLSBuffers")
	}
	message := bytes.Repeat([]byte("0123456789abcdef"), 3000) // records of 16 KiB
	config := &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}}
	for _, size := range []int{1, 700, 16 << 10, 1 << 20} {
		near, far := net.Pipe()
		link := &pieces{Conn: far}
		receiver := tls.Client(link, &tls.Config{InsecureSkipVerify: true})
		sent := make(chan error, 1)
		go func() {
			sender := tls.Server(near, config)
			_, err := sender.Write(message)
			sent <- errors.Join(err, sender.Close())
		}()
		if err := receiver.Handshake(); err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(far)
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		link.cut = true
		for len(raw) > 0 {
			n := min(size, len(raw))
			link.left, raw = append(link.left, raw[:n]), raw[n:]
		}
		got, kept := readReleasing(t, receiver)
		if !bytes.Equal(got, message) {
			t.Errorf("in pieces of %d bytes other bytes come than were sent", size)
		}
		if kept != 0 {
			t.Errorf("in pieces of %d bytes: %d bytes are kept", size, kept)
		}
		_ = receiver.Close()
	}
}

// readReleasing reads to the end, a little at a time, and returns how much memory is kept in the end.
func readReleasing(t *testing.T, c *tls.Conn) (got []byte, kept int) {
	t.Helper()
	part := make([]byte, 5000)
	for {
		n, err := c.Read(part)
		got = append(got, part[:n]...)
		released := ReleaseTLSBuffers(c)
		kept = 0
		for _, name := range []string{"rawInput", "hand"} {
			kept += reflect.ValueOf(c).Elem().FieldByName(name).FieldByName("buf").Cap()
		}
		if released != (kept == 0) {
			t.Errorf("released is %v, and %d bytes are kept", released, kept)
		}
		if err != nil && err != ErrWouldBlock {
			if err != io.EOF {
				t.Errorf("the end reads as %v", err)
			}
			return got, kept
		}
	}
}
