package bench

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// result is what a run of the benchmark has found.
type result struct {
	Began    time.Time          `json:"began"`
	Seconds  float64            `json:"seconds"`
	Rounds   int                `json:"rounds"`
	Duration float64            `json:"duration"` // of one measurement, in seconds
	Machine  string             `json:"machine"`
	Proxies  []proxyInfo        `json:"proxies"`
	Rows     []measurement      `json:"rows"`
	Scale    []load.ScaleFigure `json:"scale"`
	Missing  map[string]string  `json:"missing"` // proxies that could not be started, and why
	NotRun   []string           `json:"not_run"`
	Errors   []string           `json:"errors"` // of the loads
}

// proxyInfo is who was measured.
type proxyInfo struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Settings string `json:"settings"`
}

// measurement is a row with the rounds' figures.
type measurement struct {
	row     row
	Name    string   `json:"name"`
	Figures []string `json:"figures"`
	// by proxy, by round (null when it was not measured), in the order of Figures
	Rounds map[string][][]float64 `json:"rounds"`
}

func newResult(o options) *result {
	r := &result{
		Began: time.Now().Truncate(time.Second), Rounds: o.rounds, Duration: o.duration.Seconds(), Machine: machine(),
		Missing: map[string]string{}, NotRun: []string{}, Errors: []string{},
	}
	for _, row := range rows(o.idle, o.scale) {
		if !o.wants(row.name) {
			continue
		}
		m := measurement{row: row, Name: row.name, Rounds: map[string][][]float64{}}
		for _, f := range row.figures {
			m.Figures = append(m.Figures, f.name)
		}
		r.Rows = append(r.Rows, m)
	}
	return r
}

// machine returns a few words on where this runs.
func machine() string {
	var u unix.Utsname
	kernel := "unknown kernel"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%d cores, %s, %s, descriptor limit %d, load average %s when it began", runtime.NumCPU(), kernel,
		runtime.GOARCH,
		rig.OpenFileLimit(), loadAverage())
}

// loadAverage returns that of the last minute (proc(5)): it shows what else runs on the machine.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(text), " ")
	return average
}

// middle takes of several runs of scale the middle one of each finding; of a count the first that is not as it should
// be.
func middle(runs [][]load.ScaleFigure) (figures []load.ScaleFigure) {
	if len(runs) == 0 {
		return nil
	}
	for i := range runs[0] {
		var all []load.ScaleFigure
		for _, run := range runs {
			if i < len(run) {
				all = append(all, run[i])
			}
		}
		slices.SortStableFunc(all, func(a, b load.ScaleFigure) int { return cmp.Compare(a.Value, b.Value) })
		chosen := all[len(all)/2]
		if bad := slices.IndexFunc(all, func(f load.ScaleFigure) bool { return f.Unit == "" && !f.Met }); bad >= 0 {
			chosen = all[bad]
		}
		figures = append(figures, chosen)
	}
	return figures
}

// take adds a round of a proxy.
func (m *measurement) take(name string, round int, r *load.Result) {
	var values []float64
	for _, f := range m.row.figures {
		values = append(values, f.value(r))
	}
	for len(m.Rounds[name]) <= round {
		m.Rounds[name] = append(m.Rounds[name], nil)
	}
	m.Rounds[name][round] = values
}

// line returns a result's figures in one line.
func (m *measurement) line(r *load.Result) string {
	var parts []string
	for _, f := range m.row.figures {
		if v := f.value(r); v > 0 || f.none { // the CPU time of no proxy is not known
			parts = append(parts, f.text(v)+" "+f.name)
		}
	}
	return strings.Join(parts, ", ")
}

// median returns the median of a figure over the rounds of a proxy; false when there is none.
func (m *measurement) median(name string, figure int) (float64, bool) {
	var values []float64
	for _, round := range m.Rounds[name] {
		if round != nil {
			values = append(values, round[figure])
		}
	}
	return median(values)
}

func median(values []float64) (float64, bool) {
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2, true
	}
	return values[middle], true
}

// verdict is a line of the table.
type verdict struct{ row, target, ours, peer, ratio, met string }

// verdicts compares the medians with the targets.
func (m *measurement) verdicts() (all []verdict) {
	for _, t := range m.row.targets {
		index := m.row.index(t.figure)
		f := m.row.figures[index]
		name := cmp.Or(t.ours, m.row.own())
		v := verdict{row: m.Name, target: t.text(f), ours: "-", peer: "-", ratio: "-", met: "not measured"}
		if t.ours != "" {
			v.row += ": " + t.ours
		}
		ours, have := m.median(name, index)
		have = have && (ours != 0 || f.none) // a cost that could not be looked at is 0
		if have {
			v.ours = f.text(ours)
		}
		theirs, haveTheirs := m.median(t.peer, index)
		if haveTheirs {
			v.peer = f.text(theirs)
		}
		switch {
		case have && t.peer == "":
			v.met = metText(t.holds(ours))
		case have && haveTheirs && theirs > 0:
			v.ratio, v.met = strconv.FormatFloat(ours/theirs, 'f', 2, 64)+m.spread(t), metText(t.holds(ours/theirs))
		}
		all = append(all, v)
	}
	return all
}

func metText(met bool) string {
	if met {
		return "met"
	}
	return "NOT MET"
}

// spread returns the least and the greatest ratio of the rounds, "" for fewer than two.
func (m *measurement) spread(t target) string {
	index := m.row.index(t.figure)
	ours, theirs := m.Rounds[cmp.Or(t.ours, m.row.own())], m.Rounds[t.peer]
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if ours[i] != nil && theirs[i] != nil {
			ratios = append(ratios, ours[i][index]/max(theirs[i][index], 1e-9))
		}
	}
	if len(ratios) < 2 {
		return ""
	}
	return fmt.Sprintf(" (%.2f to %.2f)", slices.Min(ratios), slices.Max(ratios))
}
