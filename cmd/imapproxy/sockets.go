package main

import (
	"flag"
	"fmt"
	"net/http"
	"time"

	"imapproxy/imapproxy"
)

func socketsCommand() command {
	return command{
		name:    "sockets",
		summary: "lists the sockets of a running proxy's sessions with their states",
		details: `
STATE is the kernel's word, and the list is sorted by it; SINCE is how long the
phase has lasted. CLOSE_WAIT means that the peer has closed and the proxy has
not yet: that lasts for limits.half_close_timeout at most.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := adminFlags(fs)
			return func(p *program, _ []string) int { return p.sockets(o) }
		},
	}
}

func (p *program) sockets(o *adminOptions) int {
	list, raw, err := answerOf[[]imapproxy.SocketInfo](p, o, http.MethodGet, "/sockets", nil)
	if err != nil {
		return p.failure("%v", err)
	}
	if o.json {
		_, _ = p.stdout.Write(raw)
		return exitOK
	}
	now := time.Now()
	t := newTable(p.stdout, "STATE", "SIDE", "PEER", "TARGET", "PHASE", "SINCE", "SESSION")
	for _, i := range list {
		t.row(string(i.State), i.Side, i.Peer, i.Target, i.Phase, span(now.Sub(i.Since)), i.Session)
	}
	t.end()
	_, _ = fmt.Fprintln(p.stdout, counted(len(list), "socket"))
	return exitOK
}
