package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

// watchOptions are the flags of imaprig watch.
type watchOptions struct {
	watched
	once       bool
	interval   time.Duration
	state      string // file that keeps the ages between runs with --once
	thresholds thresholds
}

const watchHelp = `usage: imaprig watch PORT... [flags]
       imaprig watch --server HOST:PORT [flags]

Shows the TCP sockets of these ports, or of one server, on the server's side and on the side of clients on this machine,
until Ctrl-C. A server in a container has sockets of its own: name one of its processes with --pid, by the number that
the process has outside.

With --once it looks once, prints one line for a monitoring system and ends with 0 OK, 1 WARNING, 2 CRITICAL or
3 UNKNOWN (wrong usage too). Each side is compared with the thresholds separately.

`

// runWatch runs the subcommand watch. Without --once it ends with 0 on Ctrl-C, 1 when the sockets can't be read, 2 on
// wrong usage.
func runWatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseWatch(ctx, args, stdout)
	if err != nil {
		code := rig.Failed(stderr, "watch", rig.WrongInput(err))
		if code == rig.ExitUsage {
			return usageCode(args)
		}
		return code
	}
	if opts.once {
		return watchOnce(opts, time.Now(), stdout)
	}
	return rig.Failed(stderr, "watch", watchLive(ctx, opts, stdout))
}

// usageCode keeps wrong usage from being read as CRITICAL by a monitoring system.
func usageCode(args []string) int {
	if slices.ContainsFunc(args, func(a string) bool { return strings.TrimLeft(a, "-") == "once" }) {
		return int(levelUnknown)
	}
	return rig.ExitUsage
}

func parseWatch(ctx context.Context, args []string, stdout io.Writer) (watchOptions, error) {
	var o watchOptions
	var fdLimit int
	flags := rig.NewFlags("watch")
	flags.BoolVar(&o.once, "once", false, "look once; exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN")
	flags.DurationVar(&o.interval, "interval", time.Second, "the `TIME` between two looks")
	flags.StringVar(&o.server, "server", "", "instead of PORTs: watch only the sockets of this server, `HOST:PORT`, "+
		"with all addresses of HOST")
	flags.StringVar(&o.state, "state", "", "with --once: `FILE` that keeps the ages of sockets between runs, one for "+
		"each check")
	flags.StringVar(&o.netDir, "net", "", "read tcp and tcp6 in this `DIR` (without it: /proc/PID/net with --pid, "+
		"else /proc/self/net)")
	flags.IntVar(&o.pid, "pid", 0, "the `PID` of the server: the sockets of its network namespace are watched, and "+
		"its descriptor limit is used (without it: our own namespace)")
	flags.IntVar(&fdLimit, "fd-limit", 0, "the server's descriptor limit, a `NUMBER`, for --crit-count (without it: "+
		"the limit of --pid, else 1024)")
	flags.IntVar(&o.thresholds.warnCount, "warn-count", 100, "WARNING above this `NUMBER` of sockets in "+
		"CLOSE_WAIT")
	flags.IntVar(&o.thresholds.critCount, "crit-count", 0, "CRITICAL above this `NUMBER` (without it: half of "+
		"the descriptor limit)")
	flags.DurationVar(&o.thresholds.warnAge, "warn-age", 5*time.Minute, "WARNING when a socket was in CLOSE_WAIT "+
		"for longer than this `TIME`")
	flags.DurationVar(&o.thresholds.critAge, "crit-age", 30*time.Minute, "CRITICAL when for longer than this `TIME`")
	words, err := rig.ParseMixed(flags, args, watchHelp, stdout)
	if err != nil {
		return o, err
	}
	if err := o.watch(ctx, words); err != nil {
		return o, err
	}
	if err := checkProcess(o.pid); err != nil {
		return o, err
	}
	if o.netDir == "" {
		o.netDir = filepath.Join(rig.ProcDir(o.pid), "net")
	}
	if o.thresholds.critCount, err = critCount(o.thresholds.critCount, fdLimit, o.pid); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o watchOptions) check() error {
	t := o.thresholds
	switch {
	case o.interval < 10*time.Millisecond:
		return fmt.Errorf("--interval %v: want at least 10ms", o.interval)
	case t.warnCount < 0:
		return fmt.Errorf("--warn-count %d: want 0 or more", t.warnCount)
	case t.warnAge <= 0 || t.critAge < t.warnAge:
		return fmt.Errorf("--warn-age %v, --crit-age %v: want more than 0, and the second not below the first",
			t.warnAge, t.critAge)
	case o.state != "" && !o.once:
		return errors.New("--state goes with --once: the live view remembers by itself")
	}
	return nil
}

func parsePorts(args []string) ([]uint16, error) {
	if len(args) == 0 {
		return nil, errors.New("no port given; for example: imaprig watch 143 993")
	}
	var ports []uint16
	for _, a := range args {
		n, err := strconv.ParseUint(a, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("port %q: want a number from 1 to 65535", a)
		}
		if !slices.Contains(ports, uint16(n)) {
			ports = append(ports, uint16(n))
		}
	}
	return ports, nil
}

// watchOnce prints the plugin line and returns the level as exit code. State that can't be kept makes it UNKNOWN.
func watchOnce(o watchOptions, now time.Time, stdout io.Writer) int {
	v, err := lookOnce(o, now)
	if err != nil {
		fmt.Fprintf(stdout, "CLOSE_WAIT UNKNOWN - %v\n", err)
		return int(levelUnknown)
	}
	if _, err := stdout.Write(v.plugin(o)); err != nil {
		return int(levelUnknown)
	}
	return int(v.level)
}

func lookOnce(o watchOptions, now time.Time) (view, error) {
	t, err := loadTracker(o.state)
	if err != nil {
		return view{}, err
	}
	v, err := look(o, t, now)
	if err != nil {
		return view{}, err
	}
	return v, t.save(o.state)
}

// watchLive draws the table until ctx ends: over itself on a terminal, else one below the other.
func watchLive(ctx context.Context, o watchOptions, stdout io.Writer) error {
	t := newTracker()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	screen := term.NewScreen(stdout)
	for {
		v, err := look(o, t, time.Now())
		if err != nil {
			return err
		}
		if err := screen.Draw(v.table(o)); err != nil {
			return fmt.Errorf("draw the table: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
