package ledger

// edit is a chunk of bytes of which some are left out and others put in. It copies
// only once there is a change.
type edit struct {
	in      []byte
	from    int    // what comes before it is in out
	out     []byte // room, then the result so far
	changed bool
}

// cut leaves out what stands between two offsets.
func (e *edit) cut(from, to int) {
	e.out = append(e.out, e.in[e.from:from]...)
	e.from, e.changed = to, true
}

// put puts bytes in at an offset.
func (e *edit) put(at int, p string) {
	e.cut(at, at)
	e.out = append(e.out, p...)
}

// result returns the chunk with its changes.
func (e *edit) result() []byte {
	if !e.changed {
		return e.in
	}
	e.out = append(e.out, e.in[e.from:]...)
	return e.out
}

// held is bytes that wait for those after them.
type held struct {
	bytes  []byte
	joined []byte
	edited []byte
}

// keepRoom is how much room in bytes is kept when nothing is held.
const keepRoom = 256

// join returns p after what was held, of which nothing is held then. The result is
// valid until the next call.
func (h *held) join(p []byte) []byte {
	if len(h.bytes) == 0 {
		return p
	}
	h.joined = append(append(h.joined[:0], h.bytes...), p...)
	h.bytes = h.bytes[:0]
	return h.joined
}

// edit returns an edit of p.
func (h *held) edit(p []byte) edit { return edit{in: p, out: h.edited[:0]} }

// finish returns the result of an edit, which is valid until the next one, and
// gives up room that a large chunk took.
func (h *held) finish(e *edit) []byte {
	out := e.result()
	if e.changed && cap(e.out) <= keepRoom {
		h.edited = e.out
	} else {
		h.edited = nil
	}
	if len(h.bytes) == 0 && cap(h.bytes) > keepRoom {
		h.bytes = nil
	}
	if cap(h.joined) > keepRoom {
		h.joined = nil // the result may still be in it
	}
	return out
}

// hold keeps the end of a chunk that is being edited, from an offset on.
func (h *held) hold(e *edit, from int) {
	h.bytes = append(h.bytes[:0], e.in[from:]...)
	e.cut(from, len(e.in))
}
