package httpauth

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
)

// What is no answer is an error that is not a refusal, soon, and without the
// password: the servers below send it back wherever they can.
func TestFailures(t *testing.T) { bothWays(t, testFailures) }

func testFailures(t *testing.T, ask asks) {
	echo := func(prefix, suffix string) func(string) string {
		return func(head string) string { return prefix + head + suffix }
	}
	reply := func(s string) func(string) string { return func(string) string { return s } }
	for _, c := range []struct {
		name   string
		handle func(string) string
		want   string
	}{
		{"closes", reply(""), "closed the connection"},
		{"echo", echo("", ""), "not HTTP"},
		{"echo in the status line", func(head string) string {
			return "HTTP/1.1 " +
				headerLines(head)["Auth-Pass"][0] + "\r\n\r\n"
		}, "not HTTP"},
		{"echo in a header's name", func(string) string { return "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n" },
			"not HTTP"},
		{"echo in the length", func(string) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: " +
				canary + "\r\n\r\n"
		}, "not HTTP"},
		{"echo in the encoding", func(string) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
				canary + "\r\n\r\n"
		}, "not HTTP"},
		{"echo in the status text", reply(status("500 " + canary)), "HTTP status 500"},
		{"echo as server", reply(ok(yes, "Auth-Server: "+canary, port)), "neither a name"},
		{"echo as port", reply(ok(yes, server, "Auth-Port: "+canary)), "1 to 65535"},
		{"echo in UNAVAILABLE", reply(ok("Auth-Status: [UNAVAILABLE] " + canary)), "(withheld)"},
		{"echo as location", reply(status("301 Moved", "Location: http://127.0.0.1/"+canary)), "HTTP status 301"},
		{"junk", reply("\x16\x03\x01\x02\x00"), "no answer within the time"},
		{"junk lines", reply(strings.Repeat("\x00\xff\n", 100)), "not HTTP"},
		{"SMTP", reply("220 mail ESMTP\r\n"), "not HTTP"},
		{"HTTP/2", reply("HTTP/2 200\r\n" + yes + "\r\n\r\n"), "not HTTP"},
		{"half a head", reply("HTTP/1.1 200 OK\r\n" + yes + "\r\n"), "no answer within the time"},
		{"huge headers", reply(ok(yes, server, port, "X: "+strings.Repeat("x", 9<<10))), "more than 8192 bytes"},
		{"many headers", reply(ok(append([]string{yes, server, port}, strings.Split(strings.Repeat("X: y\n", 2000),
			"\n")...)...)), "more than 8192 bytes"},
		{"endless line", reply("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), "more than 8192 bytes"},
		{"503", reply(status("503 Service Unavailable")), "HTTP status 503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRawServer(t, "tcp", "127.0.0.1:0", c.handle)
			client := newClient(t, Options{URL: s.url(), Timeout: 300 * time.Millisecond})
			begin := time.Now()
			g, err := ask(context.Background(), client, bob())
			kind, _ := outcome(t, g, err)
			if kind != "unavailable" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want %q", kind, err, c.want)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) { bothWays(t, testConnectionRefused) }

func testConnectionRefused(t *testing.T, ask asks) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	for _, url := range []string{"http://" + address, "https://" + address, "unix:" + t.TempDir() + "/none"} {
		client := newClient(t, Options{URL: url})
		g, err := ask(context.Background(), client, bob())
		if kind, _ := outcome(t, g, err); kind != "unavailable" || !strings.Contains(err.Error(), url) {
			t.Errorf("%s: %s: %v", url, kind, err)
		}
	}
}

// The timeout counts from the start and a drip of bytes does not extend it.
func TestTimeoutIsAbsolute(t *testing.T) { bothWays(t, testTimeoutIsAbsolute) }

func testTimeoutIsAbsolute(t *testing.T, ask asks) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		head := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 4000)
		for i := range len(head) {
			if _, err := conn.Write([]byte{head[i]}); err != nil {
				return
			}
			<-tick.C
		}
	}()
	client := newClient(t, Options{URL: "http://" + ln.Addr().String(), Timeout: 200 * time.Millisecond})
	begin := time.Now()
	g, err := ask(context.Background(), client, bob())
	if kind, _ := outcome(t, g, err); kind != "unavailable" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: %v", kind, err)
	}
	if d := time.Since(begin); d < 200*time.Millisecond || d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	_ = ln.Close()
	<-dripped // the client closed its connection
}

func TestContextEndsQuestion(t *testing.T) { bothWays(t, testContextEndsQuestion) }

