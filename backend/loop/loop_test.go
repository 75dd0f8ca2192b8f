package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// run starts a loop that ends with the test.
func run(tb testing.TB, clock timing.Clock) *Loop {
	tb.Helper()
	l, err := New(clock)
	if err != nil {
		tb.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for l.Round() {
		}
	}()
	tb.Cleanup(func() {
		l.End()
		<-over
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

// do runs a job in the loop and waits for its end.
func do(l *Loop, job func(*Task)) {
	over := make(chan struct{})
	l.Post(Func(func() { l.Go(func(t *Task) { defer close(over); job(t) }) }))
	<-over
}

func TestEcho(t *testing.T) {
	l := run(t, timing.System{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	do(l, func(task *Task) {
		w, err := dial(task, ln.Addr().(*net.TCPAddr))
		if err != nil {
			t.Error(err)
			return
		}
		defer w.Close()
		if _, err := w.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		var b [5]byte
		if _, err := io.ReadFull(w, b[:]); err != nil || string(b[:]) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		_ = w.SetDeadline(task.Loop().Now().Add(20 * time.Millisecond))
		if _, err := w.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		_ = w.SetDeadline(time.Time{})
		_ = w.CloseWrite()
		if _, err := w.Read(b[:]); err != io.EOF {
			t.Errorf("%v", err)
		}
		ran := false
		_ = task.Outside(func(context.Context) error { ran = true; return nil })
		if !ran {
			t.Error("not run")
		}
		ctx, cancel := context.WithCancel(task)
		defer cancel()
		go task.Interrupt()
		<-ctx.Done()
		if err := task.Sleep("", time.Hour); err != context.Canceled {
			t.Errorf("%v", err)
		}
	})
}

func dial(task *Task, to *net.TCPAddr) (*wire.Wire, error) {
	d, err := wire.Connect(to.AddrPort())
	if err != nil {
		return nil, err
	}
	w := &wire.Wire{}
	w.Init(d)
	w.WaitBy(task)
	w.WatchBy(task)
	if err := task.Loop().Add(w); err != nil {
		return nil, err
	}
	err = w.AwaitConnected()
	return w, err
}

// wirePair returns two ends of a connection.
func wirePair(tb testing.TB) (*wire.Wire, net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	d, err := wire.Connect(ln.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		tb.Fatal(err)
	}
	w := &wire.Wire{}
	w.Init(d)
	peer, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	w.Note(wire.Writable) // it is connected
	return w, peer
}

func BenchmarkGiveWay(b *testing.B) {
	l := run(b, timing.System{})
	do(l, func(task *Task) {
		b.ResetTimer()
		for range b.N {
			task.GiveWay()
		}
	})
}

func BenchmarkJob(b *testing.B) {
	l := run(b, timing.System{})
	do(l, func(task *Task) {
		b.ReportAllocs()
		for range b.N {
			over := false
			l.Go(func(*Task) { over = true; task.Wake() })
			for !over {
				_ = task.Pause("", time.Time{})
			}
		}
	})
}
