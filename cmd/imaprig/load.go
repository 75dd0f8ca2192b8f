package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// loadMode is a kind of load.
type loadMode struct {
	name       string
	summary    string
	sessions   int      // at once, unless told otherwise
	operations []string // what is counted, the first for rates and costs
	run        func(ctx context.Context, r *loadRun) error
}

func loadModes() []loadMode {
	return []loadMode{
		{"login", "connect, log in, log out, again and again", 32, []string{"session", "LOGIN"}, loadLogin},
		{"rtt", "NOOP on every session, one after the other", 32, []string{"NOOP"}, loadRTT},
		{"fetch", "read a message on every session, again and again", 8, []string{"FETCH"}, loadFetch},
		{"append", "store a message on every session, again and again: for a test mailbox", 8, []string{"APPEND"}, loadAppend},
		{"idle", "hold sessions in IDLE, and tell what one costs the proxy in memory", 1000, []string{"session"}, loadIdle},
		{"mixed", "a day of mail clients: SELECT, FETCH, IDLE, some leave without LOGOUT", 50, []string{"session", "LOGIN", "SELECT", "FETCH", "NOOP", "IDLE", "LOGOUT"}, loadMixed},
		{"scale", "what many sessions do to busy ones and to logins, and the descriptor limit to all", 9500, []string{"NOOP"}, loadScale},
	}
}

func modesHelp() string {
	var b strings.Builder
	for _, m := range loadModes() {
		fmt.Fprintf(&b, "  %-7s %s (%d sessions)\n", m.name, m.summary, m.sessions)
	}
	return b.String()
}

// findMode takes the words that are no flags.
func findMode(words []string) (loadMode, error) {
	var names []string
	for _, m := range loadModes() {
		if len(words) == 1 && m.name == words[0] {
			return m, nil
		}
		names = append(names, m.name)
	}
	return loadMode{}, fmt.Errorf("want one MODE, of %s; got %q", strings.Join(names, ", "), words)
}

// runLoad is the subcommand.
func runLoad(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseLoad(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return rig.ExitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "imaprig load: %v\n", err)
		return rig.ExitUsage
	}
	if err = rig.MayWrite(o.json, o.html); err == nil {
		var result *loadResult
		if result, err = o.run(ctx, stderr, o.mode.name); result != nil {
			err = errors.Join(err, result.report(stdout, o.json, o.html))
			if err == nil && len(result.Errors)+len(result.missed()) > 0 {
				return rig.ExitFailed
			}
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "imaprig load: %v\n", err)
		return rig.ExitFailed
	}
	return rig.ExitOK
}

// run carries the load out; name is what its progress is called. The result holds what was found before an error, too.
func (o *loadOptions) run(ctx context.Context, stderr io.Writer, name string) (*loadResult, error) {
	if err := rig.RaiseOpenFileLimit(); err != nil {
		return nil, err
	}
	if limit := rig.OpenFileLimit(); o.sessions+spareFiles > limit {
		return nil, fmt.Errorf("%d sessions need as many descriptors, and the limit is %d: raise it with ulimit -n", o.sessions, limit)
	}
	r := &loadRun{opts: *o, target: o.newTarget(), meter: newMeter(o.mode.operations...), progress: newLoadProgress(stderr, name)}
	r.result = &loadResult{Mode: o.mode.name, Proxy: o.proxy, TLS: o.tls, Sessions: o.sessions, Began: time.Now().Truncate(time.Second)}
	defer r.progress.over()
	if o.mode.name == "append" {
		b, err := rig.NewBody(o.size)
		if err != nil {
			return nil, err
		}
		r.body = b
	}
	err := o.mode.run(ctx, r)
	if r.body != nil {
		err = errors.Join(err, r.body.Close())
	}
	r.result.take(r.meter, len(o.pids) > 0)
	return r.result, err
}
