package rules

// loopMayCall lists what the event loop may call outside package imapproxy:
// functions and methods by their full names, or all of a package. None of them
// waits for a peer, for another goroutine or for the disk.
var loopMayCall = []string{
	"errors.*", "fmt.*", "maps.*", "slices.*", "strconv.*", "strings.*", "bytes.*", "sync/atomic.*", "time.*",
	"os.NewSyscallError", "runtime.Callers", "runtime.CallersFrames", "(*runtime.Frames).Next",

	// A mutex, since whoever holds one of package imapproxy is held to this list
	// too, and those of other packages are held for a few instructions.
	"(*sync.Mutex).Lock", "(*sync.Mutex).Unlock", "(*sync.RWMutex).RLock", "(*sync.RWMutex).RUnlock",

	// System calls on descriptors that do not block. EpollWait is where the loop waits.
	"golang.org/x/sys/unix.Close", "golang.org/x/sys/unix.EpollCtl", "golang.org/x/sys/unix.EpollWait",
	"golang.org/x/sys/unix.FcntlInt", "golang.org/x/sys/unix.Pipe2", "golang.org/x/sys/unix.Read",
	"golang.org/x/sys/unix.Splice", "golang.org/x/sys/unix.Write",

	// The sockets are parked, so that reading, writing and asking never wait, and
	// deadlines have no effect.
	"imapproxy/backend/wire.*", "(net.Conn).Read", "(net.Conn).Write",
	"(*imapproxy/backend.Conn).Raw", "(*imapproxy/backend.Conn).Read", "(*imapproxy/backend.Conn).StartRelay",
	"(*imapproxy/backend.Conn).Write",

	"imapproxy/backend/fault.*", "imapproxy/backend/ledger.*",
	"(imapproxy/backend/timing.Clock).AfterFunc", "(imapproxy/backend/timing.Clock).Now",
	"(imapproxy/backend/timing.Timer).Stop",
	"(context.Context).Err",

	// Counters, and log lines, which go to a queue.
	"(*github.com/prometheus/client_golang/prometheus.CounterVec).WithLabelValues",
	"(github.com/prometheus/client_golang/prometheus.Counter).Add",
	"(github.com/prometheus/client_golang/prometheus.Counter).Inc",
	"(*github.com/rs/zerolog.Event).Err", "(*github.com/rs/zerolog.Event).Msg",
	"(*github.com/rs/zerolog.Event).Str", "(*github.com/rs/zerolog.Logger).Error",
}

// loopNever are exceptions from the whole packages of loopMayCall.
var loopNever = []string{
	"fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln", "fmt.Print", "fmt.Printf", "fmt.Println",
	"fmt.Fscan", "fmt.Fscanf", "fmt.Fscanln", "fmt.Scan", "fmt.Scanf", "fmt.Scanln",
	"time.Sleep", "time.After", "time.NewTimer", "time.NewTicker", "time.Tick",
	"imapproxy/backend/wire.HeldSockets", "imapproxy/backend/wire.HeldInodes", "imapproxy/backend/wire.ReadTable",
}

// loopHandsOver take a function and have another goroutine run it.
var loopHandsOver = []string{
	"(*imapproxy/imapproxy.session).after",
	"(imapproxy/backend/timing.Clock).AfterFunc",
}

// loopValues are the function values that the loop, or who holds a mutex of the
// loop, may call: they cancel the login's context, stop a timer or set a field.
var loopValues = []string{"interrupter.cancel", "onClose.f", "close.f", "set.f"}
