package load

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// smallLoad has something of everything.
func smallLoad() *Result {
	m := newMeter("FETCH")
	m.on.Store(true)
	m.series = []sample{{0, 0, 0, 0}, {0.25, 50, 5e8, 0}, {0.5, 100, 1e9, 2}, {0.75, 200, 2e9, 2}, {1, 300, 3e9, 2}}
	for i := range 300 {
		m.times[0].record(time.Duration(i+1) * 100 * time.Microsecond)
	}
	m.bytes.Store(3e9)
	m.mail.Store(5)
	m.errors.add(failure("FETCH", answerOf([]byte("NO [X] <b>\x1b[31mred"))))
	m.errors.add(failure("FETCH", answerOf([]byte("NO [X] again"))))
	r := &Result{Mode: "fetch", Proxy: "127.0.0.1:143", TLS: "off", Sessions: 8, Began: time.Unix(0, 0).UTC(),
		Seconds: 1, CPUSeconds: 1.5}
	r.Idle = &idleResult{Sessions: 8, HeldSeconds: 2}
	r.Idle.cost(rig.TreeUsage{PSS: 1 << 20, Descriptors: 10}, rig.TreeUsage{PSS: 2 << 20, Descriptors: 26}, 0.02)
	r.take(m, true)
	return r
}

const smallLoadTable = `fetch, 127.0.0.1:143, TLS off, 8 sessions at once, measured for 1.0 s

OPERATION  COUNT  PER SECOND  P50      P90      P99      P99.9    MAX
FETCH      300    300.0       15.0 ms  26.9 ms  29.7 ms  29.9 ms  30.0 ms

messages: 3.00 GB, 3.00 GB/s
new mail reported in IDLE: 5
CPU of the proxy: 1.50 s, 5000.0 µs for each FETCH, 0.500 s/GB
in IDLE: 8 sessions for 2.0 s
memory of the proxy: 1024 KiB before, 2048 KiB with them: 128.00 KiB a session; 2.00 descriptors a session; ` +
	`CPU while they wait: 1.0 % of a core

ERRORS: 2
KIND           COUNT  THE FIRST
FETCH: NO [X]  2      FETCH: "NO [X] <b>\x1b[31mred"
`

func TestLoadTable(t *testing.T) {
	if got := smallLoad().table(); got != smallLoadTable {
		t.Errorf("got\n%s\nwant\n%s", got, smallLoadTable)
	}
	r := smallLoad()
	r.Errors, r.Costed, r.Idle = nil, false, nil
	r.Scale = []ScaleFigure{{"p99", 1234, "µs", "", true}, {"ratio", 1.7, "times", "at most 1.5", false},
		{"sessions", 9500, "", "9500", true}}
	for _, want := range []string{"errors: none", "not measured", "1234 µs", "1.70 times  at most 1.5  MISSED",
		"9500        9500         met"} {
		if !strings.Contains(r.table(), want) {
			t.Errorf("no %q in\n%s", want, r.table())
		}
	}
	if missed := r.missed(); len(missed) != 1 || missed[0].Name != "ratio" {
		t.Errorf("missed %+v", missed)
	}
}

// TestLoadHTML reads the page as XML, which tells that every tag is closed, and finds the charts in it.
func TestLoadHTML(t *testing.T) {
	var out strings.Builder
	if err := writeHTML(&out, smallLoad()); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	if external := regexp.MustCompile(`(?i)https?:|src=|href=|url\(|@import|<script`).FindString(page); external != "" {
		t.Errorf("the page refers to something outside: %q", external)
	}
	found := map[string]int{}
	in := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			found[e.Name.Local]++
		}
	}
	bars := len(smallLoad().Histogram)
	if found["svg"] != 3 || found["rect"] != bars || bars < 10 || found["polyline"] != 2 || found["circle"] != 2 ||
		found["b"] != 0 {
		t.Errorf("found %v, want 3 charts, %d bars, 2 lines and a mark for errors on each", found, bars)
	}
	for _, want := range []string{"Load: fetch", "15.0 ms", "128.00 KiB a session", "2 errors", "&lt;b&gt;", "400/s",
		"4.00 GB/s"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	// The rate of the second stretch, 200 operations a second, is half as high as the frame.
	if !strings.Contains(page, `<polyline class="rate" points="280.0,84.0 500.0,84.0 720.0,10.0 "/>`) {
		t.Errorf("the rates are not where they belong: %s", regexp.MustCompile(`<polyline[^>]*>`).FindString(page))
	}
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	var out strings.Builder
	if err := smallLoad().report(&out, file, page); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal([]byte(rigtest.ReadFile(t, file)), &back); err != nil {
		t.Fatal(err)
	}
	if back.First().Count != 300 || back.Errors[0].Count != 2 || back.Idle.PerSessionKiB != 128 ||
		len(back.Series) != 5 {
		t.Errorf("it came back as %+v", back)
	}
	if !strings.HasSuffix(rigtest.ReadFile(t, page), "</html>\n") {
		t.Error("the page does not end as a page does")
	}
	rigtest.CheckError(t, smallLoad().report(&out, filepath.Join(dir, "no", "such"), ""), "no/such")
}

// TestRates shows two samples in words.
func TestRates(t *testing.T) {
	r := &run{opts: Options{Duration: 10 * time.Second}, meter: newMeter("FETCH")}
	r.meter.errors.add(failure("FETCH", io.EOF))
	want := "2.0 of 10.0 s, 20 FETCH/s, 2.00 GB/s, p99 0 µs, 1 error"
	if got := amountText(9_300); got != "9.3 kB" {
		t.Errorf("9300 bytes are %q", got)
	}
	if got := r.rates(sample{Seconds: 1}, sample{Seconds: 2, Operations: 20, Bytes: 2e9}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
