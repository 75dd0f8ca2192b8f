package imapproxy

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestCutsAsTheRelayBegins cuts a session between its login and its relay, and once more before its end has begun: it
// ends once.
func TestCutsAsTheRelayBegins(t *testing.T) {
	r := newRig(t, withLimits(func(l *Limits) { l.Farewell = time.Minute }))
	r.server.log = r.server.log.Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, text string) {
		if text == "session logged in" {
			r.server.sessions.each(func(s *session) { s.interrupter.cut(endKicked, nil) })
		}
	}))
	c := r.dial("plain")
	c.send("a LOGIN joe %s", canary)
	c.expect("a OK .*")
	c.expect(`\* BYE .*`) // the end waits for the client
	ses := r.sessionOf(c)
	ses.loop.do(func() { ses.relay.Interrupt() }) // what the second cut has posted may come as late as now
	ses.loop.do(func() {})
	c.close()
	r.endsWith(c, endKicked)
	r.restful()
	tasks := -1
	ses.loop.do(func() { tasks = ses.loop.Tasks() })
	if n := len(r.log.lines(t, "session ended")); n != 1 || tasks != 0 {
		t.Errorf("%d end lines, want 1; %d tasks are left", n, tasks)
	}
}
