package main

import (
	"crypto/tls"
	"errors"
	"flag"
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

// loadOptions are the flags of imaprig load.
type loadOptions struct {
	mode           loadMode
	proxy          string
	pids           []int // of the proxy; may be empty
	tls            string
	user, password string
	users          int
	mailbox        string
	sessions       int
	duration       time.Duration
	message        int // of fetch and mixed
	size           int // bytes, of append
	sources        int
	limit          time.Duration
	json, html     string // files
}

const (
	maxLoadSessions = 100_000
	maxLoadTime     = time.Hour
	maxSources      = 100
	portsPerSource  = 20_000 // of the 28,000 that Linux gives one address, to one destination
	spareFiles      = 100    // descriptors that sessions leave over
)

const loadHelp = `usage: imaprig load MODE --proxy ADDR [flags]

Puts an IMAP proxy or server under load and tells how fast it answers, and what that costs it when its process is named.
The modes:

%s
Any IMAP server will do whose users may log in with --user and --password; imaprig backend is one that costs next to
nothing. Only append changes mailboxes. With TLS the certificate is not verified, sessions are not resumed, and the key
exchange is X25519, as with most mail clients. "append" and "fetch" count each byte of a message, and nothing else.

Exit code: 0 fine, 1 an error was counted or the run failed, 2 wrong usage.

`

func parseLoad(args []string, stdout io.Writer) (loadOptions, error) {
	var o loadOptions
	var pids, size string
	flags := rig.NewFlags("load")
	flags.StringVar(&o.proxy, "proxy", "", "`ADDR` (host:port) of the proxy or server")
	flags.StringVar(&pids, "proxy-pid", "", "its process, or several `PIDS` separated by commas: their CPU time and memory, with those of all their descendants, are shown")
	flags.StringVar(&o.tls, "tls", "off", "off, starttls or implicit")
	flags.StringVar(&o.user, "user", "rig%d", "user `NAME`; %d in it is replaced by the number of the session")
	flags.StringVar(&o.password, "password", "secret", "%d in it is replaced too")
	flags.IntVar(&o.users, "users", 0, "count sessions from 1 to `N` and begin again, for N users; 0 = a number for each session")
	flags.StringVar(&o.mailbox, "mailbox", "INBOX", "`NAME` of the mailbox that is selected, or appended to")
	flags.IntVar(&o.sessions, "sessions", 0, "how many at once (default by mode)")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure")
	flags.IntVar(&o.message, "message", 1, "fetch and mixed: the `NUMBER` of the message; imaprig backend has 8 KiB, 1 MiB and 64 MiB at 1, 2 and 3")
	flags.StringVar(&size, "size", "1m", "append: the message's size, such as 8k or 64m")
	flags.IntVar(&o.sources, "sources", 0, "connect from 127.0.0.1 to 127.0.0.`N`, for more sessions than one address has ports (default: as many as are needed, when the proxy is on loopback)")
	flags.DurationVar(&o.limit, "limit", 15*time.Second, "how long one answer, or one part of a message, may take")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`")
	flags.StringVar(&o.html, "html", "", "write a page with table and charts to this `FILE`")
	words, err := rig.ParseMixed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, loadHelp, modesHelp())
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	if o.mode, err = findMode(words); err != nil {
		return o, err
	}
	if o.sessions == 0 {
		o.sessions = o.mode.sessions
	}
	if o.pids, err = parsePIDs(pids); err != nil {
		return o, err
	}
	if o.size, err = parseSize(size); err != nil {
		return o, fmt.Errorf("--size: %w", err)
	}
	return o, o.check()
}

// check refuses what can't be run.
func (o *loadOptions) check() error {
	host, _, err := net.SplitHostPort(o.proxy)
	switch {
	case o.proxy == "":
		return errors.New("want --proxy ADDR, such as 127.0.0.1:143")
	case err != nil:
		return fmt.Errorf("--proxy %q: want host:port", o.proxy)
	case !slices.Contains([]string{"off", "starttls", "implicit"}, o.tls):
		return fmt.Errorf("--tls %q: want off, starttls or implicit", o.tls)
	case o.sessions < 1 || o.sessions > maxLoadSessions:
		return fmt.Errorf("--sessions %d: want 1 to %d", o.sessions, maxLoadSessions)
	case o.duration < 100*time.Millisecond || o.duration > maxLoadTime:
		return fmt.Errorf("--duration %v: want 100ms to %v", o.duration, maxLoadTime)
	case o.limit < 100*time.Millisecond || o.limit > maxLoadTime:
		return fmt.Errorf("--limit %v: want 100ms to %v", o.limit, maxLoadTime)
	case o.message < 1 || o.users < 0:
		return errors.New("--message and --users: want a number from 1")
	case o.sources < 0 || o.sources > maxSources:
		return fmt.Errorf("--sources %d: want 0 to %d", o.sources, maxSources)
	case o.sources > 0 && !onLoopback(host):
		return fmt.Errorf("--sources: %s is not an IPv4 loopback address, which those of 127.0.0.0/8 can reach alone", host)
	case strings.ContainsAny(o.user+o.password+o.mailbox, "\r\n\x00"):
		return errors.New("--user, --password and --mailbox: want no line end and no NUL")
	}
	if o.sources == 0 && o.sessions > portsPerSource && onLoopback(host) {
		o.sources = 1 + o.sessions/portsPerSource
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

// parseSize reads a number of bytes, with k or m behind it for 2^10 or 2^20.
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

// newTarget is whom the sessions connect to. The certificate is of no interest: a load must run before there is a real one.
func (o *loadOptions) newTarget() *loadTarget {
	t := &loadTarget{addr: o.proxy, tls: o.tls, user: o.user, password: o.password, users: int64(o.users), limit: o.limit}
	if o.tls != "off" {
		host, _, _ := net.SplitHostPort(o.proxy) // check has seen to it
		t.config = &tls.Config{ServerName: host, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
	}
	for i := range o.sources {
		t.sources = append(t.sources, netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}))
	}
	return t
}
