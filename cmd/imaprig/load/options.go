package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// Options are the flags of imaprig load.
type Options struct {
	Mode           Mode
	Proxy          string
	PIDs           []int // of the proxy; may be empty
	TLS            string
	User, Password string
	Users          int
	Mailbox        string
	Sessions       int
	Duration       time.Duration
	Message        int           // of fetch and mixed, 0 = 1; of idle: read before IDLE, 0 = none
	Size           int           // bytes, of append
	Pace           time.Duration // of rtt: between two NOOPs of a session, 0 = none
	Rate           int           // of handshakes, a second
	BelowLimit     bool          // of scale: leave the proxy's descriptor limit out
	sources        int
	Limit          time.Duration
	json, html     string // files
	tryFirst       bool   // run one session before the load, see tryOut
}

// Bounds of the options.
const (
	MaxSessions    = 100_000
	maxTime        = time.Hour
	maxRate        = 100_000 // handshakes a second
	maxSources     = 100
	portsPerSource = 20_000 // of the 28,000 that Linux has for one address, to one destination
	spareFiles     = 100    // descriptors that sessions leave over
)

const help = `usage: imaprig load MODE --proxy HOST:PORT [flags]

Puts an IMAP proxy or server under load and reports how fast it answers, and what that costs it when its process is
named. The modes:

%s
Any IMAP server will do whose users may log in with --user and --password; imaprig backend is one that costs next to
nothing. Only append and literals change mailboxes; literals needs a server with LITERAL+. With TLS the certificate is
not verified, sessions are not resumed, and the key exchange is X25519, as with most mail clients. "append" and "fetch"
count each byte of a message, and nothing else.

Exit code: 0 fine, 1 an error was counted or the run failed, 2 wrong usage.

`

