package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memory fits the garbage collector to what a proxy does. A rush of logins makes
// garbage fast, and a collector that keeps a small heap small would run all the
// time; after the rush most of it is free, and should be given back, since the
// sessions that stay may be silent for days.
type memory struct {
	percent   int    // the GOGC in force; 0 for what the environment says
	allocated uint64 // bytes allocated so far, at the last look
	untrimmed uint64 // of them, those since memory was last given back
	quiet     int    // looks in a row between which nothing much went on
	again     bool   // memory is given back once more after a long quiet
}

const (
	memoryEvery = 2 * time.Second
	roomyHeap   = 48 << 20 // what the heap may grow by before it is collected
	tightGOGC   = 100      // where that is less than the heap itself
	roomyGOGC   = 400
	quietBytes  = 1 << 20 // allocated between two looks: nothing much goes on
	trimBytes   = 2 << 20 // worth giving back
	longQuiet   = 4       // looks: by then sessions have given back what they needed at first, too
)

// tend looks after the memory until ctx is done. An operator's own GOGC or
// GOMEMLIMIT is not changed.
func tend(ctx context.Context) {
	m := memory{percent: tightGOGC}
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		m.percent = 0
	}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		percent, trim := m.look(readMemory())
		if percent != 0 {
			debug.SetGCPercent(percent)
		}
		if trim {
			debug.FreeOSMemory()
		}
	}
}

// readMemory returns the bytes of the heap that were in use after the last
// collection, and those allocated since the start.
func readMemory() (live, allocated uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// look decides on a new GOGC, 0 for the one in force, and whether to give memory
// back to the system.
func (m *memory) look(live, allocated uint64) (percent int, trim bool) {
	made := allocated - m.allocated
	m.allocated = allocated
	m.untrimmed += made
	if m.quiet++; made >= quietBytes {
		m.quiet = 0
	}
	switch {
	case m.quiet > 0 && m.untrimmed >= trimBytes:
		trim, m.untrimmed, m.again, m.quiet = true, 0, true, 1
	case m.again && m.quiet >= longQuiet:
		trim, m.again = true, false
	}
	want := tightGOGC
	if live > 0 {
		want = min(max(int(roomyHeap*100/live), tightGOGC), roomyGOGC)
	}
	if m.percent == 0 || want*4 > m.percent*3 && want*3 < m.percent*4 { // a change stops the world for a moment
		return 0, trim
	}
	m.percent = want
	return want, trim
}
