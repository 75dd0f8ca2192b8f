package exits

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// counted is a cell whose sessions all went as planned, with these counts.
func counted(mode, ending string, counts ...count) *cellResult {
	return &cellResult{cell: cell{mode, ending}, Sessions: 5, Opened: 5, Expected: 5, Reached: 5, Counts: counts}
}

func at(seconds float64, closeWait, established, proxyFDs, javaFDs int) count {
	backend := states{}
	for state, n := range map[wire.State]int{wire.StateCloseWait: closeWait, wire.StateEstablished: established} {
		if n > 0 {
			backend[state] = stateCount{Sockets: n, MinRecvQ: 1, MaxRecvQ: 1}
		}
	}
	return count{Planned: seconds, Seconds: seconds + 0.1, Backend: backend, ProxyFDs: proxyFDs, JavaFDs: javaFDs}
}

// vanishedWithDefaults is a cell that would miss every target if the settings had a limit for it.
func vanishedWithDefaults() *cellResult {
	r := counted("good", "vanish", at(30, 0, 5, 10, 5), at(70, 0, 5, 10, 5))
	r.defaults = true
	return r
}

func TestJudge(t *testing.T) {
	clean := at(70, 0, 0, 0, 0)
	some := func(change func(r *cellResult)) *cellResult {
		r := counted("good", "idle", clean)
		change(r)
		return r
	}
	tests := []struct {
		name   string
		result *cellResult
		want   []miss
	}{
		{"clean", counted("good", "idle", at(1, 5, 0, 10, 5), at(10, 0, 0, 0, 0), clean), nil},
		{"CLOSE_WAIT at 10 s", counted("good", "idle", at(1, 5, 0, 10, 5), at(10, 3, 0, 0, 0), clean),
			[]miss{{"server sockets", 3, 10.1}}},
		{"ESTABLISHED at 10 s", counted("good", "idle", at(10, 0, 4, 0, 0), clean),
			[]miss{{"server sockets", 4, 10.1}}},
		{"both", counted("good", "idle", at(10, 1, 4, 0, 0), clean), []miss{{"server sockets", 5, 10.1}}},
		{"descriptor of the proxy at 30 s", counted("good", "idle", at(10, 0, 0, 0, 0), at(30, 0, 0, 2, 0), clean),
			[]miss{{"proxy descriptors", 2, 30.1}}},
		{"the proxy's process is not known", counted("good", "idle", at(10, 0, 0, -1, 0)), nil},
		{"vanished, 10 s", counted("good", "vanish", at(10, 0, 5, 10, 5), at(30, 0, 0, 0, 0), clean), nil},
		{"vanished, 30 s", counted("good", "vanish", at(10, 0, 5, 10, 5), at(30, 0, 5, 10, 5), clean),
			[]miss{{"server sockets", 5, 30.1}, {"proxy descriptors", 10, 30.1}}},
		{"Java closes late", counted("no-close-without-logout", "idle", at(10, 0, 0, 0, 5), clean), nil},
		{"Java never closes", counted("no-close-without-logout", "idle", at(10, 0, 0, 0, 5), at(70, 0, 0, 0, 5)),
			[]miss{{"server descriptors", 5, 70.1}}},
		{"a stuck worker can't close", counted("stuck-worker", "idle", at(10, 0, 0, 0, 5), at(70, 0, 0, 0, 5)), nil},
		{"but its socket has to go", counted("stuck-worker", "idle", at(10, 5, 0, 0, 5)),
			[]miss{{"server sockets", 5, 10.1}}},
		{"stuck fetch", counted("stuck-fetch", "mid-fetch", at(70, 0, 0, 0, 5)), nil},
		{"forgets close()", counted("no-close-on-eof", "logout", at(70, 0, 0, 0, 5)), nil},
		{"slow greeting", counted("slow-greeting", "backend-never-greets", at(70, 0, 0, 0, 5)), nil},
		{"middle of a literal", counted("no-close-without-logout", "mid-append", at(70, 0, 0, 0, 5)), nil},
		{"middle of a literal, good backend", counted("good", "mid-append", at(70, 0, 0, 0, 5)),
			[]miss{{"server descriptors", 5, 70.1}}},
		{"a session failed", some(func(r *cellResult) { r.Opened, r.Expected = 4, 4 }),
			[]miss{{"sessions as planned", 1, 70.1}}},
		{"none reached the backend", some(func(r *cellResult) { r.Reached = 0 }),
			[]miss{{"sessions as planned", 5, 70.1}}},
		{"foreign bytes", some(func(r *cellResult) { r.Foreign = 2 }), []miss{{"foreign bytes", 2, 70.1}}},
		{"vanished, 30 s, default settings", vanishedWithDefaults(), nil},
		{"not run", some(func(r *cellResult) { r.NotRun, r.Opened, r.Counts = "no root", 0, nil }), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(tt.result); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestJudgeRun(t *testing.T) {
	tests := []struct {
		name string
		run  proxyResult
		want []miss
	}{
		{"clean", proxyResult{Java: map[string]rig.JavaCounts{"good": {Truncated: 5}}}, nil},
		{"LOGOUT in a message", proxyResult{Seconds: 90, Java: map[string]rig.JavaCounts{"good": {Polluted: 2}}},
			[]miss{{"messages with a LOGOUT in them, mode good", 2, 90}}},
		{"a message made whole", proxyResult{StoredUnasked: 1},
			[]miss{{"messages stored that no client sent whole", 1, 0}}},
		{"unknown descriptors", proxyResult{Unattributed: 3},
			[]miss{{"server descriptors that belong to no cell", 3, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := judgeRun(&tt.run); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestChooseCells(t *testing.T) {
	all, err := chooseCells(kindJava, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[cell]bool{}
	for _, c := range all {
		if seen[c] {
			t.Errorf("%v is there twice", c)
		}
		seen[c] = true
		if w := endingOf(c); w.open == nil || w.end == nil && !w.vanishes || w.text == "" {
			t.Errorf("%v: its ending is incomplete", c)
		}
	}
	for _, w := range allEndings() {
		if !slices.ContainsFunc(all, func(c cell) bool { return c.Ending == w.name }) {
			t.Errorf("the ending %s is in no cell", w.name)
		}
	}
	if last := all[len(all)-1]; last.Mode != "never-accepts" {
		t.Errorf("the last cell is %v; what fills the accept queue has to be the last", last)
	}
	tests := []struct {
		modes, endings []string
		want           int
		err            string
	}{
		{[]string{"good"}, nil, 12, ""},
		{nil, []string{"login-refused"}, 4, ""},
		{[]string{"good", "auth-fail"}, []string{"idle", "login-refused"}, 3, ""},
		{[]string{"goood"}, nil, 0, `no mode "goood"; there are good, `},
		{nil, []string{"idel"}, 0, `no ending "idel"; there are before-login, `},
		{[]string{"auth-fail"}, []string{"idle"}, 0, "no pair"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.modes, tt.endings), func(t *testing.T) {
			cells, err := chooseCells(kindJava, tt.modes, tt.endings)
			if len(cells) != tt.want {
				t.Errorf("%d cells, want %d: %v", len(cells), tt.want, cells)
			}
			rigtest.CheckError(t, err, tt.err)
		})
	}
}

func TestParseExits(t *testing.T) {
	tests := []struct {
		args []string
		err  string
	}{
		{[]string{"--peer", "nginx"}, ""},
		{[]string{"--peer", "nginx,perdition", "--self", "x"}, ""},
		{[]string{"--proxy", "127.0.0.1:143", "--proxy-pid", "1"}, ""},
		{[]string{"--peer", "nginx", "--endings", "idle", "--after", "10s"}, ""},
		{nil, "want one of --proxy"},
		{[]string{"--proxy", "127.0.0.1:143", "--peer", "nginx"}, "want one of --proxy"},
		{[]string{"--peer", "ngnix"}, `no peer "ngnix"; there are imapproxy, nginx, perdition, dovecot, haproxy`},
		{[]string{"--peer", "nginx", "--proxy-pid", "1"}, "--proxy-pid goes with --proxy"},
		{[]string{"--proxy", "x:1", "--proxy-pid", "-1"}, "want a process id"},
		{[]string{"--peer", "nginx", "--sessions", "0"}, "want 1 to 5000"},
		{[]string{"--proxy", "x:1", "--backend-port", "70000"}, "want 1 to 65535"},
		{[]string{"--peer", "nginx", "--user", "a\nb"}, "no line end"},
		{[]string{"--peer", "nginx", "--after", "1s"}, "judged after 30s"},
		{[]string{"--peer", "nginx", "--endings", "idle", "--after", "1s"}, "judged after 10s"},
		{[]string{"--peer", "nginx", "--after", "1x"}, "want durations"},
		{[]string{"--peer", "nginx", "--modes", "x"}, `no mode "x"`},
		{[]string{"--peer", "nginx", "--settings", "defaults"}, ""},
		{[]string{"--peer", "nginx", "--settings", "fast"}, `no settings "fast"; there are tuned, defaults`},
		{[]string{"127.0.0.1:143"}, "want flags only"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			_, err := parse(tt.args, t.Output())
			rigtest.CheckError(t, err, tt.err)
		})
	}
	o, err := parse([]string{"--self", "x", "--after", "30s,1s, 10s"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Second, 10 * time.Second, 30 * time.Second}; !slices.Equal(o.after, want) ||
		!reflect.DeepEqual(o.peers, nameList{rig.OwnProxy}) {
		t.Errorf("after %v, peers %v; want %v and imapproxy", o.after, o.peers, want)
	}
}

func TestParseExhaust(t *testing.T) {
	tests := []struct {
		args []string
		err  string
	}{
		{[]string{"--peer", "nginx"}, ""},
		{[]string{"--peer", "nginx", "--fd-limit", "0"}, "want 1 or more"},
		{[]string{"--peer", "nginx", "--mode", "auth-fail"}, `no mode "auth-fail"`},
		{[]string{"--peer", "nginx", "--sessions", "-1"}, "want 1 to 5000"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			_, err := parseExhaust(tt.args, t.Output())
			rigtest.CheckError(t, err, tt.err)
		})
	}
}

// TestExpected wants every session at the backend, but where a proxy need not
// go there.
func TestExpected(t *testing.T) {
	want := map[string]int{"before-login": 0, "backend-never-greets": 1}
	for _, w := range allEndings() {
		n, special := want[w.name]
		if !special {
			n = 5
		}
		if got := w.expected(5); got != n || w.expected(0) != 0 {
			t.Errorf("%s: %d of 5 sessions expected, want %d; %d of none", w.name, got, n, w.expected(0))
		}
	}
}

// TestNoVanishing marks cells that can't be run, and says why.
func TestNoVanishing(t *testing.T) {
	tests := []struct {
		run  proxyRun
		want string
	}{
		{proxyRun{nsProblem: "root is needed", proxy: &rig.Proxy{}}, "root is needed"},
		{proxyRun{ns: &rig.Namespace{}, proxy: &rig.Proxy{Name: proxyDirect}, facts: backendFacts{
			info: backendInfo{Kind: kindJava}}}, "the Java program of the rig listens on 127.0.0.1 only"},
		{proxyRun{ns: &rig.Namespace{}, proxy: &rig.Proxy{Name: proxyDirect}},
			"the server can't be reached from the rig's network namespace"},
		{proxyRun{ns: &rig.Namespace{}, proxy: &rig.Proxy{}}, "can't be reached from the rig's network namespace"},
	}
	for _, tt := range tests {
		r := &cellResult{cell: cell{"good", "vanish"}}
		if err := tt.run.drive(t.Context(), r); err != nil || !strings.Contains(r.NotRun, tt.want) {
			t.Errorf("not run: %q, %v; want %q", r.NotRun, err, tt.want)
		}
		if r.Misses = judge(r); len(r.Misses) != 0 || r.Verdict() != "not run" {
			t.Errorf("judged as %v, %q", r.Misses, r.Verdict())
		}
	}
}
