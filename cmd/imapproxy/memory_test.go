package main

import "testing"

// TestMemoryLook plays a rush of logins, the silence after it, and growth.
func TestMemoryLook(t *testing.T) {
	m := memory{percent: tightGOGC}
	steps := []struct {
		name            string
		live, allocated uint64
		percent         int
		trim            bool
	}{
		{"a small heap may grow", 4 << 20, 1 << 10, roomyGOGC, false},
		{"a rush", 4 << 20, 40 << 20, 0, false},
		{"silence", 4 << 20, 40<<20 + 1<<10, 0, true},
		{"silence goes on", 4 << 20, 40<<20 + 2<<10, 0, false},
		{"silence goes on", 4 << 20, 40<<20 + 3<<10, 0, false},
		{"a long silence", 4 << 20, 40<<20 + 4<<10, 0, true},
		{"it goes on", 4 << 20, 40<<20 + 5<<10, 0, false},
		{"little goes on", 4 << 20, 40<<20 + 900<<10, 0, false},
		{"little goes on", 4 << 20, 40<<20 + 1800<<10, 0, false},
		{"little goes on", 4 << 20, 40<<20 + 2700<<10, 0, true},
		{"not again at once", 4 << 20, 40<<20 + 2701<<10, 0, false},
		{"little changes", 11 << 20, 41 << 20, 0, false},
		{"a large heap", 40 << 20, 60 << 20, 120, false},
		{"a larger one", 400 << 20, 90 << 20, 0, false},
		{"small again", 5 << 20, 90<<20 + 1<<10, roomyGOGC, true},
	}
	for _, s := range steps {
		if percent, trim := m.look(s.live, s.allocated); percent != s.percent || trim != s.trim {
			t.Errorf("%s: %d, %v; want %d, %v", s.name, percent, trim, s.percent, s.trim)
		}
	}
	own := memory{}
	if percent, _ := own.look(1<<20, 1<<20); percent != 0 {
		t.Errorf("the environment's GOGC is changed to %d", percent)
	}
}
