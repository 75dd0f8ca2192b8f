package lines

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestReader reads lines and literals, whatever the chunks.
func TestReader(t *testing.T) {
	const text = "a LOGIN {5}\r\nhello\r\nb\nccc\r\nabcdefgh\r\nrest"
	for name, src := range map[string]io.Reader{
		"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)),
	} {
		b := Reader{Src: src}
		wantLine(t, name, &b, 11+1, "a LOGIN {5}")
		if got, err := b.Literal(5); string(got) != "hello" || err != nil {
			t.Errorf("%s: the literal is %q, %v", name, got, err)
		}
		wantLine(t, name, &b, 1, "")
		wantLine(t, name, &b, 1, "b")
		if err := b.Skip(2); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantLine(t, name, &b, 2, "c")
		if _, err := b.Line(8); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: a line of 9 bytes with its CR, of 8 at most: %v", name, err)
		}
		wantLine(t, name, &b, 9, "abcdefgh")
		if _, err := b.Line(9); err != io.EOF {
			t.Errorf("%s: half a line: %v", name, err)
		}
		if string(b.Peek()) != "rest" || b.Buffered() != 4 {
			t.Errorf("%s: %q is left", name, b.Peek())
		}
	}
}

func wantLine(t *testing.T, name string, b *Reader, bound int, want string) {
	t.Helper()
	if got, err := b.Line(bound); string(got) != want || err != nil {
		t.Errorf("%s: the line is %q, %v; want %q", name, got, err, want)
	}
}

// TestBuffer grows to its bound and is freed.
func TestBuffer(t *testing.T) {
	b := Reader{Src: strings.NewReader(strings.Repeat("x", 5000))}
	for b.Room() < 1500 {
		if err := b.Fill(1500); err != nil {
			t.Fatal(err)
		}
	}
	for b.Buffered() < 1500 {
		if err := b.Fill(1500); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Fill(1500); !errors.Is(err, ErrTooLong) || b.Room() != 1500 {
		t.Errorf("full: %v, with room for %d", err, b.Room())
	}
	p := make([]byte, 1495)
	if n := b.Copy(p); n != 1495 || b.Room() == 0 {
		t.Errorf("%d bytes copied, room for %d", n, b.Room())
	}
	if n := b.Copy(p); n != 5 || b.Room() != 0 {
		t.Errorf("%d bytes copied, and the buffer has %d", n, b.Room())
	}
	if err := b.Fill(1500); err != nil || len(b.Rest()) == 0 || b.Room() != 0 {
		t.Errorf("the rest was not taken: %v", err)
	}
}

// TestNoProgress does not spin on a source that returns nothing.
func TestNoProgress(t *testing.T) {
	b := Reader{Src: silent{}}
	if _, err := b.Line(4); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }
