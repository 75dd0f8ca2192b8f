// Package exits runs faults of a backend against endings of clients, through a proxy, and counts the sockets and
// descriptors that are left.
package exits

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// options are the flags of imaprig exits.
type options struct {
	runOptions
	proxyPID   int
	cells      []cell
	endings    []string // asked for, none = all
	after      []time.Duration
	json, html string // files
}

const help = `usage: imaprig exits --proxy HOST:PORT [flags]
       imaprig exits --peer NAME[,NAME...] [flags]
       imaprig exits --server ADDR --user NAME --peer direct,NAME... [flags]

Runs faults of a Java backend against endings of clients, through a proxy, and counts what is left of the sockets and
descriptors: which proxy, and which backend, leaks. The backend is started by itself. With --proxy it listens on
--backend-port of 127.0.0.1, where the proxy must send every user; --peer starts a proxy (imapproxy, nginx, perdition,
dovecot, haproxy) from its Debian package, with a configuration of its own, for comparison; the peer direct is none:
clients connect to the backend. With --backend davmail the backend is DavMail, with --server any server that runs: its
faults are not known, so what it keeps is shown, and only what the proxy keeps is a target that is missed. Use a user
for tests there, and a time when no other client connects.

Exit code: 0 every target holds, 1 one is missed or the run failed, 2 wrong usage.

`

// Run runs the subcommand exits and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stdout)
	if err != nil {
		return rig.Failed(stderr, "exits", rig.WrongInput(err))
	}
	return opts.runAndReport(ctx, stdout, stderr)
}

// runAndReport reports also what was found before an error.
func (o *options) runAndReport(ctx context.Context, stdout, stderr io.Writer) int {
	err := o.mayWrite()
	result := &runResult{Began: time.Now().Truncate(time.Second), Sessions: o.sessions, Settings: o.settings}
	if err == nil {
		err = o.run(ctx, result, stderr)
	}
	if len(result.Proxies) > 0 {
		err = errors.Join(err, o.report(result, stdout))
	}
	if err != nil {
		return rig.Failed(stderr, "exits", err)
	}
	if result.misses() > 0 {
		return rig.ExitFailed
	}
	return rig.ExitOK
}

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	var modes, endings, after string
	flags := rig.NewFlags("exits")
	o.runOptions.addTo(flags, 200)
	o.serverOptions.addTo(flags)
	flags.IntVar(&o.proxyPID, "proxy-pid", 0, "with --proxy: the `PID` of its first process, to count descriptors in "+
		"it and its children")
	flags.StringVar(&o.settings, "settings", settingsTuned, "the `KIND` of settings of every --peer: tuned, "+
		"to find clients that vanish as soon as each can, or defaults, as it is installed")
	flags.StringVar(&modes, "modes", "", "only these `MODES` of the backend, separated by commas")
	flags.StringVar(&endings, "endings", "", "only these `ENDINGS` of the client, separated by commas")
	flags.StringVar(&after, "after", "1s,10s,30s,70s", "the `TIMES` to count, after the last session of a cell has "+
		"ended")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`")
	flags.StringVar(&o.html, "html", "", "write a page with table and charts to this `FILE`")
	err := rig.ParseFlags(flags, args, help, stdout)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, "\n%s", cellsHelp())
	}
	if err != nil {
		return o, err
	}
	if err := o.checkServer(flags); err != nil {
		return o, err
	}
	o.endings = rig.SplitList(endings)
	if o.cells, err = chooseCells(o.kind, rig.SplitList(modes), o.endings); err != nil {
		return o, err
	}
	if err = checkNames("settings", []string{o.settings}, []string{settingsTuned, settingsDefaults}); err != nil {
		return o, err
	}
	if o.after, err = parseAfter(after, o.latest()); err != nil {
		return o, err
	}
	return o, o.check()
}

// parseAfter reads the times of the counts, of which the last must be as late as the cells are judged.
func parseAfter(text string, latest time.Duration) ([]time.Duration, error) {
	var after []time.Duration
	for _, word := range rig.SplitList(text) {
		d, err := time.ParseDuration(word)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("--after %q: want durations such as 1s,10s,30s,70s", word)
		}
		after = append(after, d)
	}
	slices.Sort(after)
	if len(after) == 0 || after[len(after)-1] < latest {
		return nil, fmt.Errorf("--after %q: the targets of these cells are judged after %v; add that time, or leave "+
			"cells out", text, latest)
	}
	return after, nil
}

// check returns an error for options that exclude each other.
func (o *options) check() error {
	switch {
	case o.proxyPID != 0 && o.proxy == "":
		return errors.New("--proxy-pid goes with --proxy: the process of a peer is known")
	case o.proxyPID < 0:
		return fmt.Errorf("--proxy-pid %d: want a process id", o.proxyPID)
	}
	return o.runOptions.check()
}
