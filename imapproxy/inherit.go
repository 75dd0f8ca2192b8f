package imapproxy

import (
	"net"

	"imapproxy/backend/wire"
)

// listening is a listener whose sockets' options clients' sockets begin with, on
// systems that pass them on: six system calls less for each client.
type listening struct {
	net.Listener
	set     wire.TCPOptions // on the listening socket
	passes  bool            // its clients begin with them
	unasked bool            // nobody has looked yet whether they do
}

// apply sets the options on a client's socket, unless it has them already. A
// socket without them still works; a vanished client is found later.
func (l *listening) apply(o wire.TCPOptions, conn wire.Stream) {
	if o != l.set {
		ln, ok := l.Listener.(*net.TCPListener)
		l.set, l.passes = o, false
		l.unasked = ok && o.ApplyListener(ln) == nil
		_ = o.Apply(conn) // it was accepted with the former ones
		return
	}
	if l.unasked {
		l.unasked, l.passes = false, o.InForce(conn)
	}
	if !l.passes {
		_ = o.Apply(conn)
	}
}
