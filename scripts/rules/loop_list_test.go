package rules

import "slices"

// loopMayCall lists what an event loop may call outside the project: functions and methods by
// their full names, or all of a package. None of them waits for a peer, for another goroutine or
// for the disk, or takes long.
var loopMayCall = []string{
	// They only compute. Expressions of package regexp take time in proportion to the text; fmt
	// writes to what it is given (see loopNever for what it is not given).
	"bufio.*", "bytes.*", "cmp.*", "container/heap.*", "crypto/hmac.*", "crypto/sha1.*", "crypto/sha256.*",
	"crypto/subtle.*", "encoding/base32.*", "encoding/base64.*", "encoding/binary.*", "encoding/hex.*",
	"encoding/pem.*", "errors.*", "fmt.*", "hash.*", "maps.*", "math/big.*", "math/rand/v2.*", "net/netip.*",
	"net/url.*", "regexp.*", "slices.*", "strconv.*", "strings.*", "sync/atomic.*", "time.*", "unicode.*",
	"(crypto/x509/pkix.Name).String", "(net.Error).Timeout", "(net.IP).String", "(net.Listener).Addr",
	"(*net.TCPAddr).AddrPort", "net.JoinHostPort", "net.SplitHostPort", "net.TCPAddrFromAddrPort",
	"os.NewSyscallError", "runtime.Callers", "runtime.CallersFrames", "(*runtime.Frames).Next",
	"github.com/hashicorp/golang-lru/v2.*",

	// They ask the kernel, which answers at once.
	"crypto/rand.Read", "crypto/rand.Text", "net.InterfaceByName", "os.Geteuid",

	// They read and write by what they are given: a wire, at which the task waits and yields.
	"io.Copy", "io.CopyN", "io.LimitReader", "io.ReadFull", "(io.Reader).Read", "(io.Writer).Write",
	"(net.Conn).Read", "(net.Conn).Write", "(net/http.Header).Values", "(*net/http.Request).Write",
	"(*net/http.Request).WithContext", "net/http.ReadResponse", "github.com/pires/go-proxyproto.*",
	"github.com/pires/go-proxyproto/tlvparse.*", "github.com/emersion/go-sasl.*",
	"(github.com/emersion/go-sasl.Server).Next",

	// TLS runs over a wire, too. A backend's handshake and a client's certificate are computed in the loop.
	"crypto/tls.CipherSuiteName", "crypto/tls.Client", "crypto/tls.ParseSessionState", "crypto/tls.Server",
	"crypto/tls.VersionName", "(*crypto/tls.Config).Clone", "(*crypto/tls.Conn).CloseWrite",
	"(*crypto/tls.Conn).ConnectionState", "(*crypto/tls.Conn).Handshake", "(*crypto/tls.Conn).HandshakeContext",
	"(*crypto/tls.ClientHelloInfo).Context", "(*crypto/tls.SessionState).Bytes",
	"crypto/x509.NewCertPool", "(*crypto/x509.CertPool).AddCert", "(*crypto/x509.Certificate).Verify",
	"(*crypto/x509.RevocationList).CheckSignatureFrom",

	// A mutex, since whoever holds one of ours is held to this list too, and those of others are
	// held for a few instructions. Cond.Wait gives its mutex up, and only its own goroutine waits.
	"(*sync.Cond).Broadcast", "(*sync.Cond).Wait", "(*sync.Mutex).Lock", "(*sync.Mutex).Unlock",
	"(*sync.Pool).Get", "(*sync.Pool).Put", "(*sync.RWMutex).RLock", "(*sync.RWMutex).RUnlock",
	"(*sync.WaitGroup).Add", "(*sync.WaitGroup).Done",

	// A coroutine runs in the loop's goroutine.
	"iter.Pull", "context.Background", "context.Cause", "context.WithCancel", "context.WithValue",
	"(context.Context).Done", "(context.Context).Err", "(context.Context).Value",

	// System calls on descriptors that do not block. EpollWait is where the loop waits.
	"syscall.Accept4", "golang.org/x/sys/unix.Close", "golang.org/x/sys/unix.Connect",
	"golang.org/x/sys/unix.EpollCtl", "golang.org/x/sys/unix.EpollWait", "golang.org/x/sys/unix.FcntlInt",
	"golang.org/x/sys/unix.Fstat", "syscall.Getsockname", "golang.org/x/sys/unix.GetsockoptInt",
	"golang.org/x/sys/unix.GetsockoptTCPInfo", "golang.org/x/sys/unix.Pipe2", "golang.org/x/sys/unix.Poll",
	"golang.org/x/sys/unix.RawSyscall6", "golang.org/x/sys/unix.Read", "golang.org/x/sys/unix.Recvfrom",
	"golang.org/x/sys/unix.SetsockoptInt", "golang.org/x/sys/unix.SetsockoptLinger",
	"golang.org/x/sys/unix.Shutdown", "golang.org/x/sys/unix.Socket", "golang.org/x/sys/unix.Splice",
	"golang.org/x/sys/unix.Write", "(syscall.Conn).SyscallConn",
	"(syscall.RawConn).Control",

	// Counters, and log lines, which go to a queue.
	"github.com/prometheus/client_golang/prometheus.*", "github.com/rs/zerolog.*",
}

// loopNever are exceptions from the whole packages of loopMayCall, and files that could be given to
// one.
var loopNever = []string{
	"fmt.Print", "fmt.Printf", "fmt.Println", "fmt.Scan", "fmt.Scanf", "fmt.Scanln",
	"time.Sleep", "time.After", "time.NewTimer", "time.NewTicker", "time.Tick",
	"(*github.com/rs/zerolog.Logger).Fatal", "(*github.com/rs/zerolog.Logger).Panic",
	"os.Stdin", "os.Stdout", "os.Stderr",
}

// loopHandsOver take a function and have another goroutine run it.
var loopHandsOver = []string{
	"(*imapproxy/imapproxy.session).after",
	"(imapproxy/backend/timing.Clock).AfterFunc",
	"imapproxy/backend/loop.Outside", "(*imapproxy/backend/loop.Task).Outside",
}

// loopWithout are functions that block only where their context belongs to no loop.
var loopWithout = []string{"imapproxy/auth/httpauth.sleep"}

// loopElsewhere are folders whose function values no loop of the daemon runs.
var loopElsewhere = []string{"cmd/imapproxy/backendcheck"}

// loopValues are function values that are not followed by their types, since it is known what they
// stand for.
var loopValues = []string{
	"(*imapproxy/imapproxy.interrupter).onClose.f", // stops a timer
	"(*imapproxy/imapproxy.interrupter).onClose.before",
	"imapproxy/imapproxy.interrupter.atClose",
	"(*imapproxy/imapproxy.status).set.f",     // sets a field
	"imapproxy/imapproxy.reply.then",          // set by a handler, which is followed
	"(*imapproxy/imapproxy.sessionLoop).do.f", // Listen and Unlisten
	"imapproxy/auth.File.match",               // in the loop only of hashes that cost nothing
	"imapproxy/backend/loop.Outside.f",        // run here only for who belongs to no loop
	"imapproxy/backend/loop.coroutine.next",   // runs a task
	"imapproxy/backend/loop.coroutine.stop",   // ends a coroutine without a task
	"imapproxy/backend/loop.coroutine.yield",
}

// mayCall reports whether the lists allow a function or a variable, or the whole of its package.
func mayCall(pkg, full string) bool {
	return !slices.Contains(loopNever, full) &&
		(slices.Contains(loopMayCall, full) || slices.Contains(loopMayCall, pkg+".*"))
}
