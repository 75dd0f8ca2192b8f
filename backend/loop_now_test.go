package backend

import (
	"context"
	"io"
	"sync"
	"testing"

	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
)

// testLoop runs what the tests of this package do with connections.
var testLoop = sync.OnceValue(func() *loop.Loop {
	l, err := loop.New(timing.System{})
	if err != nil {
		panic(err)
	}
	go func() {
		for l.Round() {
		}
		close(loopOver)
	}()
	return l
})

var loopOver = make(chan struct{})

// endLoop ends testLoop, if it runs.
func endLoop() {
	l := testLoop()
	l.End()
	<-loopOver
	_ = l.Close()
}

// inLoop runs a job as a task of testLoop until it is over; the end of ctx interrupts it.
func inLoop(ctx context.Context, job func(ctx context.Context)) {
	over, l := make(chan struct{}), testLoop()
	var t *loop.Task
	started := make(chan struct{})
	l.Post(loop.Func(func() {
		t = l.Go(func(t *loop.Task) { defer close(over); job(t) })
		if ctx.Err() != nil {
			t.Interrupt()
		}
		close(started)
	}))
	<-started
	defer context.AfterFunc(ctx, t.Interrupt)()
	<-over
}

func dialNow(ctx context.Context, d *Dialer, t *Target, o Origin) (c *Conn, err error) {
	inLoop(ctx, func(ctx context.Context) {
		if c, err = d.Dial(ctx, t, o); err == nil {
			c.rest(ctx)
		}
	})
	return c, err
}

func endNow(c *Conn) (e Ending) {
	inLoop(context.Background(), func(ctx context.Context) { e = c.End(ctx) })
	return e
}

func readAllNow(c *Conn) (all []byte, err error) {
	inLoop(context.Background(), func(ctx context.Context) {
		if err = c.hold(ctx); err == nil {
			all, err = io.ReadAll(c)
			c.rest(ctx)
		}
	})
	return all, err
}

func makeFitNow(c *Conn) (forgotten bool, why string, err error) {
	inLoop(context.Background(), func(ctx context.Context) { forgotten, why, err = c.makeFit(ctx) })
	return forgotten, why, err
}

func logInNow(ctx context.Context, c *Conn, cred Credentials, o Origin) (text string, err error) {
	inLoop(ctx, func(ctx context.Context) {
		if err = c.hold(ctx); err == nil {
			text, err = c.logIn(ctx, cred, o)
			c.rest(ctx)
		}
	})
	return text, err
}

func TestNoLoop(t *testing.T) {
	s := startScripted(t, greets(), nil)
	d := &Dialer{Clock: timing.System{}}
	if c, err := d.Dial(t.Context(), testTarget(s.addr), testOrigin()); c != nil || err == nil {
		t.Errorf("dialled without a loop: %v", err)
	}
}
