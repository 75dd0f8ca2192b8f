package load

import (
	"sync"
	"sync/atomic"
	"time"
)

// meter counts what a load does. Operations and bytes count while it is on; errors always.
type meter struct {
	names  []string // of the operations, the one that rates and costs are given for first
	times  []*histogram
	counts []atomic.Uint64
	bytes  atomic.Uint64
	mail   atomic.Uint64 // EXISTS lines
	errors *errorCounts
	on     atomic.Bool

	mu     sync.Mutex // protects series
	series []sample
}

// sample is the state at a time of the measurement.
type sample struct {
	Seconds    float64 `json:"seconds"`
	Operations uint64  `json:"operations"` // so far, of the first kind
	Bytes      uint64  `json:"bytes"`      // so far
	Errors     int     `json:"errors"`     // so far
}

func newMeter(names ...string) *meter {
	m := &meter{names: names, errors: &errorCounts{}, counts: make([]atomic.Uint64, len(names))}
	for range names {
		m.times = append(m.times, &histogram{})
	}
	return m
}

// did notes that operation i, begun then, has ended well.
func (m *meter) did(i int, began time.Time) {
	if m.on.Load() {
		m.times[i].record(time.Since(began))
		m.counts[i].Add(1)
	}
}

// moved notes bytes of messages.
func (m *meter) moved(n int) {
	if m.on.Load() {
		m.bytes.Add(uint64(n))
	}
}

// failed counts an error and reports whether it was one.
func (m *meter) failed(err error) bool {
	if err != nil {
		m.errors.add(err)
	}
	return err != nil
}

// sample takes the state down, for the rates over time.
func (m *meter) sample(since time.Duration) sample {
	s := sample{Seconds: since.Seconds(), Operations: m.counts[0].Load(), Bytes: m.bytes.Load(), Errors: m.errors.sum()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.series = append(m.series, s)
	return s
}
