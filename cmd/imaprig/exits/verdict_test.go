package exits

import (
	"strings"
	"testing"

	"imapproxy/backend/wire"
)

// TestVerdicts finds the fault of each mode of the Java program in what was counted, without knowing the mode: without
// a proxy, and through two that close, or that cure what can be cured.
func TestVerdicts(t *testing.T) {
	want := map[string][3]string{ // direct, through nginx, through imapproxy
		"good":                    {faultNone, faultNone, faultNone},
		"no-close-without-logout": {faultWantsLogout, faultWantsLogout, faultBrokenAppend},
		"no-close-on-eof":         {faultForgetsClose, faultForgetsClose, faultDescriptors},
		"poll-available":          {faultPolls, faultPolls, faultBrokenAppend},
		"stuck-worker":            {faultStuck, faultStuck, faultDescriptors},
		"stuck-fetch":             {faultStuckSending, faultStuckSending, faultStuckSending},
		"auth-fail":               {faultNone, faultNone, faultNone},
		"auth-fail-noclose":       {faultRefusedLogin, faultRefusedLogin, faultNone},
		"auth-fail-poll":          {faultDeafRefused, faultDeafRefused, faultNone},
		"server-closes-first":     {faultClosesFirst, faultClosesFirst, faultClosesFirst},
		"bye-no-close":            {faultByeStays, faultByeStays, faultByeStays},
		"server-rst":              {faultResetsFirst, faultResetsFirst, faultResetsFirst},
		"login-delay=20000":       {faultDeafInLogin, faultDeafInLogin, faultDeafInLogin},
		"slow-greeting":           {faultNeverGreets, faultNeverGreets, faultNeverGreets},
		"never-accepts":           {faultNeverAccepts, faultNeverAccepts, faultNeverAccepts},
	}
	for _, me := range modeEndings() {
		if _, there := want[me.mode]; !there {
			t.Errorf("no verdict is wanted of mode %s", me.mode)
		}
	}
	for i, proxy := range []string{proxyDirect, "nginx", "imapproxy"} {
		r := recorded(t, proxy)
		if len(r.Verdicts) != len(want) {
			t.Errorf("%s: %d verdicts, want %d", proxy, len(r.Verdicts), len(want))
		}
		for _, v := range r.Verdicts {
			if v.Fault != want[v.Mode][i] || len(v.Also) > 0 || v.Seen != proxy {
				t.Errorf("%s, %s: %q and %q, want %q\n%s", proxy, v.Mode, v.Fault, v.Also, want[v.Mode][i], v.Sentence)
			}
		}
	}
	// together they say what only the backend shows
	for _, v := range recorded(t, "imapproxy", "nginx", proxyDirect).Verdicts {
		if v.Fault != want[v.Mode][0] || v.Seen != proxyDirect {
			t.Errorf("all, %s: %q by %s, want %q", v.Mode, v.Fault, v.Seen, want[v.Mode][0])
		}
	}
}

// left is a trace that was not recorded.
func left(ending string, closeWait int, recvQ uint64, descriptors int) trace {
	return trace{cell: &cellResult{cell: cell{"as-is", ending}}, opened: 5, closeWait: closeWait, recvQ: recvQ,
		descriptors: descriptors, wasHeld: descriptors > 0}
}

// TestDiagnose has servers that the Java program does not play, and runs in which something is missing.
func TestDiagnose(t *testing.T) {
	tests := []struct {
		name   string
		traces []trace
		fault  string
		also   []string
		words  []string // of the sentence
	}{
		{"nothing was run", nil, faultUnknown, nil, []string{"nothing can be said"}},
		{"one ending, clean", []trace{left("idle", 0, 0, 0)}, faultNone, nil, []string{"after the ending idle"}},
		{"one ending, late", []trace{{cell: &cellResult{cell: cell{"as-is", "unanswered"}}, opened: 5, late: true}},
			faultNone, nil, []string{"closes, but late: only in the end nothing was left after the ending unanswered"}},
		{"IDLE alone", []trace{left("idle", 0, 0, 0), left("logout", 0, 0, 0), left("in-idle", 5, 1, 5)},
			faultDeafInIdle,
			nil, []string{"in-idle: 5 of 5 in CLOSE_WAIT, Recv-Q 1"}},
		{"IDLE and refused logins", []trace{left("idle", 0, 0, 0), left("logout", 0, 0, 0), left("in-idle", 5, 1, 5),
			left("login-refused", 5, 0, 5)}, faultDeafInIdle, []string{faultRefusedLogin}, []string{"It also"}},
		{"half-closed alone", []trace{left("idle", 0, 0, 0), left("logout", 0, 0, 0), left("half-close", 5, 0, 5)},
			faultHalfClosed, nil, nil},
		{"LOGOUT was not run", []trace{left("idle", 5, 0, 5)}, faultForgetsOrMore, nil, []string{"was not run"}},
		{"an upstream hangs in FETCH", []trace{left("unanswered", 5, 1, 5)}, faultKeeps, nil, nil},
		{"an upstream hangs in FETCH, and DONE is unread", []trace{left("unanswered", 5, 24, 5)}, faultStuck, nil, nil},
		{"an upstream hangs at any time", []trace{left("idle", 0, 0, 0), left("in-idle", 5, 1, 5),
			left("logout", 5, 12, 5)}, faultStuck, nil, nil},
		{"descriptors can't be seen", []trace{left("backend-never-greets", 5, 1, -1)}, faultNeverGreets, nil, nil},
		{"something else", []trace{left("idle", 0, 0, 0), left("before-login", 5, 0, 5)}, faultKeeps, nil,
			[]string{"before-login: 5 of 5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := traces{}
			for _, x := range tt.traces {
				ts[x.cell.Ending] = x
			}
			v := diagnose(ts)
			if v.Fault != tt.fault || strings.Join(v.Also, ", ") != strings.Join(tt.also, ", ") {
				t.Errorf("%q and %q, want %q and %q", v.Fault, v.Also, tt.fault, tt.also)
			}
			for _, words := range append(tt.words, "the server") {
				if !strings.Contains(v.Sentence, words) {
					t.Errorf("%q, want %q in it", v.Sentence, words)
				}
			}
		})
	}
}