func parse(args []string, stdout io.Writer) (Options, error) {
	var o Options
	var pids, size string
	flags := rig.NewFlags("load")
	flags.StringVar(&o.Proxy, "proxy", "", "`HOST:PORT` of the proxy or server")
	flags.StringVar(&pids, "proxy-pid", "", "its process, or several `PIDS` separated by commas: their CPU time and "+
		"memory, with those of all their descendants, are shown")
	flags.StringVar(&o.TLS, "tls", "off", "use this `KIND` of TLS: off, starttls or implicit")
	flags.StringVar(&o.User, "user", "rig%d", "log in as user `NAME`; %d in it is replaced by the number of the "+
		"session")
	flags.StringVar(&o.Password, "password", "secret", "the `PASSWORD`; %d in it is replaced too")
	flags.IntVar(&o.Users, "users", 0, "count sessions from 1 to this `NUMBER` and begin again, for as many "+
		"users (without it: each has its own)")
	flags.StringVar(&o.Mailbox, "mailbox", "INBOX", "select the mailbox `NAME`, or append to it")
	flags.IntVar(&o.Sessions, "sessions", 0, "the `NUMBER` of sessions at once (without it: the mode's, in "+
		"parentheses above)")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "measure for this `TIME`")
	flags.IntVar(&o.Message, "message", 0, "fetch and mixed: the `NUMBER` of the message (without it: 1); idle: read "+
		"it before IDLE (without it: none); imaprig backend has 8 KiB, 1 MiB, 64 MiB and 256 KiB at 1 to 4")
	flags.DurationVar(&o.Pace, "pace", 0, "rtt: each session sends a NOOP every `TIME` (without it: when it has the "+
		"answer)")
	flags.IntVar(&o.Rate, "rate", 500, "handshakes: the `NUMBER` of TLS handshakes a second")
	flags.StringVar(&size, "size", "1m", "append: the message's `SIZE`, such as 8k or 64m")
	flags.IntVar(&o.sources, "sources", 0, "connect from 127.0.0.1 to 127.0.0.`NUMBER`, for more sessions than one "+
		"address has ports (without it: as many as are needed, when the proxy is on loopback)")
	flags.DurationVar(&o.Limit, "limit", 15*time.Second, "wait at most this `TIME` for one answer, or one part of a "+
		"message")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`")
	flags.StringVar(&o.html, "html", "", "write a page with table and charts to this `FILE`")
	words, err := rig.ParseMixed(flags, args, fmt.Sprintf(help, modesHelp()), stdout)
	if err != nil {
		return o, err
	}
	if o.Mode, err = FindMode(words); err != nil {
		return o, err
	}
	if o.Sessions == 0 {
		o.Sessions = o.Mode.sessions
	}
	if o.PIDs, err = parsePIDs(pids); err != nil {
		return o, err
	}
	if o.Size, err = parseSize(size); err != nil {
		return o, fmt.Errorf("--size: %w", err)
	}
	return o, o.Check()
}

// Check returns an error for options that can't be run.
func (o *Options) Check() error {
	host, port, err := net.SplitHostPort(o.Proxy)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	switch {
	case o.Proxy == "":
		return errors.New("want --proxy HOST:PORT, such as 127.0.0.1:143")
	case err != nil:
		return fmt.Errorf("--proxy %q: want host:port, such as 127.0.0.1:143", o.Proxy)
	case !slices.Contains([]string{"off", "starttls", "implicit"}, o.TLS):
		return fmt.Errorf("--tls %q: want off, starttls or implicit", o.TLS)
	case o.Sessions < 1 || o.Sessions > MaxSessions:
		return fmt.Errorf("--sessions %d: want 1 to %d", o.Sessions, MaxSessions)
	case o.Duration < 100*time.Millisecond || o.Duration > maxTime:
		return fmt.Errorf("--duration %v: want 100ms to %v", o.Duration, maxTime)
	case o.Limit < 100*time.Millisecond || o.Limit > maxTime:
		return fmt.Errorf("--limit %v: want 100ms to %v", o.Limit, maxTime)
	case o.Message < 0 || o.Users < 0:
		return errors.New("--message and --users: want a number from 1")
	case o.Pace < 0 || o.Pace > maxTime || o.Rate < 0 || o.Rate > maxRate:
		return fmt.Errorf("--pace %v, --rate %d: want up to %v and up to %d", o.Pace, o.Rate, maxTime, maxRate)
	case o.sources < 0 || o.sources > maxSources:
		return fmt.Errorf("--sources %d: want 0 to %d", o.sources, maxSources)
	case o.sources > 0 && !onLoopback(host):
		return fmt.Errorf("--sources: %s is not an IPv4 loopback address, and only those can be reached from "+
			"127.0.0.0/8", host)
	case strings.ContainsAny(o.User+o.Password+o.Mailbox, "\r\n\x00"):
		return errors.New("--user, --password and --mailbox: want no line end and no NUL")
	}
	if o.sources == 0 && o.Sessions > portsPerSource && onLoopback(host) {
		o.sources = 1 + o.Sessions/portsPerSource
	}
	return nil
}

func onLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4() && a.IsLoopback()
}

func parsePIDs(text string) ([]int, error) {
	var pids []int
	for _, word := range rig.SplitList(text) {
		pid, err := strconv.Atoi(word)
		if err != nil || pid < 1 {
			return nil, fmt.Errorf("--proxy-pid %q: want process ids", word)
		}
		if _, err := os.Stat(rig.ProcDir(pid)); err != nil {
			return nil, fmt.Errorf("--proxy-pid %d: there is no such process", pid)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// parseSize reads a number of bytes, with k or m after it for 2^10 or 2^20.
func parseSize(text string) (int, error) {
	digits := strings.TrimRight(strings.ToLower(text), "kmib")
	n, err := strconv.Atoi(digits)
	switch strings.ToLower(text)[len(digits):] {
	case "":
	case "k", "kib":
		n <<= 10
	case "m", "mib":
		n <<= 20
	default:
		n = 0
	}
	if err != nil || n < 1 || n > rig.FastBodySize {
		return 0, fmt.Errorf("%q: want bytes, such as 8k or 64m, which is the most", text)
	}
	return n, nil
}

// newTarget returns the server of the options. Its certificate is not verified: a load must run before there is a real
// one.
func (o *Options) newTarget() *Target {
	t := &Target{Addr: o.Proxy, TLS: o.TLS, user: o.User, password: o.Password, users: int64(o.Users), Limit: o.Limit}
	if o.TLS != "off" {
		host, _, _ := net.SplitHostPort(o.Proxy) // check has seen to it
		t.config = &tls.Config{ServerName: host, InsecureSkipVerify: true,
			CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
	}
	for i := range o.sources {
		t.sources = append(t.sources, netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}))
	}
	return t
}
