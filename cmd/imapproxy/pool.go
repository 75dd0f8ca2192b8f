package main

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"imapproxy/backend"
)

func poolCommand() command {
	return command{
		name:    "pool",
		summary: "shows what a running proxy's pooled backend connections are doing",
		details: `
One line for each target with a pool, and one for all of them. The columns, with
the names that PgBouncer's SHOW POOLS has for them:

LEASED      in a session's hands (cl_active, sv_active)
WAITING     logins that wait for a connection (cl_waiting)
IDLE        ready for the same user's next session (sv_idle)
CHECKING    idle, and asked by NOOP (sv_used)
RESETTING   on the way back (sv_tested)
DIALLING    being made and logged in (sv_login)
SPARE       greeted, not logged in
MAXWAIT     how long the first of those that wait has waited (maxwait)
HITS        logins that got a connection that was there
MISSES      logins for which one had to be made
NOT REUSED  connections that were not used again, by why`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := adminFlags(fs)
			return func(p *program, _ []string) int { return p.pool(o) }
		},
	}
}

func (p *program) pool(o *adminOptions) int {
	list, raw, err := answerOf[[]backend.PoolStats](p, o, http.MethodGet, "/pool", nil)
	if err != nil {
		return p.failure("%v", err)
	}
	if o.json {
		_, _ = p.stdout.Write(raw)
		return exitOK
	}
	t := newTable(p.stdout, "TARGET", "LEASED", "WAITING", "IDLE", "CHECKING", "RESETTING", "DIALLING", "SPARE",
		"MAXWAIT",
		"HITS", "MISSES", "WAITS", "NOT REUSED")
	total := backend.PoolStats{Target: "(all)", NotReused: map[string]uint64{}}
	for _, s := range list {
		poolRow(t, s)
		total.Add(s)
	}
	poolRow(t, total)
	t.end()
	return exitOK
}

func poolRow(t *table, s backend.PoolStats) {
	row := []string{s.Target}
	for _, n := range []int{s.Leased, s.Waiting, s.Idle, s.Checking, s.Resetting, s.Dialling, s.Spare} {
		row = append(row, fmt.Sprint(n))
	}
	row = append(row, s.MaxWait.Round(time.Millisecond).String())
	for _, n := range []uint64{s.Hits, s.Misses, s.Waits} {
		row = append(row, fmt.Sprint(n))
	}
	var why []string
	for kind, n := range s.NotReused {
		why = append(why, fmt.Sprintf("%s=%d", kind, n))
	}
	slices.Sort(why)
	t.row(append(row, strings.Join(why, " "))...)
}
