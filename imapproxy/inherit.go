package imapproxy

import (
	"net"

	"imapproxy/backend/wire"
)

// optionListener is a listener whose sockets' options clients' sockets begin with, on
// systems that pass them on: six system calls less for each client.
type optionListener struct {
	net.Listener
	set        wire.TCPOptions // on the listening socket
	inherits   bool            // its clients begin with them
	unverified bool            // whether they do is not checked yet
}

// apply sets the options on a client's socket, unless it has them already. A
// socket without them still works; a vanished client is found later.
func (l *optionListener) apply(o wire.TCPOptions, conn wire.Stream) {
	if o != l.set {
		ln, ok := l.Listener.(*net.TCPListener)
		l.set, l.inherits = o, false
		l.unverified = ok && o.ApplyListener(ln) == nil
		_ = o.Apply(conn) // it was accepted with the former ones
		return
	}
	if l.unverified {
		l.unverified, l.inherits = false, o.InForce(conn)
	}
	if !l.inherits {
		_ = o.Apply(conn)
	}
}
