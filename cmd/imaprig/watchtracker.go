package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"imapproxy/backend/wire"
)

const stateFileBytes = 64 << 20 // about 400,000 sockets

// sighting is a socket in CLOSE_WAIT and when it was first seen there. The kernel does not report when that began.
type sighting struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	Inode  uint64         `json:"inode"`
	Since  time.Time      `json:"since"`
}

type addrPair struct{ local, remote netip.AddrPort }

// tracker knows the sockets in CLOSE_WAIT and since when it has seen each there.
type tracker struct {
	seen map[addrPair]sighting
}

func newTracker() *tracker {
	return &tracker{seen: map[addrPair]sighting{}}
}

// observe takes in what there is now and forgets what has gone. The same addresses with another inode are another
// connection; inode 0 becomes another when the connection is accepted.
func (t *tracker) observe(socks []wire.TableEntry, now time.Time) {
	seen := make(map[addrPair]sighting)
	for _, s := range socks {
		if s.State != wire.StateCloseWait {
			continue
		}
		key := addrPair{s.Local, s.Remote}
		entry := sighting{s.Local, s.Remote, s.Inode, now}
		if old, known := t.seen[key]; known && (old.Inode == s.Inode || old.Inode == 0) {
			entry.Since = old.Since
		}
		seen[key] = entry
	}
	t.seen = seen
}

// oldest returns the greatest age among these sockets, and 0 when none of them is in CLOSE_WAIT.
func (t *tracker) oldest(socks []wire.TableEntry, now time.Time) time.Duration {
	var age time.Duration
	for _, s := range socks {
		if entry, known := t.seen[addrPair{s.Local, s.Remote}]; known {
			age = max(age, now.Sub(entry.Since))
		}
	}
	return age
}

// loadTracker reads what save wrote. No path and no such file are a tracker that knows nothing.
func loadTracker(path string) (_ *tracker, err error) {
	t := newTracker()
	if path == "" {
		return t, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var entries []sighting
	if err := json.NewDecoder(io.LimitReader(f, stateFileBytes)).Decode(&entries); err != nil {
		return nil, fmt.Errorf("state %s: %w: remove it to begin anew", path, err)
	}
	for _, e := range entries {
		t.seen[addrPair{e.Local, e.Remote}] = e
	}
	return t, nil
}

// save writes the state whole or not at all. No path: nothing to do.
func (t *tracker) save(path string) error {
	if path == "" {
		return nil
	}
	entries := make([]sighting, 0, len(t.seen))
	for _, e := range t.seen {
		entries = append(entries, e)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the state: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
