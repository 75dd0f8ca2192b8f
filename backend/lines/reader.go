// Package lines reads lines and literals of IMAP from a connection, into a buffer
// whose bound the caller sets: the client's commands and the backend's answers.
package lines

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooLong is returned for a line over the bound.
var ErrTooLong = errors.New("the line is too long")

// firstBuffer is the size in bytes of a reader's first buffer, which grows by
// doubling.
const firstBuffer = 1 << 10

// Reader holds what a peer has sent and its owner has not used yet. It has no
// buffer until the first read.
type Reader struct {
	Src io.Reader

	buf  []byte
	r, w int
}

// Buffered returns the number of bytes read ahead.
func (b *Reader) Buffered() int { return b.w - b.r }

// Peek returns the bytes read ahead; they are valid until the next call.
func (b *Reader) Peek() []byte { return b.buf[b.r:b.w] }

// Room returns the size of the buffer in bytes.
func (b *Reader) Room() int { return len(b.buf) }

// Rest returns the bytes read ahead, and the buffer with them: it is the caller's.
func (b *Reader) Rest() []byte {
	p := b.Peek()
	b.buf, b.r, b.w = nil, 0, 0
	return p
}

// Copy takes bytes read ahead into p, and frees the buffer with the last.
func (b *Reader) Copy(p []byte) int {
	n := copy(p, b.Peek())
	b.r += n
	b.Release()
	return n
}

// Release frees the buffer if nothing is left in it.
func (b *Reader) Release() {
	if b.r == b.w {
		b.buf, b.r, b.w = nil, 0, 0
	}
}

// Fill reads once, into a buffer that grows to bound bytes and not further. It
// returns ErrTooLong when that is full.
func (b *Reader) Fill(bound int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.buf) {
		b.makeRoom(bound)
	}
	if b.w == len(b.buf) {
		return ErrTooLong
	}
	n, err := b.Src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (b *Reader) makeRoom(bound int) {
	if b.r > 0 {
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
		return
	}
	size := min(max(firstBuffer, 2*len(b.buf)), bound)
	if size > len(b.buf) {
		bigger := make([]byte, size)
		copy(bigger, b.buf)
		b.buf = bigger
	}
}

// Line returns the next line without its end (CRLF or LF), of at most bound
// bytes with the CR. It is valid until the next call. A longer one stays unread,
// and the error is ErrTooLong.
func (b *Reader) Line(bound int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := b.r + seen + i
			line := b.buf[b.r:end]
			if len(line) > bound {
				return nil, ErrTooLong
			}
			b.r = end + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		seen = b.Buffered()
		if seen > bound {
			return nil, ErrTooLong
		}
		if err := b.Fill(max(bound+2, len(b.buf))); err != nil {
			return nil, err
		}
	}
}

// Literal returns a copy of the next n bytes.
func (b *Reader) Literal(n int) ([]byte, error) {
	out := make([]byte, 0, n)
	for len(out) < n {
		p, err := b.some(n - len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

// Skip drops the next n bytes.
func (b *Reader) Skip(n int) error {
	for n > 0 {
		p, err := b.some(n)
		if err != nil {
			return err
		}
		n -= len(p)
	}
	return nil
}

// SkipLine drops the next line, of any length up to bound bytes; it returns
// ErrTooLong for a longer one.
func (b *Reader) SkipLine(bound int) error {
	for skipped := 0; skipped <= bound; {
		if b.Buffered() == 0 {
			if err := b.Fill(max(firstBuffer, len(b.buf))); err != nil {
				return err
			}
		}
		p := b.Peek()
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			b.r += i + 1
			return nil
		}
		b.r += len(p)
		skipped += len(p)
	}
	return ErrTooLong
}

// some takes at least one byte and at most n, which must be positive.
func (b *Reader) some(n int) ([]byte, error) {
	if b.Buffered() == 0 {
		if err := b.Fill(max(firstBuffer, len(b.buf))); err != nil {
			return nil, err
		}
	}
	p := b.Peek()
	p = p[:min(n, len(p))]
	b.r += len(p)
	return p, nil
}
