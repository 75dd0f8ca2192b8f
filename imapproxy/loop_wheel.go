package imapproxy

import "time"

// wheel is the one timer for all relays of a loop: a ring of lists, one for each
// tick to come. Setting and removing take the same time however many there are.
type wheel struct {
	slots [wheelSlots]*relay // the first of each list
	start time.Time
	tick  int64 // the last one that has passed
}

// timed is a relay's place in a list of the wheel.
type timed struct {
	next, prev *relay
	slot       int32 // its number + 1; 0 for none
}

// wheelSlots ticks of sweepEvery are 34 minutes. A time beyond is looked at then,
// and set again.
const wheelSlots = 1024

func (w *wheel) init(now time.Time) { w.start = now }

// set puts a relay in, or moves it, so that advance gives it once at has come:
// at the next tick at the earliest.
func (w *wheel) set(r *relay, at time.Time) {
	w.remove(r)
	tick := int64((at.Sub(w.start) + sweepEvery - 1) / sweepEvery)
	tick = min(max(tick, w.tick+1), w.tick+wheelSlots-1)
	slot := tick % wheelSlots
	r.timed = timed{next: w.slots[slot], slot: int32(slot) + 1}
	if r.timed.next != nil {
		r.timed.next.timed.prev = r
	}
	w.slots[slot] = r
}

// remove takes a relay out, if it is in.
func (w *wheel) remove(r *relay) {
	t := r.timed
	if t.slot == 0 {
		return
	}
	if t.next != nil {
		t.next.timed.prev = t.prev
	}
	if t.prev != nil {
		t.prev.timed.next = t.next
	} else {
		w.slots[t.slot-1] = t.next
	}
	r.timed = timed{}
}

// advance takes out and gives the relays whose time has come by now.
func (w *wheel) advance(now time.Time) []*relay {
	var due []*relay
	target := int64(now.Sub(w.start) / sweepEvery)
	w.tick = max(w.tick, target-wheelSlots) // once round is all of it
	for w.tick < target {
		w.tick++
		for r := w.slots[w.tick%wheelSlots]; r != nil; r = w.slots[w.tick%wheelSlots] {
			w.remove(r)
			due = append(due, r)
		}
	}
	return due
}
