package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend/wire"
)

// A large literal between two plaintext sockets goes from one to the other in
// the kernel (splice), by way of a pipe; the ledger says how many bytes that are.

const (
	spliceLeast = 64 << 10 // what is left of a literal for splice to be worth it
	spliceFirst = 64 << 10 // what is moved at a time until the far side has shown that it keeps up; then wire.PipeSize
	longWait    = 100 * time.Millisecond
	keepsUp     = 8 << 20 // bytes that have to go for that without a long wait
	maxPipes    = 64      // at once, for all sessions; without one, bytes are copied
	maxIdle     = 8       // kept while they are not needed
)

// pipes is the bounded pool of them.
type pipes struct {
	mu   sync.Mutex // protects all; no waiting under it
	idle []*wire.Pipe
	open int
	most int
	used bool // since the last trim
}

func (p *pipes) init(most int) { p.most = most }

// get returns an empty pipe, nil when there are enough or no descriptors.
func (p *pipes) get() *wire.Pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = true
	if n := len(p.idle); n > 0 {
		x := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return x
	}
	if p.open >= p.most {
		return nil
	}
	x, err := wire.NewPipe()
	if err != nil {
		return nil
	}
	p.open++
	return x
}

// put takes an empty pipe back.
func (p *pipes) put(x *wire.Pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, x)
		return
	}
	p.shut(x)
}

// drop takes one back with what it holds.
func (p *pipes) drop(x *wire.Pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut(x)
}

func (p *pipes) shut(x *wire.Pipe) {
	x.Close()
	p.open--
}

// trim closes what has not been needed since the last call.
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
