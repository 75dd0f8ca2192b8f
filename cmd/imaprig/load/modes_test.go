package load

import (
	"os"
	"strconv"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestLoadModes runs every mode against the fast backend, in clear and with TLS.
func TestLoadModes(t *testing.T) {
	rigtest.NotQuick(t)
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort,
		IdlePush: 30e6})
	self := strconv.Itoa(os.Getpid())
	tests := []struct {
		mode string
		args []string
		want func(r *Result) bool
	}{
		{"login", nil, func(r *Result) bool {
			return r.Operations[1].Count >= r.First().Count && r.First().P50 >= r.Operations[1].P50
		}},
		{"rtt", nil, func(r *Result) bool { return r.First().PerSecond > 10 && r.Bytes == 0 }},
		{"fetch", []string{"--message", "2"}, func(r *Result) bool {
			return r.Bytes >= r.First().Count<<20 &&
				r.CPUPerGB() > 0
		}},
		{"append", []string{"--size", "3m"}, func(r *Result) bool { return r.Bytes >= r.First().Count*3<<20 }},
		{"idle", nil, func(r *Result) bool {
			return r.First().Count == 4 && r.Idle.Sessions == 4 && r.Idle.PerSessionFDs == 2 && r.NewMail >= 4 &&
				r.Idle.BeforeKiB > 0
		}},
		{"idle", []string{"--message", "4"},
			func(r *Result) bool { return r.Bytes == 4*256<<10 && r.Idle.Sessions == 4 }},
		{"literals", nil, func(r *Result) bool {
			return r.Operation("APPEND").Count >= r.First().Count && r.Operation("SEARCH").Count >= r.First().Count
		}},
		{"handshakes", []string{"--rate", "40"}, func(r *Result) bool {
			return r.Operation("login").Count > 0 && r.First().PerSecond <= 40*1.5
		}},
		{"mixed", []string{"--duration", "900ms"},
			func(r *Result) bool { return r.Operations[3].Count >= r.First().Count && r.NewMail > 0 }},
	}
	for _, tls := range []string{"off", "starttls", "implicit"} {
		for _, tt := range tests {
			if tt.mode == "handshakes" && tls == "off" {
				continue
			}
			t.Run(tt.mode+" "+tls, func(t *testing.T) {
				addr := to[0]
				if tls == "implicit" {
					addr = to[1]
				}
				var r *Result
				// a busy machine does nothing within a short time
				for _, duration := range []string{"300ms", "3s", "20s"} {
					args := []string{tt.mode, "--proxy", addr, "--tls", tls, "--sessions", "4", "--duration", duration,
						"--proxy-pid", self}
					var err error
					if r, err = loadOf(t, append(args, tt.args...)...); err != nil {
						t.Fatal(err)
					}
					if len(r.Errors) > 0 || r.First().Count > 0 {
						break
					}
				}
				if len(r.Errors) > 0 || r.First().Count == 0 || !tt.want(r) {
					t.Errorf("found %+v", *r)
				}
			})
		}
	}
}

// TestLoadScale goes to the descriptor limit of a server, and finds its old sessions well.
func TestLoadScale(t *testing.T) {
	rigtest.NotQuick(t)
	to, pid := childBackend(t, 500)
	r, err := loadOf(t, "scale", "--proxy", to, "--proxy-pid", strconv.Itoa(pid), "--sessions", "400", "--duration",
		"500ms", "--sources", "2")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Errors) > 0 {
		t.Errorf("errors: %+v", r.Errors)
	}
	found := map[string]ScaleFigure{}
	for _, f := range r.Scale {
		found[f.Name] = f
	}
	for name, want := range map[string]float64{
		"sessions open at once":                                      400,
		"old sessions that answer at the limit":                      400,
		"clients then that got BYE (0), wait (40), were refused (0)": 40,
	} {
		if f := found[name]; f.Value != want || !f.Met {
			t.Errorf("%q: %+v, want %v, met", name, f, want)
		}
	}
	if f := found["clients before login that got in too, of 500 descriptors"]; f.Value < 50 || f.Value > 100 {
		t.Errorf("clients that got in: %+v, want what 500 descriptors leave", f)
	}
}

func TestScaleWithoutPID(t *testing.T) {
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	r, err := loadOf(t, "scale", "--proxy", to[0], "--sessions", "400", "--duration", "100ms")
	if err != nil || len(r.Scale) != 4 {
		t.Errorf("%v, %+v: want no error, and nothing of CPU and limits", err, r.Scale)
	}
	_, err = loadOf(t, "scale", "--proxy", to[0], "--sessions", "399")
	rigtest.CheckError(t, err, "400 or more")
}

// TestLoadUsers wants the numbers in names to begin again.
func TestLoadUsers(t *testing.T) {
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	// Every third user has the password that is refused.
	r, err := loadOf(t, "login", "--proxy", to[0], "--users", "3", "--password", "wrong%d", "--duration", "300ms",
		"--sessions", "3")
	if err != nil || len(r.Errors) != 0 {
		t.Errorf("%v, %+v: want no error: wrong1 is not wrong", err, r.Errors)
	}
}
