package exits

import (
	"io"
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
	p.End()
	want := `nginx 1/2 good/idle: 5 sessions; about 1m20s left
nginx 2/2 good/rst: 3 of 5 sessions: LOGIN: EOF; about 1m10s left
nginx 3/2 good/vanish: not run: no root; `
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressText(t *testing.T) {
	p := newProgress(io.Discard, "nginx", 2, 70*time.Second)
	now := time.Now()
	steps := []struct {
		do   func()
		at   time.Time
		want string
	}{
		{func() {}, now, "cell 1 of 2, about 1m14s left"},
		{func() {
			p.began = now.Add(-30 * time.Second)
			p.driven(counted("good", "idle"))
			p.ended = now
		}, now.Add(5 * time.Second), "cell 2 of 2, about 1m35s left"},
		{func() {
			p.driven(counted("good", "rst"))
			p.ended = now
		}, now.Add(60 * time.Second), "2 cells are run, now their sockets are watched, about 10s left"},
	}
	for _, s := range steps {
		s.do()
		if got := p.text(s.at); got != s.want {
			t.Errorf("got %q, want %q", got, s.want)
		}
	}
}
