package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"imapproxy/imapproxy"
)

func sessionsCommand() command {
	return command{
		name:    "sessions",
		extra:   "user",
		summary: "lists the sessions of a running proxy",
		details: `
The oldest stand first. AGE is the time since the client connected, QUIET since
bytes last moved, or before the relay since the phase began. DOING is IDLE, or
the command that waits for its answer; the last command is in --json.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := adminFlags(fs)
			c := choiceFlags(fs)
			return func(p *program, _ []string) int { return p.sessions(o, c) }
		},
	}
}

// choiceFlags are the flags that say which sessions are meant.
func choiceFlags(fs *flag.FlagSet) *choice {
	c := &choice{}
	fs.StringVar(&c.id, "session", "", "the session with this `ID`")
	fs.StringVar(&c.user, "user", "", "the sessions of the user `NAME`, as it logged in")
	fs.StringVar(&c.backend, "backend", "", "the sessions at this `BACKEND`: a target's name or an address")
	return c
}

// parameters returns a choice as the parameters of a request; key is what a
// session's id is called.
func (c choice) parameters(key string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{key: c.id, "user": c.user, "backend": c.backend} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (p *program) sessions(o *adminOptions, c *choice) int {
	list, raw, err := answerOf[[]imapproxy.SessionInfo](p, o, http.MethodGet, "/sessions", c.parameters("id"))
	if err != nil {
		return p.failure("%v", err)
	}
	if o.json {
		_, _ = p.stdout.Write(raw)
		return exitOK
	}
	now := time.Now()
	t := newTable(p.stdout, "SESSION", "USER", "CLIENT", "LISTENER", "TLS", "PHASE", "BACKEND", "AGE", "QUIET", "IN",
		"OUT", "DOING")
	for _, i := range list {
		t.row(i.ID, i.User, i.Client, i.Listener, i.TLS, i.Phase, backendOf(i), span(now.Sub(i.Started)),
			span(now.Sub(lastHeard(i))),
			size(i.BytesIn), size(i.BytesOut), doing(i))
	}
	t.end()
	_, _ = fmt.Fprintln(p.stdout, counted(len(list), "session"))
	return exitOK
}

func backendOf(i imapproxy.SessionInfo) string {
	if i.Target == "" {
		return ""
	}
	return i.Target + " " + i.Backend
}

// lastHeard is when something last happened.
func lastHeard(i imapproxy.SessionInfo) time.Time {
	if i.Moved.IsZero() {
		return i.Since
	}
	return i.Moved
}

func doing(i imapproxy.SessionInfo) string {
	if i.Idle {
		return "IDLE"
	}
	return i.Command
}
