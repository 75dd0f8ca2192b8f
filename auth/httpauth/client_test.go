package httpauth

import (
	"context"
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string // "" is fine; several parts are several errors
	}{
		{"loopback", Options{URL: "http://127.0.0.1:80/auth"}, ""},
		{"loopback, 127/8", Options{URL: "http://127.9.9.9"}, ""},
		{"loopback, IPv6", Options{URL: "http://[::1]:8080/"}, ""},
		{"loopback, IPv4 in IPv6", Options{URL: "http://[::ffff:127.0.0.1]/"}, ""},
		{"localhost", Options{URL: "http://localhost/"}, ""},
		{"https", Options{URL: "https://auth.example.org/nginx?x=1"}, ""},
		{"unix", Options{URL: "unix:/run/auth.sock"}, ""},
		{"unix with path", Options{URL: "unix:/run/auth.sock:/nginx?x=1"}, ""},
		{"elsewhere", Options{URL: "http://192.0.2.1/"}, "use https://"},
		{"elsewhere by name", Options{URL: "http://localhost.example.org/"}, "use https://"},
		{"elsewhere, insecure", Options{URL: "http://192.0.2.1/", Insecure: true}, ""},
		{"unverified", Options{URL: "https://192.0.2.1/", TLSConfig: &tls.Config{InsecureSkipVerify: true}},
			"give its CA"},
		{"unverified, insecure", Options{URL: "https://192.0.2.1/", TLSConfig: &tls.Config{InsecureSkipVerify: true},
			Insecure: true}, ""},
		{"nothing", Options{}, "the URL is none of"},
		{"no scheme", Options{URL: "127.0.0.1:9000/auth"}, "the URL is none of"},
		{"other scheme", Options{URL: "ftp://127.0.0.1/"}, "the URL is none of"},
		{"no host", Options{URL: "http:///auth"}, "the URL is none of"},
		{"opaque", Options{URL: "http:127.0.0.1"}, "the URL is none of"},
		{"bad port", Options{URL: "http://127.0.0.1:x/" + canary}, "the URL is none of"},
		{"relative socket", Options{URL: "unix:auth.sock"}, "the URL is none of"},
		{"relative path", Options{URL: "unix:/run/auth.sock:nginx"}, "the URL is none of"},
		{"password in the URL", Options{URL: "http://u:" + "kanarie" + "@127.0.0.1/"}, "header Authorization"},
		{"good header", Options{URL: "http://127.0.0.1", Header: http.Header{"X-Auth-Key": {"a b\tc\xff"}}}, ""},
		{"header's name", Options{URL: "http://127.0.0.1", Header: http.Header{"a b": {"x"}}}, "no header's name"},
		{"header's value", Options{URL: "http://127.0.0.1", Header: http.Header{"X": {"kanarie\r\nY: z"}}},
			"control byte"},
		{"own header", Options{URL: "http://127.0.0.1", Header: http.Header{"auth-user": {"x"}}}, "protocol's own"},
		{"certificate's header", Options{URL: "http://127.0.0.1", Header: http.Header{"auth-ssl-verify": {"x"}}},
			"protocol's own"},
		{"host header", Options{URL: "http://127.0.0.1", Header: http.Header{"Host": {"x"}}}, "protocol's own"},
		{"everything", Options{URL: "x", Timeout: -1, MaxConns: -1, Header: http.Header{"Host": nil, "": nil}},
			"the URL|timeout is negative|connections is negative|no header's name|protocol's own"},
	} {
		client, err := New(c.o)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else {
				_ = client.Close()
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: taken", c.name)
			continue
		}
		lines, wants := strings.Split(err.Error(), "\n"), strings.Split(c.want, "|")
		if len(lines) != len(wants) {
			t.Errorf("%s: %d errors: %v", c.name, len(lines), err)
			continue
		}
		for i, want := range wants {
			if !strings.Contains(lines[i], want) || strings.Contains(lines[i], "kanarie") {
				t.Errorf("%s: %q, want %q", c.name, lines[i], want)
			}
		}
	}
}

func TestTLSFloor(t *testing.T) {
	for _, o := range []Options{{}, {TLSConfig: &tls.Config{}},
		{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS10}}} {
		if v := o.tlsConfig().MinVersion; v != tls.VersionTLS12 {
			t.Errorf("from %#x", v)
		}
	}
	strict := Options{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	if v := strict.tlsConfig().MinVersion; v != tls.VersionTLS13 {
		t.Errorf("from %#x", v)
	}
}

func TestUnixSocket(t *testing.T) { bothWays(t, testUnixSocket) }

func testUnixSocket(t *testing.T, ask asks) {
	path := filepath.Join(t.TempDir(), "s")
	heads := make(chan string, 1)
	newRawServer(t, "unix", path, func(head string) string {
		heads <- head
		return ok(yes, server, port)
	})
	client := newClient(t, Options{URL: "unix:" + path + ":/nginx?x=1"})
	if _, err := ask(context.Background(), client, bob()); err != nil {
		t.Fatal(err)
	}
	if head := <-heads; !strings.HasPrefix(head, "GET /nginx?x=1 HTTP/1.1\r\nHost: localhost\r\n") {
		t.Errorf("asked %q", head)
	}
}

