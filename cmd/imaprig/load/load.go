// Package load puts an IMAP proxy or server under load, and finds out how fast it is and what that costs it.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

// Mode is a kind of load.
type Mode struct {
	name       string
	summary    string
	sessions   int      // at once, unless told otherwise
	operations []string // what is counted, the first for rates and costs
	needs      []string // of a session, after the login; see tryOut
	run        func(ctx context.Context, r *run) error
}

func modes() []Mode {
	return []Mode{
		{"login", "connect, log in, log out, again and again", 32, []string{"session", "LOGIN"}, nil, runLogin},
		{"rtt", "NOOP on every session, one after the other", 32, []string{"NOOP"}, nil, runRTT},
		{"fetch", "read a message on every session, again and again", 8, []string{"FETCH"},
			[]string{"SELECT", "message"}, runFetch},
		{"append", "store a message on every session, again and again: for a test mailbox", 8, []string{"APPEND"},
			[]string{"APPEND"}, runAppend},
		{"idle", "hold sessions in IDLE, and report what one costs the proxy in memory", 1000, []string{"session"},
			[]string{"SELECT", "IDLE"}, runIdle},
		{"mixed", "a day of mail clients: SELECT, FETCH, IDLE, some leave without LOGOUT", 50,
			[]string{"session", "LOGIN", "SELECT", "FETCH", "NOOP", "IDLE", "LOGOUT"},
			[]string{"SELECT", "message", "IDLE"}, runMixed},
		{"literals", "APPEND and SEARCH with Nagle's algorithm on, command and literal in two writes", 4,
			[]string{"both", "APPEND", "SEARCH"}, []string{"SELECT"}, runLiterals},
		{"handshakes", "TLS handshakes at a rate, a login after each tenth; that many clients at once, at most", 100,
			[]string{"handshake", "login"}, nil, runHandshakes},
		{"scale", "what many sessions do to busy ones and to logins, and the descriptor limit to all", 9500,
			[]string{"NOOP"}, []string{"SELECT", "IDLE"}, runScale},
	}
}

func modesHelp() string {
	var b strings.Builder
	for _, m := range modes() {
		fmt.Fprintf(&b, "  %-10s %s (%d sessions)\n", m.name, m.summary, m.sessions)
	}
	return b.String()
}

// ModeNames lists the modes.
func ModeNames() []string {
	var names []string
	for _, m := range modes() {
		names = append(names, m.name)
	}
	return names
}

// FindMode returns the mode that the words, those that are no flags, name.
func FindMode(words []string) (Mode, error) {
	for _, m := range modes() {
		if len(words) == 1 && m.name == words[0] {
			return m, nil
		}
	}
	text := "want one MODE, of " + strings.Join(ModeNames(), ", ")
	if len(words) > 0 {
		text += fmt.Sprintf("; got %q", strings.Join(words, " "))
		if near := cli.Nearest(words[0], ModeNames()); len(words) == 1 && near != "" {
			text += "; did you mean " + near + "?"
		}
	}
	return Mode{}, errors.New(text)
}

// Run runs the subcommand load and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if err != nil {
		return rig.Failed(stderr, "load", rig.WrongInput(err))
	}
	if err = rig.CheckWritable(o.json, o.html); err == nil {
		o.tryFirst = true
		var result *Result
		if result, err = o.Run(ctx, stderr, o.Mode.name); result != nil && !result.isEmpty() {
			err = errors.Join(err, result.report(stdout, o.json, o.html))
			if err == nil && len(result.Errors)+len(result.missed()) > 0 {
				return rig.ExitFailed
			}
		}
	}
	return rig.Failed(stderr, "load", err)
}

// Run runs the load; name is shown with its progress. With an error, the result has what was found before it.
func (o *Options) Run(ctx context.Context, stderr io.Writer, name string) (_ *Result, err error) {
	if err := rig.RaiseOpenFileLimit(); err != nil {
		return nil, err
	}
	if limit := rig.OpenFileLimit(); o.Sessions+spareFiles > limit {
		return nil, fmt.Errorf("%d sessions need as many descriptors, and the limit is %d: raise it with ulimit -n",
			o.Sessions, limit)
	}
	r := &run{opts: *o, target: o.newTarget(), meter: newMeter(o.Mode.operations...),
		progress: term.NewProgress(stderr, name)}
	r.result = &Result{Mode: o.Mode.name, Proxy: o.Proxy, TLS: o.TLS, Sessions: o.Sessions,
		Began: time.Now().Truncate(time.Second)}
	defer r.progress.End()
	if o.Mode.name == "append" {
		if r.body, err = rig.NewBody(o.Size); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.body.Close()) }()
	}
	if o.tryFirst {
		if err := r.tryOut(ctx); err != nil {
			return nil, err
		}
	}
	err = o.Mode.run(ctx, r)
	r.result.take(r.meter, len(o.PIDs) > 0)
	return r.result, err
}
