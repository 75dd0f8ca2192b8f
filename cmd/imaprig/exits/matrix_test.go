package exits

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// smallResult has a cell of each kind: met, missed, not run.
func smallResult() *runResult {
	met := counted("good", "idle", at(1, 0, 5, 10, 5), at(10, 0, 0, 0, 0))
	met.Series = []point{{Seconds: 0, Established: 5, ProxyFDs: 10, JavaFDs: 5},
		{Seconds: 1, Established: 5, ProxyFDs: 10, JavaFDs: 5}, {Seconds: 10}}
	missed := counted("stuck-worker", "idle", at(1, 4, 0, -1, 4), at(10, 4, 0, -1, 4))
	missed.Opened, missed.Expected, missed.Problem = 4, 4, "LOGIN: <b>EOF</b>"
	missed.Counts[1].Backend[wire.StateCloseWait] = stateCount{Sockets: 4, MinRecvQ: 1, MaxRecvQ: 11}
	missed.Series = []point{{Seconds: 0, CloseWait: 4, JavaFDs: 4}, {Seconds: 10, CloseWait: 4, JavaFDs: 4}}
	notRun := &cellResult{cell: cell{"good", "vanish"}, Sessions: 5, NotRun: "no root"}
	p := proxyResult{Name: "nginx", Version: "nginx/1", Settings: "none", Seconds: 12,
		Cells: []*cellResult{met, missed, notRun},
		Java: map[string]rig.JavaCounts{"good": {Accepted: 5, Closed: 5, EOF: 5},
			"stuck-worker": {Accepted: 4, NeverRead: 4, Polluted: 1}}}
	for _, c := range p.Cells {
		c.Misses = judge(c)
	}
	p.Misses = judgeRun(&p)
	return &runResult{Began: time.Unix(0, 0).UTC(), Sessions: 5, After: []float64{1, 10}, Proxies: []proxyResult{p}}
}

const smallTable = `nginx (nginx/1), 5 sessions a cell, 12 s
set: none
CW, EST: the backend's sockets in CLOSE_WAIT (q: their Recv-Q) and ESTABLISHED; PROXY, JAVA: descriptors left there

MODE          ENDING  SESSIONS  1s: CW  EST  PROXY  JAVA  10s: CW  EST  PROXY  JAVA  TARGETS
good          idle    5         0       5    10     5     0        0    0      0     ok
stuck-worker  idle    4 of 5    4 q1    0    -      4     4 q1-11  0    -      4     ` +
	`MISSED: backend sockets, sessions as planned
good          vanish  5                                                              not run

3 cells: every target holds in 1, missed in 1, not run 1
  MISSED   stuck-worker/idle: server sockets: 4 after 10 s, must be 0
  MISSED   stuck-worker/idle: sessions as planned: 1 after 10 s, must be 0
           stuck-worker/idle: LOGIN: <b>EOF</b>
  NOT RUN  good/vanish: no root
  MISSED   in the whole run: messages with a LOGOUT in them, mode stuck-worker: 1 after 12 s, must be 0

What the backend saw, by mode. RST is a reset before any LOGOUT, as it has to be in a message broken off:
MODE          ACCEPTED  CLOSED  LOGOUT  EOF  RST  ITSELF  NEVER READ  STORED  TRUNCATED  LOGOUT IN MESSAGE
good          5         5       0       5    0    0       0           0       0          0
stuck-worker  4         0       0       0    0    0       4           0       0          1

`

func TestTables(t *testing.T) {
	var out strings.Builder
	if err := writeText(&out, smallResult()); err != nil {
		t.Fatal(err)
	}
	if out.String() != smallTable {
		t.Errorf("got\n%s\nwant\n%s", out.String(), smallTable)
	}
	if n := smallResult().misses(); n != 3 {
		t.Errorf("%d misses, want 3", n)
	}
}

const smallComparison = `The proxies compared, after 10s: CLOSE_WAIT / descriptors in the proxy / in Java

MODE          ENDING  nginx      imapproxy
good          idle    0 / 0 / 0  0 / 0 / 0
stuck-worker  idle    4 / - / 4 *  0 / 0 / 4
good          vanish  not run    not run
`

func TestComparison(t *testing.T) {
	r := smallResult()
	other := r.Proxies[0]
	other.Name = "imapproxy"
	other.Cells = slices.Clone(other.Cells)
	other.Cells[1] = counted("stuck-worker", "idle", at(1, 0, 0, 0, 4), at(10, 0, 0, 0, 4))
	r.Proxies = append(r.Proxies, other)
	var out strings.Builder
	comparison(&out, r)
	squeeze := func(text string) string { return regexp.MustCompile(` +`).ReplaceAllString(text, " ") }
	if squeeze(out.String()) != squeeze(smallComparison) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), smallComparison)
	}
}

// TestHTML reads the page as XML, which tells that every tag is closed, and finds the cells and their charts in it.
func TestHTML(t *testing.T) {
	var out strings.Builder
	if err := writeHTML(&out, smallResult()); err != nil {
		t.Fatal(err)
	}
	external := regexp.MustCompile(`(?i)https?:|src=|href="[^#]|url\(|@import`).FindString(out.String())
	if external != "" {
		t.Errorf("the page refers to something outside: %q", external)
	}
	found := map[string]int{}
	in := xml.NewDecoder(strings.NewReader(out.String()))
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		found[e.Name.Local]++
		for _, a := range e.Attr {
			if a.Name.Local == "class" {
				found[e.Name.Local+"."+a.Value]++
			}
		}
	}
	want := map[string]int{"tr.ok": 1, "tr.missed": 1, "tr.notrun": 1, "svg": 2, "polyline": 8, "polyline.cw": 2,
		"line.limit": 2, "td.n first wrong": 1, "b": 1, "script": 0}
	for name, n := range want {
		if found[name] != n {
			t.Errorf("%d of %s, want %d", found[name], name, n)
		}
	}
	for _, text := range []string{"4 q1-11", "LOGIN: &lt;b&gt;EOF&lt;/b&gt;", "MISSED: backend sockets",
		"not run: no root",
		"after 10 s"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the page does not hold %q", text)
		}
	}
}

func TestChart(t *testing.T) {
	c := smallResult().Proxies[0].Cells[1]
	svg := string(chart(c))
	// 4 of 5 sessions from the beginning to the end, within a frame of 3 units.
	if want := `<polyline class="cw" points="3.0,10.6 217.0,10.6 "/>`; !strings.Contains(svg, want) {
		t.Errorf("no %s in %s", want, svg)
	}
	if chart(&cellResult{}) != "" {
		t.Error("a cell that was not run has a chart")
	}
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	o := options{json: filepath.Join(dir, "r.json"), html: filepath.Join(dir, "r.html")}
	if err := o.mayWrite(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := o.report(smallResult(), &out); err != nil {
		t.Fatal(err)
	}
	var back runResult
	if err := json.Unmarshal([]byte(rigtest.ReadFile(t, o.json)), &back); err != nil {
		t.Fatal(err)
	}
	c := back.Proxies[0].Cells[1]
	if c.Mode != "stuck-worker" || c.Counts[1].Backend[wire.StateCloseWait].MaxRecvQ != 11 || len(c.Misses) != 2 {
		t.Errorf("the second cell came back as %+v", c)
	}
	if !strings.HasSuffix(rigtest.ReadFile(t, o.html), "</html>\n") {
		t.Error("the page does not end as a page does")
	}
	o.html = filepath.Join(dir, "no", "such")
	rigtest.CheckError(t, o.mayWrite(), "no/such")
	rigtest.CheckError(t, o.report(smallResult(), &out), "no/such")
}
