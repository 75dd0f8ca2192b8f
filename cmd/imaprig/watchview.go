package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

// view is one look at the sockets of the watched ports.
type view struct {
	at      time.Time
	groups  []viewGroup
	level   level
	reasons []string // why the level is not OK
	notes   []string // what is remarkable, and changes no level
	counts  map[rig.Side]int
	oldest  map[rig.Side]time.Duration
}

// viewGroup adds the age of the oldest socket, which only those in CLOSE_WAIT have.
type viewGroup struct {
	rig.SocketGroup
	oldest time.Duration
}

// look reads the sockets, keeps the tracker up to date and judges. No socket at all on a port, not even a listener,
// is UNKNOWN: the port is mistaken, or its server is down.
func look(o watchOptions, t *tracker, now time.Time) (view, error) {
	all, err := o.read()
	if err != nil {
		return view{}, err
	}
	return o.view(all, t, now), nil
}

func (o watchOptions) view(all []wire.TableEntry, t *tracker, now time.Time) view {
	v := view{at: now, counts: map[rig.Side]int{}, oldest: map[rig.Side]time.Duration{}}
	var mine []wire.TableEntry
	for _, port := range o.ports {
		mine = append(mine, rig.SocketsOn(all, port, rig.ServerSide)...)
		mine = append(mine, rig.SocketsOn(all, port, rig.ClientSide)...)
	}
	t.observe(mine, now)
	for _, g := range rig.GroupSockets(all, o.ports) {
		vg := viewGroup{SocketGroup: g}
		if g.State == wire.StateCloseWait {
			vg.oldest = t.oldest(membersOf(all, g), now)
			v.counts[g.Side] += g.Count
			v.oldest[g.Side] = max(v.oldest[g.Side], vg.oldest)
		}
		v.groups = append(v.groups, vg)
	}
	v.judge(o)
	return v
}

func membersOf(all []wire.TableEntry, g rig.SocketGroup) []wire.TableEntry {
	var members []wire.TableEntry
	for _, s := range rig.SocketsOn(all, g.Port, g.Side) {
		if s.State == g.State && rig.Examine(s) == g.Finding {
			members = append(members, s)
		}
	}
	return members
}

func (v *view) judge(o watchOptions) {
	for _, port := range o.ports {
		if v.hasGroup(port, func(g viewGroup) bool { return g.Side == rig.ServerSide }) &&
			!v.hasGroup(port, func(g viewGroup) bool { return g.State == wire.StateListen }) {
			v.notes = append(v.notes, "nothing listens on "+o.name(port))
		}
	}
	for _, sd := range []rig.Side{rig.ServerSide, rig.ClientSide} {
		lv, reason := o.thresholds.judge(sd, v.counts[sd], v.oldest[sd])
		if lv > levelOK {
			v.level = max(v.level, lv)
			v.reasons = append(v.reasons, reason)
		}
	}
	if v.level > levelOK {
		return
	}
	for _, port := range o.ports {
		if !v.hasGroup(port, func(viewGroup) bool { return true }) {
			v.level = levelUnknown
			v.reasons = append(v.reasons, o.nothingThere(port))
		}
	}
}

func (v *view) hasGroup(port uint16, fits func(viewGroup) bool) bool {
	return slices.ContainsFunc(v.groups, func(g viewGroup) bool { return g.Port == port && fits(g) })
}

// table returns the live view.
func (v view) table(o watchOptions) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s  %s  %s  %s\n", v.at.Format(time.TimeOnly), o.title(), v.level,
		strings.Join(slices.Concat(v.reasons, v.notes), "; "))
	t := o.thresholds
	fmt.Fprintf(&out, "CLOSE_WAIT: warning above %d sockets or %v, critical above %d or %v\n\n", t.warnCount, t.warnAge,
		t.critCount, t.critAge)
	table := term.NewTable("PORT", "SIDE", "STATE", "SOCKETS", "RECV-Q", "SEND-Q", "OLDEST", "MEANING")
	for _, g := range v.groups {
		oldest := "-"
		if g.State == wire.StateCloseWait {
			oldest = g.oldest.Truncate(time.Second).String()
		}
		table.Add(g.Port, g.Side, g.State, g.Count, g.recvQ(), g.SendQ, oldest, g.Diagnosis())
	}
	fmt.Fprintln(&out, table)
	return out.Bytes()
}

func (g viewGroup) recvQ() string {
	if g.MinRecvQ == g.MaxRecvQ {
		return fmt.Sprint(g.MinRecvQ)
	}
	return fmt.Sprintf("%d-%d", g.MinRecvQ, g.MaxRecvQ)
}

// plugin returns the output of a monitoring plugin: one line with performance data after the bar, then the diagnosis.
func (v view) plugin(o watchOptions) []byte {
	var out bytes.Buffer
	reasons := v.reasons
	if len(reasons) == 0 {
		reasons = []string{fmt.Sprintf("%s on the server's side, %d on the client's",
			socketCount(v.counts[rig.ServerSide]), v.counts[rig.ClientSide])}
	}
	text := strings.Join(slices.Concat(reasons, v.notes), "; ")
	if o.state == "" {
		text += "; ages unknown without --state FILE"
	}
	fmt.Fprintf(&out, "CLOSE_WAIT %s - %s |", v.level, text)
	t := o.thresholds
	for _, sd := range []rig.Side{rig.ServerSide, rig.ClientSide} {
		fmt.Fprintf(&out, " %s=%d;%d;%d;0", sd, v.counts[sd], t.warnCount, t.critCount)
		if o.state != "" {
			fmt.Fprintf(&out, " %s_oldest=%.0fs;%.0f;%.0f;0", sd, v.oldest[sd].Seconds(), t.warnAge.Seconds(),
				t.critAge.Seconds())
		}
	}
	out.WriteByte('\n')
	for _, g := range v.groups {
		if g.State == wire.StateCloseWait {
			fmt.Fprintf(&out, "%s, %s's side: %d with Recv-Q %s: %s\n", o.name(g.Port), g.Side, g.Count, g.recvQ(),
				g.Diagnosis())
		}
	}
	return out.Bytes()
}
