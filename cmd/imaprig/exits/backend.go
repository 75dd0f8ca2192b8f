package exits

import (
	"context"
	"net/netip"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// Kinds of backends.
const (
	kindJava    = "java"    // our own program, with the faults that it is told to have
	kindDavMail = "davmail" // Debian's package, with a stand-in for Exchange
	kindServer  = "server"  // any server that runs already
)

// Modes of backends whose faults are not known.
const (
	modeAsIs = "as-is"

	// The server that DavMail asks does not answer: anything, once the sessions are open, or one kind of question.
	modeHanging        = "hanging-upstream"
	modeHangingConnect = "hanging-connect"
	modeHangingLogin   = "hanging-login"
	modeHangingFetch   = "hanging-fetch"
)

// backend is the server that clients come to, through a proxy or directly.
type backend interface {
	facts() backendFacts
	// setMode sets the fault of connections accepted from now on.
	setMode(ctx context.Context, mode string) error
	// opened is called when a cell's sessions are open, before they are ended.
	opened(ctx context.Context, r *cellResult) error
	// stats returns the backend's own counts, or zeros of one that keeps none.
	stats(ctx context.Context) (rig.JavaStats, error)
	// stop ends what was started.
	stop() error
}

// backendFacts is what a run needs to know about a backend.
type backendFacts struct {
	info   backendInfo
	addr   netip.AddrPort
	pid    int           // of its first process; 0 = not known
	netDir string        // where the kernel shows its sockets, such as /proc/PID/net; "" = on another machine
	counts bool          // it keeps counts
	limit  time.Duration // for one answer; 0 = answerLimit
	mail   mailbox
	lacks  map[string]string // endings that it can't be run with, and why
}

// mailbox is what clients select, and what they read and write in it.
type mailbox struct {
	name    string
	message int  // number of a message larger than the buffers between the backend and a client
	named   bool // the message has a line "To: USER", by which another user's is known
	window  int  // bytes of the receive buffer of a client that does not read; 0 = as few as possible
}

// ownMailbox is that of the rig's own servers.
func ownMailbox() mailbox { return mailbox{name: "INBOX", message: 1, named: true} }

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// javaProgram is our own Java program.
type javaProgram struct{ *rig.JavaBackend }

func (j javaProgram) facts() backendFacts {
	return backendFacts{
		info: backendInfo{Kind: kindJava, Name: "the Java program of the rig", Source: j.Source},
		addr: loopback(j.Port), pid: j.PID(),
		netDir: ownNet, counts: true, mail: ownMailbox(),
	}
}

func (j javaProgram) setMode(ctx context.Context, mode string) error { return j.SetMode(ctx, mode) }

func (j javaProgram) opened(context.Context, *cellResult) error { return nil }

func (j javaProgram) stats(ctx context.Context) (rig.JavaStats, error) { return j.Stats(ctx) }

func (j javaProgram) stop() error { return j.Stop(javaStopTime) }
