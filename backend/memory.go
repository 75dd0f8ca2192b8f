package backend

import (
	"sync"
	"time"
)

// memory keeps what has been found out about targets, for a while. The zero value is ready.
type memory[V any] struct {
	mu    sync.Mutex // protects known; nothing blocks under it
	known map[string]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

const (
	rememberFor   = 10 * time.Minute
	maxRemembered = 1000 // targets; a forgotten one is just asked again
)

// recall returns what is known of a target; false for nothing.
func (m *memory[V]) recall(target string, now time.Time) (value V, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.known[target]
	if !known || now.After(r.until) {
		return value, false
	}
	return r.value, true
}

// remember keeps what has been found out now.
func (m *memory[V]) remember(target string, value V, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxRemembered {
		m.known = map[string]remembered[V]{}
	}
	m.known[target] = remembered[V]{value, now.Add(rememberFor)}
}

// forget drops what is known of a target.
func (m *memory[V]) forget(target string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, target)
}
