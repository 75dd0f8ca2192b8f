package main

import (
	"flag"
	"fmt"
	"net/http"
)

func drainCommand() command {
	return command{
		name:    "drain",
		summary: "ends a running proxy as SIGTERM does, session by session",
		details: `
The listeners close at once, each client reads BYE at a safe point, and what is
left after limits.drain_timeout is cut. The command does not wait for that;
"imapproxy sessions" shows who is left.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := adminFlags(fs)
			return func(p *program, _ []string) int { return p.drain(o) }
		},
	}
}

func (p *program) drain(o *adminOptions) int {
	d, raw, err := answerOf[draining](p, o, http.MethodPost, "/drain", nil)
	if err != nil {
		return p.failure("%v", err)
	}
	if o.json {
		_, _ = p.stdout.Write(raw)
		return exitOK
	}
	_, _ = fmt.Fprintf(p.stdout, "draining: %s to end\n", counted(d.Sessions, "session"))
	return exitOK
}
