package imapproxy

import (
	"imapproxy/backend/lines"
	"imapproxy/backend/loop"

	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// byteStream is a client in memory: it sends bytes in pieces of the given sizes,
// in turn, and takes what it is told.
type byteStream struct {
	rest   []byte
	pieces []byte
	turn   int
	told   bytes.Buffer
}

// Read implements io.Reader.
func (s *byteStream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(s.pieces) > 0 {
		n = min(n, int(s.pieces[s.turn%len(s.pieces)])+1)
		s.turn++
	}
	n = copy(p[:n], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// The rest of net.Conn, of which a session that only reads commands uses
// Write only.
func (s *byteStream) Write(p []byte) (int, error)      { return s.told.Write(p) }
func (s *byteStream) Close() error                     { return nil }
func (s *byteStream) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *byteStream) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *byteStream) SetDeadline(time.Time) error      { return nil }
func (s *byteStream) SetReadDeadline(time.Time) error  { return nil }
func (s *byteStream) SetWriteDeadline(time.Time) error { return nil }

// maxCommands bounds what is compared of one input.
const maxCommands = 200

// readAll reads commands until the byteStream ends or can't be trusted, and puts
// each in words.
func readAll(input, pieces []byte, private bool) (commands []string, largest int, told string) {
	src := &byteStream{rest: input, pieces: pieces}
	s := &session{listener: &Listener{Insecure: !private}, settings: &Settings{}, login: &loginState{},
		task: &loop.Task{}}
	s.client.conn = src
	s.client.in = &lines.Reader{Src: src}
	for len(commands) < maxCommands {
		cmd, err := s.readCommand()
		largest = max(largest, s.client.in.Room(), cmd.size())
		var bad *badCommand
		switch {
		case errors.As(err, &bad):
			commands = append(commands, fmt.Sprintf("BAD %s %v", bad.tag, bad.fatal))
			if bad.fatal {
				return commands, largest, src.told.String()
			}
		case err != nil:
			return append(commands, "end "+string(s.interrupter.why())), largest, src.told.String()
		default:
			commands = append(commands, describe(cmd.tag, cmd.name, cmd.pieces, cmd.literals))
		}
	}
	return commands, largest, src.told.String()
}

func describe(tag, name string, pieces, literals [][]byte) string {
	return fmt.Sprintf("%s %q %q %q", tag, name, pieces, literals)
}

// FuzzCommand reads commands of any bytes. However they are cut into pieces
// the result is the same, it is what the slow reference splits, the bounds
// hold, and nothing is told to the client but continuations.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"a NOOP\r\nb LOGOUT\n",
		"a LOGIN joe secret\r\n",
		"a LOGIN {3}\r\njoe {6+}\r\nsecret\r\nb NOOP\r\n",
		"a LOGIN {3-}\r\njoe {0}\r\n\r\n",
		"a ID (\"name\" {2+}\r\nxy)\r\n",
		"a ID NIL\r\nb STARTTLS\r\nc CAPABILITY\r\n",
		"a FOOBAR {10+}\r\n0123456789 {1}\r\nb NOOP\r\n",
		"a AUTHENTICATE PLAIN {4+}\r\nAA==\r\n",
		"* BAD\r\n+ {3+}\r\nabc\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"a LOGIN {99999999999999999999}\r\nb LOGIN {-1+}\r\n",
		"a LOGIN {01+}\r\nx{1+}\r\ny\r\n",
		"a LOGIN \"{3}\r\nb LOGIN ({1+}\r\nx)\r\n",
		"a ID (" + strings.Repeat("\"k\" \"v\" ", 1200) + ")\r\nb NOOP\r\n",
		"a NOOP " + strings.Repeat("x", 8200) + "\r\n",
		"a LOGIN {8000+}\r\n" + strings.Repeat("x", 8000) + " {8000+}\r\n" +
			strings.Repeat("y", 8000) + " {8000+}\r\n" + strings.Repeat("z", 8000) + "\r\n",
		"a ID (x " + strings.Repeat("v", 41000) + ")\r\n",
		"a LOGIN" + strings.Repeat(" {0+}\r\n", 70) + "\r\n",
		strings.Repeat("(", 9000),
		"a\x00b NOOP\r\n\x1b \r\n\r\r\n",
	} {
		f.Add([]byte(s), []byte{0}, false)
		f.Add([]byte(s), []byte{2, 7, 40, 255}, true)
	}
	f.Fuzz(func(t *testing.T, input, pieces []byte, private bool) {
		if len(input) > 128<<10 {
			return
		}
		whole, largest, told := readAll(input, nil, private)
		cut, largestCut, toldCut := readAll(input, pieces, private)
		want := reference(input, private)
		for name, got := range map[string][]string{"cut": cut, "reference": want} {
			if strings.Join(got, "\n") != strings.Join(whole, "\n") {
				t.Errorf("%s:\n%s\nwhole:\n%s", name, strings.Join(got, "\n"), strings.Join(whole, "\n"))
			}
		}
		if largest = max(largest, largestCut); largest > maxIDCommand+2 {
			t.Errorf("%d bytes are held", largest)
		}
		if told != toldCut || strings.ReplaceAll(told, "+ Ready for the literal\r\n", "") != "" {
			t.Errorf("the client is told %q, or in pieces %q", told, toldCut)
		}
	})
}
