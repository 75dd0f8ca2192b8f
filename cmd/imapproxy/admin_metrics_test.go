package main

import (
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/cmd/imapproxy/logging"
)

// documented is a row of a table in docs/metrics.md.
type documented struct{ kind, unit, labels, meaning string }

var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\| ([^|]*) ?\\| ([^|]*) ?\\| (.*) \\|$")

// documentedMetrics reads the tables of docs/metrics.md.
func documentedMetrics(t *testing.T) map[string]documented {
	t.Helper()
	rows := map[string]documented{}
	for _, m := range metricRow.FindAllStringSubmatch(mustRead(t, "../../docs/metrics.md"), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("docs/metrics.md has %s twice", m[1])
		}
		labels := strings.FieldsFunc(m[4], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		slices.Sort(labels)
		rows[m[1]] = documented{m[2], strings.TrimSpace(m[3]), strings.Join(labels, ","), m[5]}
	}
	return rows
}

var (
	descName   = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]*)"`)
	descLabels = regexp.MustCompile(`(?:variableLabels: |constLabels: )\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`[a-z_]+`)
	labelValue = regexp.MustCompile(`="[^"]*"`)
)

// describedMetrics asks the registries for every metric that there can be,
// with its labels.
func describedMetrics(t *testing.T, registries ...*prometheus.Registry) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, registry := range registries {
		descs := make(chan *prometheus.Desc)
		go func() { defer close(descs); registry.Describe(descs) }()
		for desc := range descs {
			text := desc.String()
			name := descName.FindStringSubmatch(text)
			if name == nil || name[2] == "" {
				t.Errorf("no name or no help: %s", text)
				continue
			}
			var labels []string
			for _, list := range descLabels.FindAllStringSubmatch(text, -1) {
				labels = append(labels, labelName.FindAllString(labelValue.ReplaceAllString(list[1], ""), -1)...)
			}
			slices.Sort(labels)
			all[name[1]] = strings.Join(labels, ",")
		}
	}
	return all
}

