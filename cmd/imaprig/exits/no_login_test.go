package exits

import (
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestNoLogin wants the reason why no login is possible through a proxy to be said once, in the proxy's own words and,
// where it sends literals that the server does not take, as that.
func TestNoLogin(t *testing.T) {
	refuses := map[string]string{"LOGIN": "TAG BAD unexpected {\r\n"}
	const literals = "it sends the name and the password of LOGIN as literals, and the server takes none there"
	for _, tt := range []struct {
		name    string
		server  scripted
		sends   bool // literals
		because string
	}{
		{"the server takes no literals", scripted{answers: refuses}, true, literals + ` (LOGIN: "BAD unexpected {")`},
		{"the server takes literals", scripted{}, true, `LOGIN: "BAD unexpected {"`},
		{"the proxy sends none", scripted{answers: refuses}, false, `LOGIN: "BAD unexpected {"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := smallResult()
			r.Proxies = r.Proxies[:1]
			p := &r.Proxies[0]
			p.Cells = []*cellResult{{cell: cell{"as-is", "before-login"}}}
			for _, ending := range []string{"idle", "in-idle", "logout", "rst", "half-close"} {
				p.Cells = append(p.Cells, &cellResult{cell: cell{"as-is", ending}})
			}
			p.Misses = nil
			x := &proxyRun{
				proxy: &rig.Proxy{Name: "nginx", Literals: tt.sends,
					Addr: rigtest.Addr(scripted{answers: refuses}.start(t, rigtest.AnyPort))},
				facts: backendFacts{addr: rigtest.Addr(tt.server.start(t, rigtest.AnyPort))},
			}
			if err := x.tryLogin(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := writeText(&out, r); err != nil {
				t.Fatal(err)
			}
			sentence := "nginx can't log in to this server: " + tt.because + "; so 5 of 6 cells were not run. "
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), sentence) { // it is wrapped
				t.Errorf("want %q in\n%s", sentence, out.String())
			}
			for _, want := range []string{
				"\n  MISSED   a login through nginx: " + tt.because + "\n",
				"\n  NOT RUN  5 cells: no login is possible through nginx\n",
			} {
				if strings.Count(out.String(), want) != 1 {
					t.Errorf("want once %q in\n%s", want, out.String())
				}
			}
			if r.misses() != 1 {
				t.Errorf("%d misses, want 1", r.misses())
			}
		})
	}
}

// TestHeadline names every fault, with the modes while they are few.
func TestHeadline(t *testing.T) {
	all := func(faults ...string) []verdict {
		var vs []verdict
		for i, f := range faults {
			vs = append(vs, verdict{Mode: string(rune('a' + i)), Fault: f})
		}
		return vs
	}
	for _, tt := range []struct {
		verdicts []verdict
		want     string
	}{
		{all(faultNone, faultClosesFirst), "the server closes cleanly in all of 2 modes"},
		{all(faultNone, faultUnknown), "no fault of the server was seen in 1 of 2 modes; the others were not judged"},
		{all(faultPolls, faultNone, faultPolls, faultStuck),
			"the server has a fault in 3 of 4 modes: polls available() (a, c); stuck workers (d)"},
		{all(faultPolls, faultStuck, faultKeeps, faultByeStays),
			"the server has a fault in 4 of 4 modes: polls available() (a); stuck workers (b); keeps connections " +
				"that are over (c); says BYE and stays (d)"},
		{all(faultPolls, faultStuck, faultKeeps, faultByeStays, faultWantsLogout),
			"the server has a fault in 5 of 5 modes: polls available(), stuck workers, keeps connections that are " +
				"over, says BYE and stays, wants LOGOUT"},
	} {
		if got := headline(tt.verdicts); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestUnplanned has sessions that failed without a proxy said at the top.
func TestUnplanned(t *testing.T) {
	r := recorded(t, proxyDirect)
	p := &r.Proxies[0]
	if text := p.proxyVerdict(r); text != "" {
		t.Errorf("all as planned: %q, want nothing", text)
	}
	p.Cells[2].Problem, p.Cells[2].Misses = "LOGIN: too many", []miss{{Target: targetPlanned, Found: 3}}
	const want = "Sessions have failed in 1 of "
	if text := p.proxyVerdict(r); !strings.HasPrefix(text, want) || !strings.HasSuffix(text, ": LOGIN: too many") {
		t.Errorf("%q, want %q and the problem", text, want)
	}
}