func testContextEndsQuestion(t *testing.T, ask asks) {
	asked := make(chan bool, 1)
	release := make(chan bool)
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		asked <- true
		<-release
		return ""
	})
	defer close(release)
	client := newClient(t, Options{URL: s.url(), Timeout: time.Minute})
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("the client left")
	go func() {
		<-asked
		cancel(gone)
	}()
	g, err := ask(ctx, client, bob())
	ended := errors.Is(err, gone) || errors.Is(err, context.Canceled) // a task knows no cause
	if kind, _ := outcome(t, g, err); kind != "unavailable" || !ended {
		t.Errorf("%s: %v", kind, err)
	}
}

func TestTLS(t *testing.T) { bothWays(t, testTLS) }

func testTLS(t *testing.T, ask asks) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("asked by %s", r.Proto)
		}
		w.Header().Set("Auth-Status", "OK")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	smtp := greeting(t)
	plain := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string { return "" })
	for _, c := range []struct {
		name string
		o    Options
		want string // of the outcome or the error
	}{
		{"with its CA", Options{URL: s.URL, TLSConfig: &tls.Config{RootCAs: roots}}, "granted"},
		{"with the system's CAs", Options{URL: s.URL},
			"certificate signed by unknown authority; set auth.http.ca to the CA's file"},
		{"another name", Options{URL: s.URL, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "other.example"}},
			"other.example"},
		{"unverified", Options{URL: s.URL, TLSConfig: &tls.Config{InsecureSkipVerify: true}, Insecure: true},
			"granted"},
		{"HTTP there", Options{URL: strings.Replace(web.URL, "http:", "https:", 1)}, "does not speak TLS"},
		{"SMTP there", Options{URL: strings.Replace(smtp, "http:", "https:", 1)}, "does not speak TLS"},
		{"silence there", Options{URL: strings.Replace(plain.url(), "http:", "https:", 1),
			Timeout: 300 * time.Millisecond}, "no answer within the time"},
	} {
		c.o.ServerOptional = true
		client := newClient(t, c.o)
		g, err := ask(context.Background(), client, bob())
		kind, _ := outcome(t, g, err)
		if kind != c.want && (err == nil || kind != "unavailable" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %s: %v; want %s", c.name, kind, err, c.want)
		}
		_ = client.Close()
	}
}

func TestRefusedBeforeAsking(t *testing.T) { bothWays(t, testRefusedBeforeAsking) }

func testRefusedBeforeAsking(t *testing.T, ask asks) {
	s := newRawServer(t, "tcp", "127.0.0.1:0", func(string) string {
		t.Error("the server was asked")
		return ""
	})
	client := newClient(t, Options{URL: s.url()})
	for _, c := range []struct {
		name string
		edit func(*auth.Request)
		want string
		code string
	}{
		{"empty user", func(r *auth.Request) { r.User = "" }, "denied", "CLIENTBUG"},
		{"empty password", func(r *auth.Request) { r.Secret = "" }, "denied", "CLIENTBUG"},
		{"control byte", func(r *auth.Request) { r.User = "bob\r\nAuth-Status: OK" }, "denied", "CLIENTBUG"},
		{"DEL", func(r *auth.Request) { r.Secret = "a\x7f" }, "denied", "CLIENTBUG"},
		{"authzid", func(r *auth.Request) { r.AuthzID = "eve" }, "denied", "AUTHORIZATIONFAILED"},
		{"mechanism", func(r *auth.Request) { r.Mechanism = "SCRAM-SHA-1" }, "unavailable", ""},
	} {
		r := bob()
		c.edit(r)
		g, err := ask(context.Background(), client, r)
		kind, denied := outcome(t, g, err)
		if kind != c.want || denied != nil && denied.Code != c.code {
			t.Errorf("%s: %s: %v; want %s [%s]", c.name, kind, err, c.want, c.code)
		}
	}
}

func TestOwnAuthzIDIsFine(t *testing.T) { bothWays(t, testOwnAuthzIDIsFine) }

func testOwnAuthzIDIsFine(t *testing.T, ask asks) {
	client := answering(t, Options{}, ok(yes, server, port))
	r := bob()
	r.AuthzID = r.User
	if g, err := ask(context.Background(), client, r); err != nil {
		t.Errorf("%+v, %v", g, err)
	}
}

// greeting is the URL of a server that speaks first, and not HTTP.
func greeting(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("220 mail ESMTP " + canary + "\r\n"))
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	return "http://" + ln.Addr().String()
}
