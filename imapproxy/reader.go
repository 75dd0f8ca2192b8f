package imapproxy

import (
	"bytes"
	"errors"
	"io"
)

// Bounds on what a client may send before login.
const (
	maxLine      = 8 << 10  // bytes of a command line
	maxSASLLine  = 16 << 10 // bytes of a line in a SASL exchange
	maxIDCommand = 40 << 10 // bytes of an ID command (RFC 2971 allows about 32 KiB)
	maxPipelined = 64 << 10 // bytes read ahead while a login is being decided
	firstBuffer  = 512
)

var errLineTooLong = errors.New("the line is too long")

// reader holds what a client has sent and has not been used yet.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int
}

func (b *reader) buffered() int { return b.w - b.r }

// rest takes everything that has been read ahead.
func (b *reader) rest() []byte {
	p := b.buf[b.r:b.w]
	b.buf, b.r, b.w = nil, 0, 0
	return p
}

// fill reads once, into a buffer that grows to bound bytes and not further.
func (b *reader) fill(bound int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.buf) {
		b.makeRoom(bound)
	}
	if b.w == len(b.buf) {
		return errLineTooLong
	}
	n, err := b.src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (b *reader) makeRoom(bound int) {
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

// line returns the next line without its end (CRLF or LF), of at most bound
// bytes with the CR. It is valid until the next call. A longer one stays
// unread.
func (b *reader) line(bound int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := b.r + seen + i
			line := b.buf[b.r:end]
			if len(line) > bound {
				return nil, errLineTooLong
			}
			b.r = end + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		seen = b.buffered()
		if seen > bound {
			return nil, errLineTooLong
		}
		if err := b.fill(max(bound+2, len(b.buf))); err != nil {
			return nil, err
		}
	}
}

// take copies exactly n bytes, a literal's.
func (b *reader) take(n int) ([]byte, error) {
	out := make([]byte, 0, n)
	for len(out) < n {
		if b.buffered() == 0 {
			if err := b.fill(max(firstBuffer, len(b.buf))); err != nil {
				return nil, err
			}
		}
		k := min(n-len(out), b.buffered())
		out = append(out, b.buf[b.r:b.r+k]...)
		b.r += k
	}
	return out, nil
}
