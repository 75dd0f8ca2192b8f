package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// panicCase is where a victim panics: at each of the points in turn.
type panicCase struct {
	points string
	reason string                    // of the victim's end
	act    func(victim *guest) error // what takes it there; nil is the login
}

// faults are points that only one session passes, by what it does: the others
// are silent meanwhile.
func faults() []panicCase {
	return []panicCase{
		{"session.open session.greet dialogue.read dialogue.parse dialogue.handler watch.read connect.route " +
			"connect.dial " +
			"dial.connect connect.authenticate login.begin login.send login.await login.verdict relay.begin " +
			"relay.up.start", "panic", nil},
		{"relay.up.read relay.down.read relay.up.write relay.up.written relay.down.write relay.down.written " +
			"relay.settle", "panic",
			func(victim *guest) error { return victim.send("n NOOP\r\n") }},
		{"session.farewell end.begin", "logout", func(victim *guest) error { return victim.send("x LOGOUT\r\n") }},
		{"end.drain", "client_closed", (*guest).halfClose},
	}
}

// faultProgram is the proxy as a program of its own, built so that a file in
// the folder makes it panic.
func (r *crowd) faultProgram(t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "imapproxy")
	output(t, nil, "go", "build", "-race", "-buildvcs=false", "-tags", "faultpoints", "-o", program, ".")
	cmd := exec.Command(program, "serve", "--config", r.Config)
	cmd.Env = append(os.Environ(), "IMAPPROXY_FAULTS="+folder)
	endsWithTest(cmd)
	return cmd
}

// TestPanicAmong200 makes sessions panic one after the other, each at another
// point, among 200 that run: those are not touched.
func TestPanicAmong200(t *testing.T) {
	t.Parallel() // most of it is waiting
	const users = 5
	r := newCrowd(t, users, beyondBuffers, "")
	folder := t.TempDir()
	p, before := r.launch(t, r.faultProgram(t, folder), 3)
	guests := r.arrivals(t, scaled(200), func(i int) (mode, int, state) {
		s := relayIdle
		switch i % 10 {
		case 0, 1, 2:
			s = inIDLE
		case 3:
			s = midFetch
		case 4:
			s = midAppend
		}
		return modes()[i/10%3], i % users, s
	})
	no(t, "NOOP before", together(len(guests), func(i int) error {
		if guests[i].state == relayIdle {
			return guests[i].say("n NOOP", "n OK")
		}
		return nil
	}))
	r.settled(t)
	number := 0
	for _, f := range faults() {
		for _, point := range strings.Fields(f.points) {
			number++
			t.Run(point, func(t *testing.T) { r.panics(t, p, filepath.Join(folder, point), f) })
		}
	}
	for _, point := range []string{"leak.scan"} {
		number++
		t.Run(point, func(t *testing.T) {
			write(t, filepath.Join(folder, point), 0o600, "")
			triggered(t, filepath.Join(folder, point))
		})
	}
	for _, point := range []string{"reload.load", "reload.swap"} {
		number++
		t.Run(point, func(t *testing.T) { r.panicsInReload(t, p, filepath.Join(folder, point)) })
	}
	if n := strings.Count(p.text(t), `panic: a fault of the proxy`); n != number {
		t.Errorf("the log tells of %d panics, want %d", n, number)
	}
	no(t, "sessions that run", together(len(guests), func(i int) error { return guests[i].lives() }))
	no(t, "logout", together(len(guests), func(i int) error { return guests[i].leave() }))
	p.ended(t, 0, guests, always("logout"))
	r.nothingLeft(t, p, before)
	r.onlyWhole(t, len(guests)/10)
	signalled := time.Now()
	try(t, "signal", p.cmd.Process.Signal(syscall.SIGTERM))
	p.ends(t, signalled, 10*time.Second)
}

// panics has a session panic at the point that the file is named like.
func (r *crowd) panics(t *testing.T, p *process, file string, f panicCase) {
	from := p.written(t)
	if f.act == nil {
		write(t, file, 0o600, "")
	}
	victim, err := r.arrive(plain, 0)
	if f.act != nil {
		try(t, "victim", err)
		write(t, file, 0o600, "")
		try(t, "victim", f.act(victim))
	}
	triggered(t, file)
	if victim != nil {
		try(t, "victim", victim.gone())
	}
	eventually(t, "the victim's end", func() (bool, string) {
		ended := p.endings(t, from)
		return len(ended) == 1 && ended[0].Reason == f.reason, fmt.Sprintf("%+v, want one of %s", ended, f.reason)
	})
}

// panicsInReload has a reload panic; clients that come then are served, and the
// next reload is a good one.
func (r *crowd) panicsInReload(t *testing.T, p *process, file string) {
	again := &reloadRig{r, p}
	write(t, file, 0o600, "")
	again.reload(t, "not reloaded: a fault of the proxy")
	triggered(t, file)
	g, err := r.arrive(plain, 0)
	try(t, "login", err)
	try(t, "logout", g.leave())
	again.reload(t, "reloaded; running sessions keep")
}

// triggered waits until a fault point has taken its file.
func triggered(t *testing.T, fault string) {
	t.Helper()
	eventually(t, "fault point", func() (bool, string) {
		_, err := os.Stat(fault)
		return os.IsNotExist(err), "not passed"
	})
}
