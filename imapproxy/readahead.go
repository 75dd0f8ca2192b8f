package imapproxy

import (
	"errors"

	"imapproxy/backend/fault"
	"imapproxy/backend/lines"
	"imapproxy/backend/wire"
)

// readAhead is a session whose client is watched while its login waits for another party, so
// that a client that leaves is noticed at once. What it sends is kept for the relay.
type readAhead session

// watch begins to watch the client.
func (s *session) watch() {
	s.client.raw.WaitBy(nil)
	s.client.raw.WatchBy((*readAhead)(s))
	(*readAhead)(s).Ready(nil, 0)
}

// holdClient makes the session's task wait for the client again.
func (s *session) holdClient() {
	s.client.raw.WaitBy(s.task)
	s.client.raw.WatchBy(s.task)
}

// Ready reads what the client has sent.
func (x *readAhead) Ready(*wire.Wire, wire.Events) {
	s := (*session)(x)
	s.protected("watch", func() {
		fault.Point("watch.read")
		var err error
		for err == nil {
			err = s.client.in.Fill(maxPipelined)
		}
		switch {
		case errors.Is(err, wire.ErrWouldBlock):
		case errors.Is(err, lines.ErrTooLong): // full: what there is more is left in the kernel
			if cause, gone := wire.Gone(&s.client.raw); gone && s.client.raw.HungUp() {
				s.interrupter.cut(clientReason(cause), cause)
			}
		default:
			s.interrupter.cut(clientReason(err), err)
		}
	})
}