// The environment's proxy must never see a password. (net/http reads it once a
// process, so this shows the transport's own setting.)
func TestNoProxy(t *testing.T) {
	client := newClient(t, Options{URL: "http://192.0.2.1/", Insecure: true})
	if client.transport.Proxy != nil {
		t.Error("a proxy may be used")
	}
}

// A connection is kept after every complete answer with a small body, and one
// that the server has closed meanwhile is replaced without the caller's notice.
func TestConnectionsAreKept(t *testing.T) { bothWays(t, testConnectionsAreKept) }

func testConnectionsAreKept(t *testing.T, ask asks) {
	for _, c := range []struct {
		name, answer string
		kept         bool
	}{
		{"length", ok(yes, server, port), true},
		{"refusal", ok("Auth-Status: no"), true},
		{"4xx", status("403 Forbidden", "Auth-Status: no"), true},
		{"5xx", status("500 x"), true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + yes + "\r\n" + server + "\r\n" +
			port + "\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
		{"big body", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n" + yes + "\r\n" + server + "\r\n" +
			port + "\r\n\r\n" + strings.Repeat("x", 5000), false},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n" + yes + "\r\n" + server + "\r\n" +
			port + "\r\n\r\n", false},
	} {
		s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string { return c.answer })
		client := newClient(t, Options{URL: s.url()})
		for range 10 {
			g, err := ask(context.Background(), client, bob())
			outcome(t, g, err)
		}
		// net/http drops a good one now and then on a busy machine.
		if n := s.conns.Load(); c.kept && n > 5 || !c.kept && n != 10 {
			t.Errorf("%s: %d connections for 10 questions", c.name, n)
		}
	}
	var answers atomic.Int32
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		if answers.Add(1)%2 == 0 { // each connection answers once
			return ""
		}
		return ok(yes, server, port)
	})
	client := newClient(t, Options{URL: s.url()})
	for i := range 5 {
		if _, err := ask(context.Background(), client, bob()); err != nil {
			t.Errorf("question %d: %v", i, err)
		}
	}
}

// A body that never ends costs the connection, not the login.
func TestSlowBody(t *testing.T) { bothWays(t, testSlowBody) }

func testSlowBody(t *testing.T, ask asks) {
	client := answering(t, Options{Timeout: 20 * time.Second}, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"+yes+"\r\n"+
		server+"\r\n"+port+"\r\n\r\nslow")
	begin := time.Now()
	g, err := ask(context.Background(), client, bob())
	if kind, _ := outcome(t, g, err); kind != "granted" {
		t.Errorf("%s: %v", kind, err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestMaxConns(t *testing.T) { bothWays(t, testMaxConns) }

func testMaxConns(t *testing.T, ask asks) {
	const limit, questions = 3, 30
	var now, most atomic.Int32
	full := make(chan bool)
	var fill sync.Once
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == limit {
			fill.Do(func() { close(full) })
		}
		<-full
		now.Add(-1)
		return ok(yes, server, port)
	})
	client := newClient(t, Options{URL: s.url(), MaxConns: limit})
	if client.conns != nil {
		client.conns.most = limit // of all loops
	}
	var all sync.WaitGroup
	for range questions {
		all.Go(func() {
			if _, err := ask(context.Background(), client, bob()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != limit || s.conns.Load() > limit {
		t.Errorf("%d questions at a time on %d connections, the limit is %d", most.Load(), s.conns.Load(), limit)
	}
	// Who waits for a connection waits no longer than the timeout.
	release := make(chan bool)
	stuck := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string { <-release; return "" })
	defer close(release)
	client = newClient(t, Options{URL: stuck.url(), MaxConns: 1, Timeout: 200 * time.Millisecond})
	for range 2 {
		all.Go(func() {
			g, err := ask(context.Background(), client, bob())
			if kind, _ := outcome(t, g, err); kind != "unavailable" {
				t.Errorf("%s: %v", kind, err)
			}
		})
	}
	all.Wait()
}

// Close lets a question under way have its answer and leaves no connection:
// goleak would find its goroutines.
func TestCloseMeanwhile(t *testing.T) { bothWays(t, testCloseMeanwhile) }

func testCloseMeanwhile(t *testing.T, ask asks) {
	asked, release := make(chan bool), make(chan bool)
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		asked <- true
		<-release
		return ok(yes, server, port)
	})
	client, err := New(Options{URL: s.url()})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	question := func() {
		_, err := ask(context.Background(), client, bob())
		result <- err
	}
	go question()
	<-asked
	_ = client.Close()
	release <- true
	if err := <-result; err != nil {
		t.Errorf("under way: %v", err)
	}
	go question()
	<-asked
	release <- true
	if err := <-result; err != nil {
		t.Errorf("after Close: %v", err)
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2: one was kept", n)
	}
}
