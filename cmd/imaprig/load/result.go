package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// Result is what a load has found. Without a --proxy-pid nothing is said of CPU and memory.
type Result struct {
	Mode       string        `json:"mode"`
	Proxy      string        `json:"proxy"`
	TLS        string        `json:"tls"`
	Sessions   int           `json:"sessions"` // at once, as asked for
	Began      time.Time     `json:"began"`
	Seconds    float64       `json:"seconds"`
	Operations []Operation   `json:"operations"`
	Bytes      uint64        `json:"bytes"` // of messages
	NewMail    uint64        `json:"new_mail"`
	Costed     bool          `json:"costed"` // CPU was looked at
	CPUSeconds float64       `json:"cpu_seconds"`
	Idle       *idleResult   `json:"idle,omitempty"`
	Scale      []ScaleFigure `json:"scale,omitempty"`
	Logins     uint64        `json:"backend_logins,omitempty"` // of bench: at the backend, in all of the load
	Errors     []errorCount  `json:"errors"`
	Series     []sample      `json:"series"`
	Histogram  []bar         `json:"histogram"` // of the first operation
}

// Operation is what was done of one kind. Times are in microseconds.
type Operation struct {
	Name      string  `json:"name"`
	Count     uint64  `json:"count"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Max       float64 `json:"max_us"`
}

// idleResult is what sessions in IDLE cost. The last four are 0 without --proxy-pid.
type idleResult struct {
	Sessions       int     `json:"sessions"`
	HeldSeconds    float64 `json:"held_seconds"`
	BeforeKiB      float64 `json:"before_kib"`      // proportional set size of the proxy's processes
	AfterKiB       float64 `json:"after_kib"`       // with the sessions, at the end of the wait
	PerSessionKiB  float64 `json:"per_session_kib"` // what the difference comes to
	PerSessionFDs  float64 `json:"per_session_descriptors"`
	CPUPercentHeld float64 `json:"cpu_percent_held"` // of one core, during the wait
}

// ScaleFigure is one finding of the mode scale, with the value that it should have.
type ScaleFigure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Limit string  `json:"limit,omitempty"` // in words; "" when there is none
	Met   bool    `json:"met"`
}

func (i *idleResult) cost(before, after rig.TreeUsage, cpuHeld float64) {
	i.BeforeKiB, i.AfterKiB = float64(before.PSS)/1024, float64(after.PSS)/1024
	i.PerSessionKiB = (i.AfterKiB - i.BeforeKiB) / float64(i.Sessions)
	i.PerSessionFDs = float64(after.Descriptors-before.Descriptors) / float64(i.Sessions)
	i.CPUPercentHeld = 100 * cpuHeld / max(i.HeldSeconds, 1e-3)
}

// take adds what the meter counted.
func (r *Result) take(m *meter, costed bool) {
	r.Costed, r.Bytes, r.NewMail = costed, m.bytes.Load(), m.mail.Load()
	r.Errors, r.Series, r.Histogram = m.errors.list(), m.series, m.times[0].bars()
	for i, name := range m.names {
		h := m.times[i]
		r.Operations = append(r.Operations, Operation{
			Name: name, Count: h.count(), PerSecond: float64(h.count()) / max(r.Seconds, 1e-3),
			P50: microseconds(h.quantile(0.5)), P90: microseconds(h.quantile(0.9)), P99: microseconds(h.quantile(0.99)),
			P999: microseconds(h.quantile(0.999)), Max: microseconds(h.longest()),
		})
	}
}

// First returns the operation that rates and costs are of.
func (r *Result) First() Operation { return r.Operations[0] }

// Operation returns the operation of that name, all zero when there is none.
func (r *Result) Operation(name string) Operation {
	i := slices.IndexFunc(r.Operations, func(o Operation) bool { return o.Name == name })
	if i < 0 {
		return Operation{}
	}
	return r.Operations[i]
}

// Finding returns the value of the finding of that name of the mode scale, 0 when there is none.
func (r *Result) Finding(name string) float64 {
	i := slices.IndexFunc(r.Scale, func(f ScaleFigure) bool { return f.Name == name })
	if i < 0 {
		return 0
	}
	return r.Scale[i].Value
}

// CPUMicros returns the CPU time of the proxy for each operation of the first kind, in microseconds.
func (r *Result) CPUMicros() float64 {
	return r.CPUSeconds * 1e6 / float64(max(r.First().Count, 1))
}

// gigabytes returns the bytes of messages in 10^9.
func (r *Result) gigabytes() float64 { return float64(r.Bytes) / 1e9 }

// GBPerSecond returns the rate of messages in 10^9 bytes a second.
func (r *Result) GBPerSecond() float64 { return r.gigabytes() / max(r.Seconds, 1e-3) }

// CPUPerGB returns the CPU time of the proxy for 10^9 bytes of messages, in seconds.
func (r *Result) CPUPerGB() float64 { return r.CPUSeconds / max(r.gigabytes(), 1e-9) }

// missed returns the figures that are not as they should be.
func (r *Result) missed() (missed []ScaleFigure) {
	for _, f := range r.Scale {
		if f.Limit != "" && !f.Met {
			missed = append(missed, f)
		}
	}
	return missed
}

// isEmpty reports whether there is nothing to report: the load did not begin.
func (r *Result) isEmpty() bool { return r.Seconds == 0 && len(r.Errors) == 0 }

// report prints the table and writes the files that were asked for.
func (r *Result) report(stdout io.Writer, jsonFile, htmlFile string) error {
	_, err := io.WriteString(stdout, r.table())
	if jsonFile != "" {
		err = errors.Join(err, rig.WriteFile(jsonFile, r, rig.WriteJSON[Result]))
	}
	if htmlFile != "" {
		err = errors.Join(err, rig.WriteFile(htmlFile, r, writeHTML))
	}
	return err
}

// summary returns the lines below the table of operations.
func (r *Result) summary() []string {
	var lines []string
	if r.Bytes > 0 {
		lines = append(lines, fmt.Sprintf("messages: %s, %s/s", amountText(float64(r.Bytes)),
			amountText(r.GBPerSecond()*1e9)))
	}
	if r.NewMail > 0 {
		lines = append(lines, fmt.Sprintf("new mail reported in IDLE: %d", r.NewMail))
	}
	if r.Costed && r.CPUSeconds > 0 && r.First().Count > 0 && r.Scale == nil {
		line := fmt.Sprintf("CPU of the proxy: %.2f s, %.1f µs for each %s", r.CPUSeconds, r.CPUMicros(),
			r.First().Name)
		if r.Bytes > 0 {
			line += fmt.Sprintf(", %.3f s/GB", r.CPUPerGB())
		}
		lines = append(lines, line)
	}
	if i := r.Idle; i != nil {
		lines = append(lines, fmt.Sprintf("in IDLE: %d sessions for %.1f s", i.Sessions, i.HeldSeconds))
		if r.Costed {
			lines = append(lines, fmt.Sprintf("memory of the proxy: %.0f KiB before, %.0f KiB with them: %.2f KiB a "+
				"session; %.2f descriptors a session; CPU while they wait: %.1f %% of a core",
				i.BeforeKiB, i.AfterKiB, i.PerSessionKiB, i.PerSessionFDs, i.CPUPercentHeld))
		}
	}
	if !r.Costed {
		lines = append(lines, "CPU and memory of the proxy: not measured (--proxy-pid)")
	}
	return lines
}
