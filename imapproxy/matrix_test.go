package imapproxy

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// TestMatrix runs the cells, but for the vanished peers and the panics, one
// after the other: so the process's goroutines and descriptors are the
// only the session's.
func TestMatrix(t *testing.T) {
	notQuick(t)
	cells := chosen(t, func(c matrixCell) bool { return !isVanish(c) && !isPanic(c) })
	stalled.run(t)
	rounds(t, func(t *testing.T) {
		for _, c := range cells {
			t.Run(c.String(), func(t *testing.T) { runCell(t, c, false) })
		}
	})
}

// vanishing is how many cells of vanished peers run at a time: more of them keep a
// busy machine from setting a cell up before the kernel gives its peer up.
const vanishing = 20

// TestMatrixVanish runs the cells of vanished peers side by side, since each
// takes the kernel some seconds; goroutines and descriptors are counted around
// all of them.
func TestMatrixVanish(t *testing.T) {
	notQuick(t)
	cells := chosen(t, isVanish)
	stalled.run(t)
	rounds(t, func(t *testing.T) {
		warmUp(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		var all sync.WaitGroup
		turns := make(chan struct{}, vanishing)
		for _, c := range cells {
			turns <- struct{}{}
			all.Go(func() {
				defer func() { <-turns }()
				t.Run(c.String(), func(t *testing.T) { runCell(t, c, true) })
			})
		}
		all.Wait()
		await(t, "the goroutines to be back", func() bool { return runtime.NumGoroutine() <= goroutines })
		await(t, "the descriptors to be back", func() bool { return openFiles(t) <= files })
	})
}

// chosen returns the cells that a test runs.
func chosen(t *testing.T, want func(matrixCell) bool) []matrixCell {
	t.Helper()
	var cells []matrixCell
	for _, c := range readMatrix(t) {
		if want(c) && !isOfPool(c) {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		t.Fatal("no cell")
	}
	return cells
}

// maxMatrixGrowth is what the process may have in use after all rounds beyond
// what it had after the first, in which pools, tables and metrics get their
// size. A session that is kept costs some KiB, and there are thousands.
const maxMatrixGrowth = 4 << 20

// rounds runs f as often as the flag says, and holds the process to rule 10: it
// lives, and its memory does not grow. What is in use counts, since the race
// detector adds several times as much in the resident set.
func rounds(t *testing.T, f func(t *testing.T)) {
	first := 0
	for n := range *matrixRepeats {
		t.Run(fmt.Sprint("round ", n+1), f)
		if n == 0 {
			first = heldMemory()
		}
	}
	last := heldMemory()
	t.Logf("%d bytes in use after the first round, %d after %d", first, last, *matrixRepeats)
	if last > first+maxMatrixGrowth {
		t.Errorf("memory grows: %d bytes in use after %d rounds, %d after the first", last, *matrixRepeats, first)
	}
}
