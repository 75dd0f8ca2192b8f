package wire

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// PipeSize is what a Pipe holds at the most, in bytes.
const PipeSize = 256 << 10

// Pipe carries bytes from one wire to another in the kernel (splice(2)).
type Pipe struct {
	r, w int
	held int // bytes in it
}

// NewPipe returns an empty pipe; it costs two descriptors until Close.
func NewPipe() (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, PipeSize) // a smaller one does, too
	return &Pipe{r: fds[0], w: fds[1]}, nil
}

// Fill moves up to n bytes from a wire into an empty pipe, without waiting. It
// returns ErrWouldBlock when nothing has come. 0 without an error is the end of
// what the peer sends, or a wire that can't be spliced: Read says which. Any other
// error is that of the connection, and is gone from the socket: Read would return
// io.EOF after it.
func (p *Pipe) Fill(from *Wire, n int) (int, error) {
	if from.dry {
		return 0, ErrWouldBlock
	}
	moved, err := splice(from.fd, p.w, n)
	switch {
	case err == ErrWouldBlock:
		from.dry = true
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOMEM):
		err = nil
	}
	p.held = max(moved, 0)
	return p.held, err
}

// Empty moves what the pipe holds to a wire, as far as it goes without waiting.
func (p *Pipe) Empty(to *Wire) error {
	for p.held > 0 && !to.full {
		n, err := splice(p.r, to.fd, p.held)
		if err == ErrWouldBlock {
			to.full = true
			return nil
		}
		if err != nil {
			return err
		}
		p.held -= n
	}
	return nil
}

// Held returns the number of bytes in the pipe.
func (p *Pipe) Held() int { return p.held }

// Close closes the descriptors; what the pipe holds is lost.
func (p *Pipe) Close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// splice moves up to n bytes from one descriptor to another.
func splice(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch err {
		case nil:
			return int(moved), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, os.NewSyscallError("splice", err)
		}
	}
}
