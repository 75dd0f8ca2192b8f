package imapproxy

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend/lines"
)

// endless repeats its lines.
type endless struct {
	lines []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.lines[e.at:])
	e.at = (e.at + n) % len(e.lines)
	return n, nil
}

// BenchmarkCommandReader reads a command's line and takes it apart.
func BenchmarkCommandReader(b *testing.B) {
	in := lines.Reader{Src: &endless{lines: bytes.Repeat([]byte(
		"a001 LOGIN \"joe@example.org\" \"a long password\"\r\n"), 20)}}
	b.ReportAllocs()
	for b.Loop() {
		line, err := in.Line(maxLine)
		if err != nil {
			b.Fatal(err)
		}
		cmd, refused := parseHead(line)
		if refused != nil || cmd.name != "LOGIN" {
			b.Fatal(cmd.name, refused)
		}
		if _, found, _ := parseLiteral(line); found {
			b.Fatal("a literal")
		}
	}
}

// BenchmarkRegistry adds and removes a session among others.
func BenchmarkRegistry(b *testing.B) {
	for _, present := range []int{100, 9000} {
		b.Run(fmt.Sprint(present), func(b *testing.B) {
			var r registry
			r.init()
			for i := range present {
				r.add(&session{id: fmt.Sprint(i)})
			}
			s := &session{id: "one more"}
			b.ReportAllocs()
			for b.Loop() {
				r.add(s)
				r.remove(s)
			}
		})
	}
}

// BenchmarkLoginLine writes the line of a login; the end's is longer.
func BenchmarkLoginLine(b *testing.B) {
	s := &session{id: newSessionID(), server: &Server{log: zerolog.New(io.Discard)}, listener: &Listener{Name: "imaps"},
		mechanism: "PLAIN"}
	s.status.user, s.status.backend = "joe@example.org", "192.0.2.7:993"
	s.client.proxied = &auth.Proxied{Client: netip.MustParseAddrPort("198.51.100.7:50000")}
	s.client.believed = true
	b.ReportAllocs()
	for b.Loop() {
		s.reportLogin()
	}
}
