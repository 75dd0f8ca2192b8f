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
	met.Answers = &answers{Seconds: 2, Login: latency{5, 1.5, 20}, Select: latency{5, 0.5, 0.5}}
	missed.Answers = &answers{Seconds: 8, Login: latency{4, 10, 40}, Select: latency{4, 0.5, 1}}
	r := &runResult{Began: time.Unix(0, 0).UTC(), Sessions: 5, After: []float64{1, 10}, Proxies: []proxyResult{p},
		Backend: backendInfo{Kind: kindJava, Name: "the rig's server",
			Source: "testdata/javabackend/JavaBackend.java"},
		Client: clientInfo{"rig1", "INBOX", 1}, Settings: settingsDefaults}
	r.Verdicts = verdicts(r)
	return r
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := writeText(&out, smallResult()); err != nil {
		t.Fatal(err)
	}
	if want := rigtest.ReadFile(t, filepath.Join("testdata", "report.txt")); out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if n := smallResult().misses(); n != 3 {
		t.Errorf("%d misses, want 3", n)
	}
}

const smallComparison = "All cells compared, after 10 s: " + summaryLegend + `

MODE          ENDING  nginx      imapproxy
good          idle    0 / 0 / 0  0 / 0 / 0
stuck-worker  idle    4 q1-11 / - / 4 *  0 / 0 / 4
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

// TestHTML reads the page as XML, so every tag is closed, and finds the cells and their charts in it.
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
	want := map[string]int{"tr.ok": 1, "tr.missed": 1, "tr.notrun": 1, "svg.cell": 2, "svg.answers": 2,
		"polyline": 10, "polyline.cw": 2,
		"line.limit": 2, "td.wrong": 1, "details": 1, "line.p0 most": 4, "script": 0}
	for name, n := range want {
		if found[name] != n {
			t.Errorf("%d of %s, want %d", found[name], name, n)
		}
	}
	for _, text := range []string{"4 q1-11", "LOGIN: &lt;b&gt;EOF&lt;/b&gt;", "MISSED: server sockets 4 after 10 s",
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

// TestReportBegins checks what a reader sees first: with one mode the fault in one sentence, and nothing that reads
// like damage where clients have broken messages off.
func TestReportBegins(t *testing.T) {
	r := recorded(t, proxyDirect, "nginx", "imapproxy")
	for i := range r.Proxies {
		p := &r.Proxies[i]
		p.Cells = slices.DeleteFunc(p.Cells, func(c *cellResult) bool { return c.Mode != "no-close-without-logout" })
		p.Java = map[string]rig.JavaCounts{"no-close-without-logout": {Truncated: 10}}
	}
	r.Verdicts = verdicts(r)
	var out strings.Builder
	if err := writeText(&out, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if !strings.HasPrefix(lines[0], "VERDICT: The server wants LOGOUT: ") {
		t.Errorf("it begins with %q", lines[0])
	}
	for _, text := range []string{"\n  nginx only closes", "\n  imapproxy leaves nothing", "Settings: tuned",
		"\nWhat to change in the server: where read() returns -1",
		"Clients broke off 10 appends, as planned; the server has stored none of them, as it must be."} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("no %q in\n%s", text, out.String())
		}
	}
	for _, text := range []string{"TRUNCATED", "STORED", "JAVA"} {
		if strings.Contains(out.String(), text) {
			t.Errorf("%q is in\n%s", text, out.String())
		}
	}
	r.Proxies[0].StoredUnasked = 2
	if got := r.Proxies[0].Appends(); !strings.Contains(got, "has stored 2 messages: there must be none") {
		t.Errorf("messages were stored, and it says %q", got)
	}
}

// TestMissesHaveCauses wants a cause, and with it who is to blame, above every line that says MISSED.
func TestMissesHaveCauses(t *testing.T) {
	r := recorded(t, "nginx")
	var out strings.Builder
	if err := writeText(&out, r); err != nil {
		t.Fatal(err)
	}
	cause, lines := "", 0
	for line := range strings.Lines(out.String()) {
		switch {
		case strings.HasPrefix(line, "The server's fault: ") || strings.HasPrefix(line, "The proxy's fault: ") ||
			strings.HasPrefix(line, "Nobody could help it: "):
			cause = line
		case strings.TrimSpace(line) == "":
			cause = ""
		case strings.HasPrefix(line, "  MISSED "):
			if lines++; cause == "" {
				t.Errorf("no cause is above %s", line)
			}
		}
	}
	if _, missed, _ := r.Proxies[0].tally(); lines != missed || lines < 28 {
		t.Errorf("%d lines, want one for each of %d cells", lines, missed)
	}
}

func TestAnswers(t *testing.T) {
	began := time.Unix(1000, 0)
	noted := []answerTime{{"LOGIN", began.Add(3 * time.Second), 30 * time.Millisecond},
		{"LOGIN", began.Add(2 * time.Second), 10 * time.Millisecond}, {"SELECT", began.Add(4 * time.Second),
			time.Millisecond},
		{"LOGIN", began.Add(5 * time.Second), 20 * time.Millisecond}}
	got := answersOf(noted, began)
	if want := (answers{2, latency{3, 20, 30}, latency{1, 1, 1}}); got == nil || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := answersOf(nil, began); got != nil {
		t.Errorf("none was answered: %+v", got)
	}
}
