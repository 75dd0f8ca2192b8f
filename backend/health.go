package backend

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Backing off: an address that did not answer in time, or that failed several
// times in a row, is not tried for a while, which doubles with each failure.
// Retrying a server that accepts and never greets would fill its accept queue,
// which a stuck server never empties.
const (
	strikesOut   = 5 // quick failures in a row; one that took its whole limit is enough
	firstBackOff = time.Second
	lastBackOff  = 30 * time.Second
	maxAddresses = 10_000 // remembered; a forgotten one is just tried again
)

// errBackedOff says that an address was not tried.
var errBackedOff = errors.New("skipped for now, after failures")

// health remembers which addresses failed.
type health struct {
	mu    sync.Mutex // protects all; nothing blocks under it
	state map[string]*condition
}

type condition struct {
	strikes int
	rounds  int // pauses so far
	until   time.Time
	trying  bool      // one attempt is under way after the pause
	said    *refusing // what the backend said in the last attempt, nil for nothing
}

// mayTry reports whether an address may be dialled. After its pause one attempt
// goes ahead; the others wait for what becomes of it.
func (h *health) mayTry(addr string, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.state[addr]
	if c == nil || c.strikes < strikesOut {
		return nil
	}
	if now.Before(c.until) || c.trying {
		err := fmt.Errorf("%w: next attempt in %s", errBackedOff, max(0, c.until.Sub(now)).Round(time.Millisecond))
		if c.said != nil { // it can be reached
			err = fmt.Errorf("%w; it said %w", err, c.said)
		}
		return err
	}
	c.trying = true
	return nil
}

// failed notes an attempt in which the address did not get as far as its
// greeting, or in which the backend said that it takes no one. One that took its
// whole limit is enough.
func (h *health) failed(addr string, err *Error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == nil || len(h.state) >= maxAddresses {
		h.state = map[string]*condition{}
	}
	c := h.state[addr]
	if c == nil {
		c = &condition{}
		h.state[addr] = c
	}
	c.trying, c.said = false, nil
	errors.As(err, &c.said)
	if c.strikes++; err.Kind == KindTimeout {
		c.strikes = max(c.strikes, strikesOut)
	}
	if c.strikes >= strikesOut {
		c.until = now.Add(min(firstBackOff<<min(c.rounds, 10), lastBackOff))
		c.rounds++
	}
}

// good notes that the address works.
func (h *health) good(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.state, addr)
}

// undecided notes an attempt that says nothing about the address: the session
// ended meanwhile.
func (h *health) undecided(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.state[addr]; c != nil {
		c.trying = false
	}
}
