package wire

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Events are what a Poller waits for on a socket, and what it reports.
type Events uint32

// The events. HungUp and Dead are reported for every wire.
const (
	Readable Events = unix.EPOLLIN
	Writable Events = unix.EPOLLOUT
	HungUp   Events = unix.EPOLLRDHUP               // the peer has closed its side
	Dead     Events = unix.EPOLLHUP | unix.EPOLLERR // both sides are closed, or an error is pending
)

// Key is what the caller of a Poller knows a socket by: it comes back with each
// event. Number is not negative; Round is not 0.
type Key struct{ Number, Round int32 }

// Poller waits for many wires at once (epoll(7)), and reports each change of a wire once
// (EPOLLET). Wake may be called concurrently with all else and after Close; the other
// methods that wait belong to one goroutine, and Add, Want and Remove may be called
// concurrently with Wait.
type Poller struct {
	epfd   int
	wakeFD int // an eventfd
	waking sync.Mutex
	closed bool // protected by waking: the number in wakeFD may be a socket's by now
	events [maxEvents]unix.EpollEvent
}

// maxEvents is how many events one Wait takes.
const maxEvents = 256

// wakeNumber is the key's number of the eventfd.
const wakeNumber = -1

// NewPoller returns a Poller that waits for nothing. It costs two descriptors
// until Close.
func NewPoller() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakeFD: wake}
	if err := p.control(unix.EPOLL_CTL_ADD, wake, Readable, Key{Number: wakeNumber}); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Poller) control(op, fd int, e Events, k Key) error {
	err := unix.EpollCtl(p.epfd, op, fd, &unix.EpollEvent{Events: uint32(e), Fd: k.Number, Pad: k.Round})
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// Add begins to wait for what a wire can be read for, and whether it is connected.
func (p *Poller) Add(w *Wire, k Key) error {
	w.place, w.watched = k, Readable|HungUp
	if w.full {
		w.watched |= Writable
	}
	err := p.control(unix.EPOLL_CTL_ADD, w.fd, w.watched|unix.EPOLLET, k)
	if err != nil {
		w.place = Key{}
	}
	return err
}

// Want has it reported when a wire that has taken nothing more can be written to.
func (p *Poller) Want(w *Wire) error {
	if !w.full || w.watched&Writable != 0 {
		return nil
	}
	w.watched |= Writable
	return p.control(unix.EPOLL_CTL_MOD, w.fd, w.watched|unix.EPOLLET, w.place)
}

// Remove stops waiting for a wire. Nothing is done for one that is closed: the
// kernel has done so.
func (p *Poller) Remove(w *Wire) {
	w.place = Key{}
	if w.open {
		_ = p.control(unix.EPOLL_CTL_DEL, w.fd, 0, Key{})
	}
}

// AddListener begins to wait for clients. Where several pollers wait for the same
// listener, one of them is woken (EPOLLEXCLUSIVE), and again as long as clients wait.
func (p *Poller) AddListener(l *Listener, k Key) error {
	return p.control(unix.EPOLL_CTL_ADD, l.fd, Readable|unix.EPOLLEXCLUSIVE, k)
}

// RemoveListener stops waiting for clients.
func (p *Poller) RemoveListener(l *Listener) { _ = p.control(unix.EPOLL_CTL_DEL, l.fd, 0, Key{}) }

// Wait looks for events, and blocks until there are some if block says so: most
// often there are, and a call that may block costs more. It returns how many
// there are.
func (p *Poller) Wait(block bool) (int, error) {
	n, err := pollNow(p.epfd, p.events[:])
	if n == 0 && err == nil && block {
		n, err = unix.EpollWait(p.epfd, p.events[:], -1)
	}
	if err != nil && err != unix.EINTR {
		return 0, fmt.Errorf("epoll_wait: %w", err)
	}
	return max(n, 0), nil
}

// Event returns the i-th event of the last Wait. isWake is that of a Wake, which
// is over then.
func (p *Poller) Event(i int) (k Key, e Events, isWake bool) {
	event := &p.events[i]
	if event.Fd == wakeNumber {
		var count [8]byte
		_, _ = unix.Read(p.wakeFD, count[:])
		return Key{}, 0, true
	}
	return Key{event.Fd, event.Pad}, Events(event.Events), false
}

// Wake makes Wait return with an event of its own.
func (p *Poller) Wake() {
	p.waking.Lock()
	defer p.waking.Unlock()
	if p.closed {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(p.wakeFD, one[:]) // full is awake
}

// Close closes the descriptors. The wires stay as they are.
func (p *Poller) Close() error {
	p.waking.Lock()
	defer p.waking.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	_ = unix.Close(p.wakeFD)
	return unix.Close(p.epfd)
}
