package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// Where users find the plan, and what runs it.
const (
	jmeterPlan    = "../../packaging/load-testing/imap.jmx"
	debianJMeter  = "../../packaging/load-testing/debian-jmeter"
	jmeterThreads = 50
)

var jmeterModes = []mode{plain, startTLS, tlsFirst}

// jmeterTLS is what the plan calls them.
var jmeterTLS = map[mode]string{plain: "off", startTLS: "starttls", tlsFirst: "implicit"}

// TestJMeter runs the plan of docs/load-testing.md with 50 threads and 2 logins
// each, in every mode. Every other user's connections are in a pool, which
// saves the start of another Java.
func TestJMeter(t *testing.T) {
	t.Parallel() // most of it is waiting, for Java
	r := newJMeterRig(t)
	r.round(t, "half in a pool", "[13579]$", 2)
}

// jmeterRig is a crowd whose targets each have another with a pool.
type jmeterRig struct {
	*crowd
	without string // the configuration without those
}

func newJMeterRig(t *testing.T) *jmeterRig {
	t.Helper()
	need(t, "jmeter", "javac")
	if _, err := os.Stat("/usr/share/jmeter/lib/ext/ApacheJMeter_mail.jar"); err != nil {
		t.Skip("SKIPPED: JMeter can't read mail; install it with: sudo apt-get install jmeter-mail")
	}
	// Fifty logins at once may take a busy machine longer than the defaults allow.
	limits := "login_timeout = \"10m\"\nbye_timeout = \"10s\"\n"
	r := &jmeterRig{crowd: newCrowd(t, jmeterThreads, 100, limits)}
	r.configure(t, func(text string) string {
		return strings.NewReplacer("\nca = ", "\ntls_timeout = \"60s\"\nca = ", "\n[[target]]\n", "\n[[target]]\n"+
			"connect_timeout = \"60s\"\ngreeting_timeout = \"60s\"\nlogin_timeout = \"5m\"\n").Replace(text)
	})
	r.without = mustRead(t, r.Config)
	r.configure(t, func(text string) string {
		_, targets, _ := strings.Cut(text, "\n[[target]]\n")
		targets, _, _ = strings.Cut("\n[[target]]\n"+targets, "\n[admin]\n")
		return text + strings.ReplaceAll(targets, "\nname = \"",
			"\npool = { mode = \"on\", idle_timeout = \"1h\", wait_timeout = \"10m\" }\nname = \"pooled-")
	})
	for _, m := range jmeterModes {
		r.writeUsersCSV(t, m)
	}
	return r
}

// round runs the plan in every mode through a proxy that has the users who
// match in its pools, checks that no login fails and that nothing is left, and
// returns the logins a second of each mode.
func (r *jmeterRig) round(t *testing.T, name, pooled string, loops int) map[mode]float64 {
	t.Helper()
	rates := map[mode]float64{}
	r.writeMap(t, fmt.Sprintf("/^a.*%s/ pooled-one\n/^b.*%[1]s/ pooled-two\n/^c.*%[1]s/ pooled-clear\n"+
		"/^a/ one\n/^b/ two\n* clear\n", pooled))
	with := mustRead(t, r.Config)
	defer write(t, r.Config, 0o600, with)
	p, before := r.serve(t)
	for _, m := range jmeterModes {
		from := p.written(t)
		rates[m] = r.run(t, r.endpoint(m).Port, m, loops)
		r.endedByLogout(t, p, from, m, jmeterThreads*loops)
	}
	lent := regexp.MustCompile(`imapproxy_pool_leases_total{result="hit",target="pooled-\w+"} [1-9]`)
	text, err := adminAt(config.UnixPrefix+filepath.Join(r.folder(), "admin.sock")).ask(http.MethodGet, "/metrics", nil)
	try(t, "metrics", err)
	if pools := len(lent.FindAll(text, -1)); pools != len(jmeterModes) && name != "no pool" {
		t.Errorf("%d pools have lent connections again, want %d:\n%s", pools, len(jmeterModes), text)
	}
	write(t, r.Config, 0o600, r.without)
	r.writeMap(t, "* one\n")
	try(t, "reload", p.cmd.Process.Signal(syscall.SIGHUP)) // ends the pools with their connections
	r.nothingLeft(t, p, before)
	p.stop(t, syscall.SIGTERM, patience)
	return rates
}

