package exits

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestProgressLines(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, "nginx", 2, 70*time.Second)
	p.began = time.Now().Add(-10 * time.Second)
	p.tick(time.Now()) // nothing: this is no terminal
	p.driven(counted("good", "idle"))
	failed := counted("good", "rst")
	failed.Opened, failed.Problem = 3, "LOGIN: EOF"
	p.driven(failed)
	p.driven(&cellResult{cell: cell{"good", "vanish"}, NotRun: "no root"})
	p.over()
	want := `nginx 1/2 good/idle: 5 sessions; about 1m20s left
nginx 2/2 good/rst: 3 of 5 sessions: LOGIN: EOF; about 1m10s left
nginx 3/2 good/vanish: not run: no root; `
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressTerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, "nginx", 2, 70*time.Second)
	p.screen.Terminal = os.Stdout // it is only asked for
	now := time.Now()
	steps := []struct {
		do   func()
		want string
	}{
		{func() { p.tick(now) }, "\r\x1b[Knginx: cell 1 of 2, about 1m14s left"},
		{func() {
			p.began = now.Add(-30 * time.Second)
			p.driven(counted("good", "idle"))
			p.ended = now
			p.tick(now.Add(5 * time.Second))
		}, "\r\x1b[Knginx: cell 2 of 2, about 1m35s left"},
		{func() {
			p.driven(counted("good", "rst"))
			p.ended = now
			p.tick(now.Add(60 * time.Second))
		}, "\r\x1b[Knginx: 2 cells are run, now their sockets are watched, about 10s left"},
		{p.over, "\r\x1b[K"},
	}
	for _, s := range steps {
		out.Reset()
		if s.do(); out.String() != s.want {
			t.Errorf("got %q, want %q", out.String(), s.want)
		}
	}
}