// TestMetricsDocumented compares docs/metrics.md with what there is, and with
// what /metrics shows after some traffic.
func TestMetricsDocumented(t *testing.T) {
	r := newAdminRig(t, onSocket)
	r.login("alice").says("z LOGOUT\r\n")
	r.connect().says("a LOGIN alice wrong\r\n")
	r.logged(`"reason":"logout"`)
	_, _, shown := r.ask(r.socket(), "GET", "/metrics", nil)
	lines := logging.NewWriter(io.Discard, 1)
	defer func() { _ = lines.Close(patience) }()
	docs, there := documentedMetrics(t), describedMetrics(t, r.daemon.server.Metrics(),
		processMetrics(lines, &reloads{}))
	for _, name := range slices.Sorted(maps.Keys(there)) {
		labels := there[name]
		d, ok := docs[name]
		switch {
		case !ok:
			t.Errorf("docs/metrics.md lacks %s", name)
		case strings.HasPrefix(name, "imapproxy_") && d.labels != labels:
			t.Errorf("%s: labels %q, documented are %q", name, labels, d.labels)
		}
	}
	for name, d := range docs {
		if _, ok := there[name]; !ok {
			t.Errorf("docs/metrics.md has %s, which there is not", name)
		}
		checkConventions(t, name, d)
	}
	types := regexp.MustCompile(`(?m)^# TYPE (\S+) (\w+)$`).FindAllStringSubmatch(shown, -1)
	for _, m := range types {
		if docs[m[1]].kind != m[2] {
			t.Errorf("%s is a %s, documented as %q", m[1], m[2], docs[m[1]].kind)
		}
	}
	if len(types) < 50 {
		t.Errorf("only %d families shown:\n%s", len(types), shown)
	}
	for _, want := range []string{
		`imapproxy_logins_total{result="granted"} 1`, `imapproxy_session_ends_total{reason="logout"} 1`,
		`imapproxy_leaks_reported_total{kind="orphan"} 0`,
		`imapproxy_backend_endings_total{ending="logout",target="one"} `, `imapproxy_build_info{goversion="go1.`,
	} {
		if !strings.Contains(shown, "\n"+want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// checkConventions holds a name to Prometheus' conventions.
func checkConventions(t *testing.T, name string, d documented) {
	t.Helper()
	if strings.HasSuffix(name, "_total") != (d.kind == "counter") {
		t.Errorf("%s is a %s", name, d.kind)
	}
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(strings.TrimSuffix(name, "_total"), "_"+unit) != (d.unit == unit) {
			t.Errorf("%s has the unit %q", name, d.unit)
		}
	}
	// the two kinds that are 0 or 1
	if d.unit == "" && !strings.HasSuffix(name, "_info") && !strings.HasSuffix(name, "_successful") {
		t.Errorf("%s has no unit", name)
	}
	for label := range strings.SplitSeq(d.labels, ",") {
		if slices.Contains([]string{"user", "client", "session", "peer", "address"}, label) {
			t.Errorf("%s has the label %s: too many values", name, label)
		}
	}
}

// TestDroppedLinesMetric: a log whose reader is stuck is counted, and goes on
// being counted once the loss has been told.
func TestDroppedLinesMetric(t *testing.T) {
	reader, stuck := io.Pipe()
	lines := logging.NewWriter(stuck, 1)
	shown := func() float64 {
		families, err := processMetrics(lines, &reloads{}).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "imapproxy_log_lines_dropped_total" {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return -1
	}
	if n := shown(); n != 0 {
		t.Errorf("%v at first", n)
	}
	for range 10 {
		_, _ = lines.Write([]byte("x\n"))
	}
	before := shown()
	if before < 8 { // one is queued, one may be under way
		t.Errorf("%v of 10", before)
	}
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(io.Discard, reader) }()
	if err := lines.Close(patience); err != nil {
		t.Error(err)
	}
	_ = stuck.Close()
	<-read
	if after := shown(); after != before || lines.Dropped.Load() != 0 {
		t.Errorf("%v, then %v; %d not told", before, after, lines.Dropped.Load())
	}
}

// TestReasonsDocumented compares the reasons in docs/metrics.md with the code.
func TestReasonsDocumented(t *testing.T) {
	find := func(file, pattern string) []string {
		var words []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(mustRead(t, file), -1) {
			words = append(words, m[1])
		}
		slices.Sort(words)
		return words
	}
	code := find("../../imapproxy/reason.go", `endReason = "(\w+)"`)
	docs := find("../../docs/metrics.md", "(?m)^\\| `(\\w+)` \\| [^|]+ \\|$")
	if len(code) < 15 || !slices.Equal(code, docs) {
		t.Errorf("in the code %q\nin docs/metrics.md %q", code, docs)
	}
}

// TestAlerts: every rule is whole, and names metrics and labels that there are.
func TestAlerts(t *testing.T) {
	docs := documentedMetrics(t)
	rules := strings.Split(mustRead(t, "../../docs/alerts.yml"), "\n      - alert: ")[1:]
	if len(rules) < 10 {
		t.Fatalf("only %d rules", len(rules))
	}
	names := map[string]bool{}
	for _, rule := range rules {
		name, body, _ := strings.Cut(rule, "\n")
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		for _, part := range []string{`\n {8}expr: `, `\n {8}labels:\n {10}severity: (page|ticket)\n`,
			`\n {8}annotations:\n {10}summary: "[^"\n]+"\n {10}description: [^:\n]+\n`} {
			if !regexp.MustCompile(part).MatchString("\n" + body) {
				t.Errorf("%s: nothing like %s in\n%s", name, part, body)
			}
		}
		_, expr, _ := strings.Cut(body, "expr: ")
		expr, _, _ = strings.Cut(expr, "\n        labels:")
		checkAlertNames(t, name, expr, docs)
	}
}

var (
	alertMetric = regexp.MustCompile(`\b((?:imapproxy|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	alertLabel  = regexp.MustCompile(`([a-z_]+)\s*[=!]~?"`)
)

// checkAlertNames looks for what an expression names in the documentation,
// which is held to the code.
func checkAlertNames(t *testing.T, name, expr string, docs map[string]documented) {
	t.Helper()
	found := alertMetric.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 && !strings.Contains(expr, "up{") {
		t.Errorf("%s names no metric: %s", name, expr)
	}
	for _, m := range found {
		d, ok := docs[m[1]]
		if !ok {
			d, ok = docs[strings.TrimSuffix(m[1], "_bucket")]
		}
		if !ok {
			t.Errorf("%s names %s, which there is not", name, m[1])
		}
		for _, label := range alertLabel.FindAllStringSubmatch(m[2], -1) {
			if label[1] != "job" && !slices.Contains(strings.Split(d.labels, ","), label[1]) {
				t.Errorf("%s: %s has no label %s", name, m[1], label[1])
			}
		}
	}
}

func TestReloadMetrics(t *testing.T) {
	var r reloads
	r.note(true)
	at := r.at.Load()
	r.note(false)
	if r.good.Load() || at == 0 || r.at.Load() != at {
		t.Errorf("after a bad reload: good %v, read at %d, was %d", r.good.Load(), r.at.Load(), at)
	}
}

// TestCutIsNoFault: no share of endings counts those in which the backend could not be
// asked to close.
func TestCutIsNoFault(t *testing.T) {
	shares := regexp.MustCompile(`\((imapproxy_backend_endings_total[^\[]*)\[`)
	for _, file := range []string{"alerts.yml", "metrics.md"} {
		found := shares.FindAllStringSubmatch(mustRead(t, "../../docs/"+file), -1)
		if len(found) < 2 {
			t.Errorf("docs/%s: %q", file, found)
		}
		for _, f := range found {
			if !slices.Contains([]string{`{ending="reset"}`, `{ending!="cut"}`},
				strings.TrimPrefix(f[1], "imapproxy_backend_endings_total")) {
				t.Errorf("docs/%s: %s counts endings by cut", file, f[1])
			}
		}
	}
}