// usersCSV is the file with the users of a mode.
func (r *jmeterRig) usersCSV(m mode) string { return filepath.Join(r.folder(), string(m)+".csv") }

func (r *jmeterRig) writeUsersCSV(t *testing.T, m mode) {
	t.Helper()
	var text strings.Builder
	for n := range jmeterThreads {
		a := r.account(m, n)
		fmt.Fprintf(&text, "%s,%s\n", a.User, a.Password)
	}
	write(t, r.usersCSV(m), 0o600, text.String())
}

// run runs the plan against a port, checks that every login and everything
// after it went well, and returns the logins a second.
func (r *jmeterRig) run(t *testing.T, port int, m mode, loops int) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	result := filepath.Join(dir, "result.jtl")
	cmd := exec.CommandContext(ctx, debianJMeter, "-n", "-t", jmeterPlan, "-l", result,
		"-j", filepath.Join(dir, "jmeter.log"), "-Jhost=127.0.0.1", fmt.Sprint("-Jport=", port), "-Jtls="+jmeterTLS[m],
		"-Jusers="+r.usersCSV(m), fmt.Sprint("-Jthreads=", jmeterThreads), fmt.Sprint("-Jloops=", loops), "-Jrampup=0")
	cmd.Env = append(os.Environ(), "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m")
	endsWithTest(cmd)
	out, err := cmd.CombinedOutput()
	if _, missing := os.Stat(result); err != nil || missing != nil { // it ends well with a plan that it can't load, too
		t.Fatalf("JMeter: %v, %v\n%s", err, missing, out)
	}
	return goodSamples(t, result, jmeterThreads*loops)
}

// goodSamples checks that the file of results has so many samples, all of them
// good, and returns how many there were a second.
func goodSamples(t *testing.T, result string, want int) float64 {
	t.Helper()
	samples, err := csv.NewReader(strings.NewReader(mustRead(t, result))).ReadAll()
	try(t, "results", err)
	var begun, ended int
	for i, sample := range samples {
		var at, elapsed int // milliseconds
		_, err := fmt.Sscan(sample[0]+" "+sample[1], &at, &elapsed)
		try(t, "results", err)
		if i == 0 {
			begun = at
		}
		begun, ended = min(begun, at), max(ended, at+elapsed)
	}
	bad := slices.DeleteFunc(slices.Clone(samples), func(s []string) bool { return s[7] == "true" })
	if len(samples) != want || len(bad) > 0 {
		t.Errorf("%d samples, want %d; %d are bad, such as %q", len(samples), want, len(bad), bad[:min(len(bad), 3)])
	}
	return float64(len(samples)) * 1000 / float64(cmp.Or(ended-begun, 1))
}

// endedByLogout waits until the log has the end of so many sessions, each by
// LOGOUT, with TLS where the mode has it: JMeter goes on in clear where a
// server does not offer STARTTLS.
func (r *jmeterRig) endedByLogout(t *testing.T, p *process, from int, m mode, want int) {
	t.Helper()
	good := 0
	var wrong []string
	eventually(t, "sessions in the log", func() (bool, string) {
		good, wrong = 0, nil
		for line := range strings.Lines(p.text(t)[from:]) {
			if !strings.Contains(line, `"message":"session ended"`) || !strings.Contains(line, `"user":`) {
				continue // of no login, as when the test looks whether the proxy has started
			}
			if strings.Contains(line, `"reason":"logout"`) && strings.Contains(line, `"tls":"TLS`) == (m != plain) {
				good++
			} else {
				wrong = append(wrong, line)
			}
		}
		return good+len(wrong) >= want, fmt.Sprintf("%d", good+len(wrong))
	})
	if good != want || len(wrong) > 0 {
		t.Errorf("%s: %d sessions ended well, want %d; others: %q", m, good, want, wrong[:min(len(wrong), 3)])
	}
}
