package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestTracker(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one := rigtest.CloseWait(1, 0, 7)
	queued, accepted, reused := one, one, one
	queued.Inode, accepted.Inode, reused.Inode = 0, 7, 8
	established := one
	established.State = wire.StateEstablished
	tests := []struct {
		name  string
		looks []wire.TableEntry // a minute apart
		want  time.Duration
	}{
		{"first look", []wire.TableEntry{one}, 0},
		{"stays", []wire.TableEntry{one, one, one}, 2 * time.Minute},
		{"accepted meanwhile", []wire.TableEntry{queued, accepted}, time.Minute},
		{"another descriptor", []wire.TableEntry{one, reused}, 0},
		{"left and came back", []wire.TableEntry{one, established, one}, 0},
		{"not in CLOSE_WAIT", []wire.TableEntry{one, established}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker()
			var at time.Time
			for i, s := range tt.looks {
				at = now.Add(time.Duration(i) * time.Minute)
				tr.observe([]wire.TableEntry{s}, at)
			}
			if got := tr.oldest(tt.looks[len(tt.looks)-1:], at); got != tt.want {
				t.Errorf("oldest %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTrackerKeepsState(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	socks := leaked(3, 1)
	tr, err := loadTracker(path) // no file yet
	if err != nil {
		t.Fatal(err)
	}
	tr.observe(socks, now)
	for range 2 { // the second replaces the first
		if err := tr.save(path); err != nil {
			t.Fatal(err)
		}
	}
	again, err := loadTracker(path)
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour)
	again.observe(socks[:2], later)
	if got := again.oldest(socks, later); got != time.Hour || len(again.seen) != 2 {
		t.Errorf("oldest %v of %d sockets, want 1h of 2", got, len(again.seen))
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v; want only the state", files, err)
	}
}
