package loop

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"time"

	"imapproxy/backend/wire"
)

// TestFairness has a peer send commands as fast as it can: the task that answers them lets others have their turn
// after some.
func TestFairness(t *testing.T) {
	const commands, most = 100_000, 300
	l, _ := byHand(t)
	w, peer := wirePair(t)
	defer peer.Close()
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	go func() { _, _ = peer.Write(bytes.Repeat([]byte("a NOOP\r\n"), commands)) }()
	answered, inRound := 0, 0
	l.Go(func(task *Task) {
		w.WaitBy(task)
		w.WatchBy(task)
		if err := l.Add(w); err != nil {
			t.Error(err)
		}
		defer func() { l.Remove(w); _ = w.Close() }()
		for in := bufio.NewReader(w); answered < commands; answered++ {
			_, err := in.ReadSlice('\n')
			if err == nil {
				_, err = w.Write([]byte("a OK NOOP completed\r\n"))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for end := time.Now().Add(pollLimit); l.Tasks() > 0; {
		before := answered
		l.Post(Func(func() {}))
		l.Round()
		inRound = max(inRound, answered-before)
		if time.Now().After(end) {
			t.Fatal("it does not come to its end")
		}
	}
	if inRound > most {
		t.Errorf("%d commands are answered in one round, want at most %d", inRound, most)
	}
}

// TestStaleEvents closes a wire whose event is in the same batch, and opens another one, which has its number
// and its place: the event is not for it.
func TestStaleEvents(t *testing.T) {
	l, _ := byHand(t)
	var wires [2]*wire.Wire
	var noted []string
	var fresh *wire.Wire
	for i := range wires {
		w, peer := wirePair(t)
		defer peer.Close()
		wires[i] = w
		w.WatchBy(watcher(func(w *wire.Wire) {
			if fresh != nil {
				noted = append(noted, "one that is closed")
				return
			}
			other := wires[1-i]
			number := other.Place().Number
			l.Remove(other)
			_ = other.Close()
			fresh, peer = wirePair(t)
			t.Cleanup(func() { _ = peer.Close() })
			fresh.WatchBy(watcher(func(*wire.Wire) { noted = append(noted, "the new one") }))
			if err := l.Add(fresh); err != nil || fresh.Place().Number != number {
				t.Errorf("it has the place %v, not %d: %v", fresh.Place(), number, err)
			}
		}))
		if err := l.Add(w); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(pollLimit); !wire.Unread(wires[0]) || !wire.Unread(wires[1]); {
		if time.Now().After(deadline) {
			t.Fatal("nothing has come")
		}
	}
	turn(l)
	if fresh == nil || len(noted) != 0 {
		t.Errorf("noted: %q", noted)
	}
	for _, w := range append(wires[:], fresh) {
		l.Remove(w)
		_ = w.Close()
	}
}

// watcher is a function that takes a wire's events.
type watcher func(*wire.Wire)

// Ready implements wire.Watcher.
func (f watcher) Ready(w *wire.Wire, _ wire.Events) { f(w) }

// TestReturns takes a wire out of the loop and puts it back: what has come meanwhile is reported.
func TestReturns(t *testing.T) {
	l, _ := byHand(t)
	w, peer := wirePair(t)
	defer peer.Close()
	reads := ""
	buf := make([]byte, 10)
	w.WatchBy(watcher(func(w *wire.Wire) {
		for {
			n, err := w.Read(buf)
			reads += string(buf[:n])
			if err != nil {
				return
			}
		}
	}))
	for _, text := range []string{"a", "b", "c"} {
		if _, err := peer.Write([]byte(text)); err != nil { // the loop does not have it
			t.Fatal(err)
		}
		if err := l.Add(w); err != nil {
			t.Fatal(err)
		}
		before := len(reads)
		until(t, l, "what has come meanwhile", func() bool { return len(reads) > before })
		l.Remove(w)
		if w.Place().Round != 0 || !w.Drained() {
			t.Errorf("it is at %v, drained: %v", w.Place(), w.Drained())
		}
	}
	_ = w.Close()
	if reads != "abc" {
		t.Errorf("it reads %q", reads)
	}
}

// TestAddFails puts a wire into the loop that the kernel does not take: its place is free again, once.
func TestAddFails(t *testing.T) {
	l, _ := byHand(t)
	gone, peer := wirePair(t)
	_, _ = gone.Close(), peer.Close()
	if err := l.Add(gone); err == nil || gone.Place().Round != 0 {
		t.Errorf("closed, it is added: %v, at %v", err, gone.Place())
	}
	l.Remove(gone)
	if a, b := quietWire(t, l), quietWire(t, l); a.Place() == b.Place() {
		t.Errorf("two wires are at %v", a.Place())
	}
}
