package main

import (
	"flag"
	"fmt"
	"net/http"
)

func kickCommand() command {
	return command{
		name:    "kick",
		extra:   "user",
		summary: "ends sessions of a running proxy: one, a user's, or a backend's",
		details: `
Exactly one of --session, --user and --backend is needed; a NAME without a flag is a
user's. Each session ends at
its next safe point: the client reads BYE, the backend LOGOUT. What has not come
to one after limits.kick_timeout is cut. Exit code 1 when no session is meant.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := adminFlags(fs)
			c := choiceFlags(fs)
			return func(p *program, _ []string) int { return p.kick(o, c) }
		},
	}
}

func (p *program) kick(o *adminOptions, c *choice) int {
	q := c.parameters("session")
	if len(q) != 1 {
		return p.wrongUsage("kick takes exactly one of --session, --user and --backend")
	}
	k, raw, err := answerOf[kicked](p, o, http.MethodPost, "/kick", q)
	if err != nil {
		return p.failure("%v", err)
	}
	if o.json {
		_, _ = p.stdout.Write(raw)
	}
	if k.Kicked == 0 {
		hint := ""
		if c.user != "" {
			hint = ", and --session takes an id"
		}
		return p.failure("there is no such session; `imapproxy sessions` lists them%s", hint)
	}
	if !o.json {
		_, _ = fmt.Fprintf(p.stdout, "%s kicked\n", counted(k.Kicked, "session"))
	}
	return exitOK
}
