package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/wire"
)

var errLeft = errors.New("the client has left")

// In every phase the end of the session ends the attempt at once.
func TestCancel(t *testing.T) {
	a := newAuthority(t)
	certs := a.certificates()
	for _, c := range []struct {
		phase, target, lines, reached string // reached: what the backend has got by then
	}{
		{phaseTLS, "implicit", "MUTE", "\x16\x03"},
		{phaseGreeting, "", "MUTE", ""},
		{phaseGreeting, "implicit", "TLS good\nMUTE", ""},
		{phaseStartTLS, "starttls", "S: * OK [CAPABILITY STARTTLS] hello\nMUTE", "X3 STARTTLS"},
		{phaseTLS, "starttls", "S: * OK [CAPABILITY STARTTLS] hello\nC: *\nS: X3 OK\nMUTE", "\x16\x03"},
		{phaseCapability, "", "S: * OK hello\nMUTE", "X3 CAPABILITY"},
		{phaseLogin, "", "S: * OK [CAPABILITY AUTH=PLAIN] hello\nMUTE", "X2 AUTHENTICATE"},
		{phaseLogin, "", "S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\nMUTE", "X2 AUTHENTICATE PLAIN "},
		{phaseLogin, "", "S: * OK [CAPABILITY IMAP4rev1] hello\nMUTE", "X2 LOGIN"},
		{phaseLogin, "", "S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\nC: *\nS: X2 OK\nMUTE", "X3 CAPABILITY"},
		{phaseLogin, "", "S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\nC: *\nDRIP", "X2 AUTHENTICATE PLAIN "},
	} {
		t.Run(c.phase+" "+c.reached, func(t *testing.T) {
			before := socketCount(t)
			s := startScripted(t, strings.Split(c.lines, "\n"), certs)
			target := testTarget(s.addr)
			apply(t, target, c.target, a)
			d, endings := testDialer()
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			result := make(chan error, 1)
			go func() { result <- attempt(ctx, d, target) }()
			eventually(t, func() error { return reached(d, s, c.phase, c.reached) })
			begun := time.Now()
			cancel(errLeft)
			err := <-result
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != kindCancelled || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if fmt.Sprint(*endings) != "[cut]" || d.Registry.Count() != 0 {
				t.Errorf("endings %v, %d left", *endings, d.Registry.Count())
			}
			gone(t, link{s.only().raw.RemoteAddr().String(), s.addr})
			s.stop()
			noSocketsLeft(t, before)
		})
	}
}

// attempt dials, logs in and ends.
func attempt(ctx context.Context, d *Dialer, t *Target) error {
	c, err := dialNow(ctx, d, t, testOrigin())
	if err != nil {
		return err
	}
	defer endNow(c)
	_, err = logInNow(ctx, c, Credentials{User: "user@example.org", Secret: canary}, testOrigin())
	return err
}

// reached tells whether the one connection is in the phase, and the backend
// has got that far.
func reached(d *Dialer, s *scripted, phase, got string) error {
	for _, c := range d.Registry.All() {
		if v := s.visits(); c.Info().Phase == phase && len(v) == 1 && strings.Contains(v[0].received(), got) {
			return nil
		}
	}
	return fmt.Errorf("the phase %s has not come", phase)
}

func TestCancelConnect(t *testing.T) {
	addr := silentPort(t)
	before := socketCount(t)
	d, _ := testDialer()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	result := make(chan error, 1)
	go func() { result <- attempt(ctx, d, testTarget(addr)) }()
	synSent := func() bool {
		return slices.ContainsFunc(socketTable(t), func(e wire.TableEntry) bool {
			return e.Remote.String() == addr && e.State == wire.StateSynSent
		})
	}
	eventually(t, func() error {
		if socketCount(t) == before || !synSent() {
			return errors.New("no connection attempt")
		}
		return nil
	})
	cancel(errLeft)
	select {
	case err := <-result:
		wantKind(t, err, "connect", kindCancelled)
	case <-time.After(2 * time.Second):
		t.Fatal("still connecting")
	}
	noSocketsLeft(t, before)
}

// After the end of the session nothing more is sent.
func TestCancelledBefore(t *testing.T) {
	s := startScripted(t, greets(), nil)
	d, _ := testDialer()
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errLeft)
	_, err := dialNow(ctx, d, testTarget(s.addr), testOrigin())
	wantKind(t, err, "connect", kindCancelled)

	c := mustDial(t, d, testTarget(s.addr))
	_, err = logInNow(ctx, c, Credentials{User: "u", Secret: canary}, testOrigin())
	wantKind(t, err, "login", kindCancelled)
	if e := endNow(c); e != EndLogout {
		t.Errorf("ended by %s", e)
	}
	for _, v := range s.visits() {
		v.wait(t)
		if strings.Contains(v.received(), "X2") {
			t.Errorf("the backend got %q", v.received())
		}
	}
}
