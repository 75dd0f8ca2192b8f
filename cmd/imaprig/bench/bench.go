// Package bench compares our proxy with nginx and HAProxy, and holds it against the targets.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// options are the flags of imaprig bench.
type options struct {
	self     string
	out      string // the page that holds the table, "" for none
	json     string
	rows     []string // parts of names, for some of the rows
	rounds   int
	idle     int // sessions
	scale    int // sessions, 0 = leave it out
	duration time.Duration
	limit    time.Duration // for everything
}

const help = `usage: imaprig bench [flags]

Compares our proxy with nginx and HAProxy on this machine, and the medians with the project's targets. Starts the
proxies, a fast backend and a fast auth_http service on loopback, each in processes of its own, and ends them. In
each round every proxy is put under each load, one after the other, so that the state of the machine is the same for
all. The table is printed, and written into the page --out between the lines "<!-- bench: begin -->" and
"<!-- bench: end -->". A proxy that is not installed is left out, and the table says so.

Exit code: 0 it was measured, whether the targets are met or not; 1 it was not, or not all of it; 2 wrong usage.

`

// Run runs the subcommand bench and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if err != nil {
		return rig.Failed(stderr, "bench", rig.WrongInput(err))
	}
	return rig.Failed(stderr, "bench", o.run(ctx, stdout, stderr))
}

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	var rows string
	flags := rig.NewFlags("bench")
	flags.StringVar(&o.self, "self", "", "our proxy's program `FILE` (without it: next to this one, or "+
		"bin/imapproxy)")
	flags.StringVar(&o.out, "out", "", "write the table into this page, a `FILE` such as docs/performance.md")
	flags.StringVar(&o.json, "json", "", "write every measurement to this `FILE`")
	flags.StringVar(&rows, "rows", "", "only the rows whose names hold one of these `WORDS`, separated by commas, "+
		"such as FETCH,scale")
	flags.IntVar(&o.rounds, "rounds", 3, "the `NUMBER` of times that each load is run on each proxy")
	flags.IntVar(&o.idle, "idle-sessions", 9000, "the `NUMBER` of sessions that the memory of one is measured with")
	flags.IntVar(&o.scale, "scale-sessions", 9500, "the `NUMBER` of sessions at once for what many cost the busy "+
		"ones")
	flags.DurationVar(&o.duration, "duration", 4*time.Second, "measure for this `TIME` each time")
	flags.DurationVar(&o.limit, "limit", 45*time.Minute, "take at most this `TIME` for everything: what does not "+
		"fit in is not run, and the table says so")
	if err := rig.ParseFlags(flags, args, help, stdout); err != nil {
		return o, err
	}
	o.rows = strings.FieldsFunc(rows, func(r rune) bool { return r == ',' })
	switch {
	case o.rounds < 1 || o.rounds > 100:
		return o, fmt.Errorf("--rounds %d: want 1 to 100", o.rounds)
	case o.idle < 1 || o.idle > load.MaxSessions || o.scale < 2*load.ScaleBusy || o.scale > load.MaxSessions:
		return o, fmt.Errorf("--idle-sessions %d, --scale-sessions %d: want up to %d, and at least 1 and %d", o.idle,
			o.scale, load.MaxSessions, 2*load.ScaleBusy)
	case o.duration < 100*time.Millisecond || o.limit < o.duration:
		return o, fmt.Errorf("--duration %v, --limit %v: want at least 100ms, and the second not below the first",
			o.duration, o.limit)
	}
	if names := o.rowNames(); !slices.ContainsFunc(names, o.wants) {
		return o, fmt.Errorf("--rows %s: no row has such a name; there are %s", rows, strings.Join(names, "; "))
	}
	return o, nil
}

// rowNames returns what --rows chooses from.
func (o *options) rowNames() []string {
	var names []string
	for _, r := range rows(o.idle, o.scale) {
		names = append(names, r.name)
	}
	return names
}

// checkOwn returns an error when our own proxy is missing.
func (o *options) checkOwn() error {
	own, err := rig.FindPeer(rig.OwnProxy, o.self)
	if err == nil {
		_, err = own.Program()
	}
	return err
}

// wants reports whether a row was asked for.
func (o *options) wants(name string) bool {
	return len(o.rows) == 0 || slices.ContainsFunc(o.rows, func(word string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(word)))
	})
}

// run measures, and prints and writes the result. What was found before an error is printed too.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := errors.Join(rig.CheckWritable(o.json), mayUpdatePage(o.out), rig.RaiseOpenFileLimit()); err != nil {
		return err
	}
	if err := o.checkOwn(); err != nil {
		return err
	}
	site, err := newEnvironment(o.self)
	if err != nil {
		return err
	}
	b := &run{opts: *o, start: site.start, stderr: stderr, result: newResult(*o)}
	err = b.run(ctx)
	err = errors.Join(err, site.close())
	_, printErr := io.WriteString(stdout, b.result.text())
	err = errors.Join(err, printErr)
	if o.json != "" {
		err = errors.Join(err, rig.WriteFile(o.json, b.result, rig.WriteJSON[result]))
	}
	if o.out != "" {
		err = errors.Join(err, updatePage(o.out, b.result.markdown()))
	}
	return err
}
