package httpauth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// asks is a way to call Authenticate.
type asks func(ctx context.Context, a auth.Authenticator, r *auth.Request) (*auth.Grant, error)

// bothWays runs a test as any goroutine asks, by net/http, and as the tasks of an event loop do.
func bothWays(t *testing.T, test func(*testing.T, asks)) {
	t.Run("net/http", func(t *testing.T) { test(t, askDirectly) })
	t.Run("loop", func(t *testing.T) { test(t, newAskingLoop(t).ask) })
}

func askDirectly(ctx context.Context, a auth.Authenticator, r *auth.Request) (*auth.Grant, error) {
	return a.Authenticate(ctx, r)
}

const pollLimit = 3 * time.Minute // the machine may be busy

// askingLoop is an event loop whose tasks ask.
type askingLoop struct{ *loop.Loop }

// newAskingLoop starts a loop that ends with the test.
func newAskingLoop(t *testing.T) askingLoop {
	t.Helper()
	l, err := loop.New(timing.System{})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for l.Round() {
		}
	}()
	t.Cleanup(func() {
		l.End()
		<-over
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return askingLoop{l}
}

func (l askingLoop) ask(ctx context.Context, a auth.Authenticator, r *auth.Request) (g *auth.Grant, err error) {
	answered := make(chan struct{})
	l.Post(loop.Func(func() {
		task := l.Go(func(task *loop.Task) {
			defer close(answered)
			g, err = a.Authenticate(task, r)
		})
		context.AfterFunc(ctx, task.Interrupt)
	}))
	<-answered
	return g, err
}

// waiting returns how many tasks wait for a connection of a client.
func (l askingLoop) waiting(c *Client) int {
	n := make(chan int)
	l.Post(loop.Func(func() { n <- len(c.conns.of(l.Loop).waiting) }))
	return <-n
}

// A question that gives up while it waits for a connection does not keep the next from its turn.
func TestGivingUpInTheQueue(t *testing.T) {
	asked, release := make(chan bool, 2), make(chan bool)
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		asked <- true
		<-release
		return ok(yes, server, port)
	})
	client := newClient(t, Options{URL: s.url(), Timeout: 15 * time.Second})
	client.conns.most = 1
	l := newAskingLoop(t)
	question := func(ctx context.Context) <-chan error {
		result := make(chan error, 1)
		go func() {
			_, err := l.ask(ctx, client, bob())
			result <- err
		}()
		return result
	}
	waiting := func(n int) {
		t.Helper()
		for limit := time.Now().Add(pollLimit); l.waiting(client) != n; {
			if time.Now().After(limit) {
				t.Fatalf("there are not %d that wait", n)
			}
		}
	}
	first := question(t.Context())
	<-asked
	ctx, giveUp := context.WithCancel(t.Context())
	second := question(ctx)
	waiting(1)
	third := question(t.Context())
	waiting(2)
	giveUp()
	if err := <-second; err == nil {
		t.Error("it was answered")
	}
	close(release)
	for _, result := range []<-chan error{first, third} {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// What an auth server sends unasked, after its answer, is not taken for the answer to the next question, although the
// loop has not heard of it yet.
func TestUnaskedAnswer(t *testing.T) {
	more := make(chan bool, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			defer func() { _ = conn.Close() }()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, ok("Auth-Status: no"))
			if <-more {
				_, _ = io.WriteString(conn, ok(yes, server, port))
			}
		}
	}()
	client := newClient(t, Options{URL: "http://" + ln.Addr().String() + "/"})
	client.conns.most = 1
	l := newAskingLoop(t)
	answered := make(chan error, 1)
	l.Post(loop.Func(func() {
		l.Go(func(task *loop.Task) {
			_, _ = client.Authenticate(task, bob())
			more <- true
			for limit := time.Now().Add(pollLimit); time.Now().Before(limit); {
				if wire.Unread(&client.conns.of(l.Loop).idle[0].raw) {
					break
				}
			}
			_, err := client.Authenticate(task, bob())
			answered <- err
		})
	}))
	var denied *auth.Denied
	if err := <-answered; !errors.As(err, &denied) {
		t.Errorf("the answer is %v, want the refusal", err)
	}
	close(more)
}

// Where no connection can be made, all who wait for one learn it at once.
func TestQueueWithoutServer(t *testing.T) {
	asked, release := make(chan bool), make(chan bool)
	path := filepath.Join(t.TempDir(), "auth.sock")
	s := newRawServer(t, "unix", path, func(string) string {
		asked <- true
		<-release
		return "" // it closes the connection
	})
	client := newClient(t, Options{URL: "unix:" + path, Timeout: time.Hour})
	client.conns.most = 1
	l := newAskingLoop(t)
	results := make(chan error, 3)
	question := func() {
		_, err := l.ask(t.Context(), client, bob())
		results <- err
	}
	go question()
	<-asked
	_ = s.ln.Close()
	go question()
	go question()
	for limit := time.Now().Add(pollLimit); l.waiting(client) != 2; {
		if time.Now().After(limit) {
			t.Fatal("there are not 2 that wait")
		}
	}
	close(release)
	late := time.After(pollLimit)
	for range 3 {
		select {
		case err := <-results:
			if err == nil {
				t.Error("it was answered")
			}
		case <-late:
			t.Fatal("one still waits")
		}
	}
}
