package imapproxy

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// A large literal between two plaintext sockets goes from one to the other in
// the kernel (splice), by way of a pipe; the ledger says how many bytes that are.

const (
	spliceLeast = 64 << 10 // what is left of a literal for splice to be worth it
	spliceFirst = 64 << 10 // what is moved at a time until the far end has shown that it keeps up
	longWait    = 100 * time.Millisecond
	pipeSize    = 256 << 10 // and then; a pipe holds that much
	keepsUp     = 8 << 20   // bytes that have to go for that without a long wait
	maxPipes    = 64        // at once, for all sessions; without one, bytes are copied
	maxIdle     = 8         // kept while nobody needs them
)

// pipe holds bytes on their way.
type pipe struct {
	r, w int
	held int
}

// pipes is the bounded pool of them.
type pipes struct {
	mu   sync.Mutex // protects all; no waiting under it
	idle []*pipe
	open int
	most int
	used bool // since the last trim
}

func (p *pipes) init(most int) { p.most = most }

// get gives an empty pipe, nil when there are enough or no descriptors.
func (p *pipes) get() *pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = true
	if n := len(p.idle); n > 0 {
		x := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return x
	}
	var fds [2]int
	if p.open >= p.most || unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	p.open++
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize) // a smaller one does, too
	return &pipe{r: fds[0], w: fds[1]}
}

// put takes an empty pipe back.
func (p *pipes) put(x *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, x)
		return
	}
	p.shut(x)
}

// drop takes one back with what it holds.
func (p *pipes) drop(x *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut(x)
}

func (p *pipes) shut(x *pipe) {
	_ = unix.Close(x.r)
	_ = unix.Close(x.w)
	p.open--
}

// trim closes what nobody has needed since the last call.
func (p *pipes) trim() {
	p.mu.Lock()
	used := p.used
	p.used = false
	p.mu.Unlock()
	if !used {
		p.close()
	}
}

// close closes the idle ones.
func (p *pipes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.idle {
		p.shut(x)
	}
	p.idle = nil
}

// splice moves a literal from an end to the other, as far as it goes without
// waiting. goesOn is that reading may go on in the ordinary way.
func (l *loop) splice(r *relay, side int) (moved int, goesOn bool) {
	near, far := &r.sides[side], &r.sides[1-side]
	f := r.in(side)
	for moved < turnBound {
		left := r.literal(f)
		if left < spliceLeast || near.secure || far.secure {
			return moved, true
		}
		x := l.pipes.get()
		if x == nil {
			return moved, true
		}
		n, err := move(int(near.fd), x.w, int(min(left, r.spliceSize(f, near))))
		if n <= 0 {
			l.pipes.put(x)
			return moved, err != unix.EAGAIN // the ordinary read finds out what it is
		}
		x.held = n
		r.pipe, r.piping = x, f
		moved += n
		r.fast += int64(n)
		if !r.beforeSplice(f, n) {
			return moved, false
		}
		err = r.empty(far) // first: whether the flow holds anything is known only after it
		if !r.afterWrite(f, n, r.holds(f), err) || r.holds(f) {
			return moved, false
		}
	}
	return moved, false
}

// spliceSize is how much may be on its way at a time. A client that does not read
// costs no more than spliceFirst; for one that keeps up with a large message, the
// kernel may also take more from the backend.
func (r *relay) spliceSize(f *flow, near *side) int64 {
	if r.fast < keepsUp {
		return spliceFirst
	}
	if f == &r.down && !r.wide {
		r.wide = true
		wire.Widen(near.wire)
	}
	return pipeSize
}

// literal is what is left of the literal on its way in a flow.
func (r *relay) literal(f *flow) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f == &r.up {
		return r.ledger.ClientLiteral()
	}
	return r.ledger.BackendLiteral()
}

// beforeSplice is beforeWrite for bytes that nobody has looked at.
func (r *relay) beforeSplice(f *flow, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return false
	}
	if f == &r.up {
		r.ledger.SkipClientLiteral(int64(n))
	} else {
		r.ledger.SkipBackendLiteral(int64(n))
	}
	f.busy = true
	f.moved = r.s.server.clock.Now()
	return true
}

// empty moves what the pipe holds to the far end, and gives an empty one back.
func (r *relay) empty(far *side) error {
	fault.Point("loop.splice")
	for r.pipe.held > 0 {
		n, err := move(r.pipe.r, int(far.fd), r.pipe.held)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("splice", err)
		}
		r.pipe.held -= n
	}
	r.s.server.relayLoops.pipes.put(r.pipe)
	r.pipe = nil
	return nil
}

// move is one splice.
func move(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(moved), err
		}
	}
}
