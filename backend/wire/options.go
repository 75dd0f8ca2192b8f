package wire

import "time"

// TCPOptions says when a peer that sends nothing counts as gone. The zero
// value leaves everything to the system.
type TCPOptions struct {
	KeepAliveIdle     time.Duration // silence before the first probe
	KeepAliveInterval time.Duration // between probes
	KeepAliveCount    int           // probes without an answer
	UserTimeout       time.Duration // how long sent bytes may stay unacknowledged (RFC 5482); 0: GoneAfter says
}

// GoneAfter is how long sent bytes and probes may stay without an answer:
// UserTimeout, or without it as long as the probes take. Linux counts no probes
// where it has such a time (tcp(7)), so that a longer one would take the place
// of the count. It is 0, the system's own, where a part of the keep-alive is.
func (o TCPOptions) GoneAfter() time.Duration {
	if o.UserTimeout > 0 || o.KeepAliveIdle == 0 || o.KeepAliveInterval == 0 || o.KeepAliveCount == 0 {
		return o.UserTimeout
	}
	return time.Second * time.Duration(seconds(o.KeepAliveIdle)+seconds(o.KeepAliveInterval)*o.KeepAliveCount)
}

// seconds is a time as the kernel takes it for probes.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// maxUnsent bounds what the kernel keeps for a peer that does not read, beyond
// what is on its way already.
const maxUnsent = 32 << 10

// MaxUnread bounds what the kernel takes from a backend while the client does
// not read; it doubles the number for its own needs. Left alone, the buffer of
// a fast backend grows to megabytes. It is also what may be on its way at a
// time: 64 MB/s from a backend a millisecond away.
const MaxUnread = 64 << 10

// maxUnreadWide is that bound while the client keeps up with a large message.
const maxUnreadWide = 256 << 10

// Socket is what the kernel says of a socket of ours.
type Socket struct {
	State State
	Inode uint64
}