// TestVerdictOnProxies has a sentence on each proxy.
func TestVerdictOnProxies(t *testing.T) {
	tests := []struct {
		proxy       string
		says, never []string
	}{
		{proxyDirect, []string{""}, []string{"direct"}},
		{"imapproxy", []string{"leaves nothing that a proxy can prevent", "every target holds in 58 cells"},
			[]string{"missed"}},
		{"nginx", []string{"only closes, with neither LOGOUT nor reset", "has said BYE", "after the client has gone"},
			[]string{"leaves nothing"}},
		{"perdition", []string{"only closes, with neither LOGOUT nor reset", "clients that have vanished"}, nil},
		{"haproxy", []string{"leaves descriptors open in the server, which a LOGOUT closes"},
			[]string{"CLOSE_WAIT", "vanished"}},
	}
	for _, tt := range tests {
		r := recorded(t, tt.proxy)
		got := r.Proxies[0].proxyVerdict(r)
		for _, words := range tt.says {
			if !strings.Contains(got, words) {
				t.Errorf("%s: %q, want %q in it", tt.proxy, got, words)
			}
		}
		for _, words := range tt.never {
			if strings.Contains(got, words) {
				t.Errorf("%s: %q, with %q in it", tt.proxy, got, words)
			}
		}
	}
}

// TestVerdictOnHeldDescriptors says whether another proxy of the run frees what the server keeps.
func TestVerdictOnHeldDescriptors(t *testing.T) {
	cells := func(descriptors int) []*cellResult {
		return []*cellResult{counted(modeAsIs, "idle", at(70, 0, 0, 0, descriptors)),
			counted(modeAsIs, "in-idle", at(70, 0, 0, 0, descriptors))}
	}
	r := &runResult{Proxies: []proxyResult{{Name: proxyDirect, Direct: true, Cells: cells(0)},
		{Name: "haproxy", Cells: cells(5)}, {Name: "imapproxy", Cells: cells(0)}}}
	const held = "; in 2 of them the server keeps descriptors"
	if got := r.Proxies[1].proxyVerdict(r); !strings.HasSuffix(got, held+"; imapproxy leaves none in 2 of those") {
		t.Errorf("haproxy: %q", got)
	}
	if got := r.Proxies[2].proxyVerdict(r); strings.Contains(got, "descriptors") {
		t.Errorf("imapproxy: %q", got)
	}
	r.Proxies[2].Cells = cells(5)
	if got := r.Proxies[1].proxyVerdict(r); !strings.HasSuffix(got, held+", which no proxy of this run frees") {
		t.Errorf("no proxy frees them: %q", got)
	}
}

func TestCauses(t *testing.T) {
	missed := func(mode, ending string, change func(*cellResult)) *cellResult {
		c := counted(mode, ending, at(10, 0, 0, 0, 0), at(70, 0, 0, 0, 0))
		change(c)
		c.Misses = judge(c)
		return c
	}
	tests := []struct {
		name  string
		cell  *cellResult
		fault string // of the mode
		want  cause
	}{
		{"read", missed("good", "idle", func(c *cellResult) {
			c.Counts[0].Backend[wire.StateCloseWait] = stateCount{Sockets: 5}
		}), faultWantsLogout, causeRead},
		{"unread", missed("good", "idle", func(c *cellResult) { c.Counts[0] = at(10, 5, 0, 0, 5) }), faultPolls,
			causeUnread},
		{"vanished", missed("good", "vanish", func(c *cellResult) { c.Counts[1] = at(70, 0, 5, 10, 5) }), faultNone,
			causeVanish},
		{"vanished, and then kept", missed("no-close-without-logout", "vanish", func(c *cellResult) {
			c.Counts[1] = at(70, 0, 0, 0, 5)
		}), faultWantsLogout, causeHeld},
		{"BYE", missed("bye-no-close", "backend-says-bye", func(c *cellResult) { c.Counts[0] = at(10, 0, 5, 10, 5) }),
			faultByeStays, causeBye},
		{"stays", missed("never-accepts", "backend-never-greets", func(c *cellResult) {
			c.Counts[0] = at(10, 0,
				5, 10, 0)
		}),
			faultNeverAccepts, causeStays},
		{"nobody", missed("good", "idle", func(c *cellResult) { c.Counts[1] = at(70, 0, 0, 0, 5) }), faultStuck,
			causeNoCure},
		{"foreign", missed("good", "idle", func(c *cellResult) { c.Foreign = 1 }), faultNone, causeForeign},
	}
	for _, tt := range tests {
		if len(tt.cell.Misses) == 0 {
			t.Errorf("%s: no target is missed", tt.name)
		}
		if got := causeOf(tt.cell, verdict{Fault: tt.fault}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	failed := missed("good", "idle", func(c *cellResult) { c.Opened, c.Expected, c.Problem = 3, 3, "LOGIN: EOF" })
	if got := causeOf(failed, verdict{}).String(); !strings.HasPrefix(got, faultOpen) ||
		!strings.Contains(got, "3 of 5 sessions") || !strings.Contains(got, "LOGIN: EOF") {
		t.Errorf("sessions that failed: %s", got)
	}
}
