package httpauth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/auth"
)

const (
	server = "Auth-Server: 192.0.2.1"
	port   = "Auth-Port: 143"
	yes    = "Auth-Status: OK"
)

func TestAnswerGrants(t *testing.T) { bothWays(t, testAnswerGrants) }

func testAnswerGrants(t *testing.T, ask asks) {
	for _, c := range []struct {
		name   string
		answer string
		want   auth.Grant
	}{
		{"address", ok(yes, server, port), auth.Grant{User: "bob", Secret: canary, Server: "192.0.2.1:143"}},
		{"names in any case", ok("aUTH-sTATUS: OK", "auth-server: 192.0.2.1", "AUTH-PORT: 143"),
			auth.Grant{User: "bob", Secret: canary, Server: "192.0.2.1:143"}},
		{"IPv6 bare", ok(yes, "Auth-Server: 2001:db8::1", port), auth.Grant{User: "bob", Secret: canary,
			Server: "[2001:db8::1]:143"}},
		{"IPv6 in brackets", ok(yes, "Auth-Server: [2001:db8::1]", port), auth.Grant{User: "bob", Secret: canary,
			Server: "[2001:db8::1]:143"}},
		{"IPv4 in IPv6", ok(yes, "Auth-Server: ::ffff:192.0.2.1", port), auth.Grant{User: "bob", Secret: canary,
			Server: "192.0.2.1:143"}},
		{"name", ok(yes, "Auth-Server: mail-1.example.org", port), auth.Grant{User: "bob", Secret: canary,
			Server: "mail-1.example.org:143"}},
		{"name of a target", ok(yes, "Auth-Server: store_7"), auth.Grant{User: "bob", Secret: canary,
			Server: "store_7"}},
		{"no server", ok(yes), auth.Grant{User: "bob", Secret: canary}},
		{"other user", ok(yes, server, port, "Auth-User: b o b@x"), auth.Grant{User: "b o b@x", Secret: canary,
			Server: "192.0.2.1:143"}},
		{"other password", ok(yes, server, port, "Auth-Pass: %20 x\xff"), auth.Grant{User: "bob", Secret: "%20 x\xff",
			Server: "192.0.2.1:143"}},
		{"last wins", ok("Auth-Status: no", yes, server, "Auth-Server: 192.0.2.2", port),
			auth.Grant{User: "bob", Secret: canary, Server: "192.0.2.2:143"}},
		{"another good status", "HTTP/1.1 204 No Content\r\n" + yes + "\r\n" + server + "\r\n" + port + "\r\n\r\n",
			auth.Grant{User: "bob", Secret: canary, Server: "192.0.2.1:143"}},
	} {
		client := answering(t, Options{ServerOptional: true}, c.answer)
		g, err := ask(context.Background(), client, bob())
		if err != nil || *g != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, g, err, c.want)
		}
	}
}

func TestAnswerDenies(t *testing.T) { bothWays(t, testAnswerDenies) }

func testAnswerDenies(t *testing.T, ask asks) {
	for _, c := range []struct {
		name, answer string
		want         auth.Denied // without Log
	}{
		{"text", ok("Auth-Status: Invalid login"), auth.Denied{Text: "Invalid login"}},
		{"empty text", ok("Auth-Status:"), auth.Denied{}},
		{"lower case is a text", ok("Auth-Status: ok", server, port), auth.Denied{Text: "ok"}},
		{"wait", ok("Auth-Status: no", "Auth-Wait: 3"), auth.Denied{Text: "no", Wait: 3 * time.Second}},
		{"long wait", ok("Auth-Status: no", "Auth-Wait: 3600"), auth.Denied{Text: "no", Wait: time.Minute}},
		{"bad wait", ok("Auth-Status: no", "Auth-Wait: -1"), auth.Denied{Text: "no"}},
		{"huge wait", ok("Auth-Status: no", "Auth-Wait: 99999999999999999999"), auth.Denied{Text: "no"}},
		{"403", status("403 Forbidden", "Auth-Status: no"), auth.Denied{Text: "no"}},
		{"unprintable", ok("Auth-Status: a\xc2\x9b1mb\x80\xe2\x80\xaec\xef\xbf\xbd"), auth.Denied{Text: "a1mbc"}},
		{"UTF-8", ok("Auth-Status: Неверно"), auth.Denied{Text: "Неверно"}},
		{"long", ok("Auth-Status: " + strings.Repeat("x", 300)), auth.Denied{Text: strings.Repeat("x", 256)}},
		{"long UTF-8", ok("Auth-Status: x" + strings.Repeat("ö", 200)),
			auth.Denied{Text: "x" + strings.Repeat("ö", 127)}},
		{"code", ok("Auth-Status: [EXPIRED] Password expired"), auth.Denied{Code: "EXPIRED", Text: "Password expired"}},
		{"unknown code", ok("Auth-Status: [CAPABILITY IMAP4rev1] x"), auth.Denied{Text: "[CAPABILITY IMAP4rev1] x"}},
		{"password in the text", ok("Auth-Status: wrong " + canary), auth.Denied{Text: "wrong (withheld)"}},
		{"escaped password in the text", ok("Auth-Status: wrong " + escape(canary)),
			auth.Denied{Text: "wrong (withheld)"}},
		{"hidden password in the text", ok("Auth-Status: wrong kana\xe2\x80\xaerie 7c1f\"%"),
			auth.Denied{Text: "wrong (withheld)"}},
		{"password after the limit", ok("Auth-Status: " + strings.Repeat("x", 250) + canary),
			auth.Denied{Text: strings.Repeat("x", 250) + "(withh"}},
	} {
		client := answering(t, Options{}, c.answer)
		g, err := ask(context.Background(), client, bob())
		kind, denied := outcome(t, g, err)
		if kind != "denied" {
			t.Errorf("%s: %s: %v", c.name, kind, err)
			continue
		}
		if denied.Log == "" || denied.Code != c.want.Code || denied.Text != c.want.Text || denied.Wait != c.want.Wait {
			t.Errorf("%s: %+v, want %+v", c.name, denied, c.want)
		}
	}
}

func TestAnswerUnavailable(t *testing.T) { bothWays(t, testAnswerUnavailable) }

func testAnswerUnavailable(t *testing.T, ask asks) {
	for _, c := range []struct{ name, answer, want string }{
		{"no server", ok(yes), "did not send Auth-Server"},
		{"port without server", ok(yes, port), "did not send Auth-Server"},
		{"server with port", ok(yes, "Auth-Server: 192.0.2.1:143"), "neither a name nor an address"},
		{"server with space", ok(yes, "Auth-Server: a b", port), "neither a name nor an address"},
		{"server with zone", ok(yes, "Auth-Server: fe80::1%eth0", port), "neither a name nor an address"},
		{"server too long", ok(yes, "Auth-Server: "+strings.Repeat("a", 300), port), "neither a name nor an address"},
		{"port 0", ok(yes, server, "Auth-Port: 0"), "1 to 65535"},
		{"port 65536", ok(yes, server, "Auth-Port: 65536"), "1 to 65535"},
		{"port -1", ok(yes, server, "Auth-Port: -1"), "1 to 65535"},
		{"port with junk", ok(yes, server, "Auth-Port: 143x"), "1 to 65535"},
		{"empty user", ok(yes, server, port, "Auth-User:"), "is empty"},
		{"empty password", ok(yes, server, port, "Auth-Pass:"), "is empty"},
		{"user too long", ok(yes, server, port, "Auth-User: "+strings.Repeat("u", 513)), "too long"},
		{"control byte", ok("Auth-Status: a\x1b[1m"), "not HTTP"},
		{"no status", ok(server, port), "without Auth-Status"},
		{"an ordinary page", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "without Auth-Status"},
		{"404", status("404 Not Found"), "HTTP status 404 without Auth-Status"},
		{"401", status("401 Unauthorized"), "HTTP status 401 without Auth-Status"},
		{"401 with OK", status("401 Unauthorized", yes, server, port), "HTTP status 401 with Auth-Status: OK"},
		{"500 with OK", status("500 Internal Server Error", yes, server, port), "HTTP status 500"},
		{"500 with a refusal", status("500 Internal Server Error", "Auth-Status: no"), "HTTP status 500"},
		{"503", status("503 Service Unavailable"), "HTTP status 503"},
		{"redirect", status("302 Found", "Location: http://127.0.0.1:1/"), "HTTP status 302"},
		{"redirect with OK", status("307 x", "Location: /", yes, server, port), "HTTP status 307"},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n" + yes + "\r\n\r\n",
			"HTTP status 101"},
		{"says so", ok("Auth-Status: [UNAVAILABLE] database down"), "database down"},
		{"says so at length", ok("Auth-Status: [UNAVAILABLE] " + strings.Repeat("x", 300)),
			strings.Repeat("x", 256) + "\""},
	} {
		client := answering(t, Options{}, c.answer)
		begin := time.Now()
		g, err := ask(context.Background(), client, bob())
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s: took %v", c.name, d)
		}
		if kind, _ := outcome(t, g, err); kind != "unavailable" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s: %v; want %q", c.name, kind, err, c.want)
		}
	}
}

func TestAnswerWait(t *testing.T) { bothWays(t, testAnswerWait) }

func testAnswerWait(t *testing.T, ask asks) {
	for _, c := range []struct {
		name  string
		wait  int // what each says in seconds
		waits int // answers WAIT before OK
		want  string
		slept string
	}{
		{"never", 7, 0, "granted", "[]"},
		{"twice", 7, 2, "granted", "[7s 7s]"},
		{"as often as may be", 7, maxRetries, "granted", "[7s 7s 7s 7s 7s]"},
		{"patient", 7, maxRetries + 1, "granted", "[7s 7s 7s 7s 7s 7s]"},
		{"patient and told no time", 0, 2, "granted", "[1s 1s]"},
		{"for ever", 7, 1000, "unavailable", "[7s 7s 7s 7s 7s 7s]"},
	} {
		var mu sync.Mutex // protects what follows
		asked := 0
		var attempts []string
		s := newRawServer(t, "tcp", "127.0.0.1:0", func(head string) string {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, headerLines(head)["Auth-Login-Attempt"]...)
			if asked++; asked <= c.waits {
				return ok("Auth-Status: WAIT", fmt.Sprintf("Auth-Wait: %d", c.wait))
			}
			return ok(yes, server, port)
		})
		seen := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(attempts, "")
		}
		client := newClient(t, Options{URL: s.url()})
		slept := []time.Duration{}
		client.sleep = func(_ context.Context, d time.Duration) error {
			slept = append(slept, d)
			return nil
		}
		asks := auth.Authenticator(client)
		if strings.HasPrefix(c.name, "patient") {
			asks = client.Patient()
		}
		g, err := ask(context.Background(), asks, bob())
		if kind, _ := outcome(t, g, err); kind != c.want || fmt.Sprint(slept) != c.slept {
			t.Errorf("%s: %s after %v: %v; want %s after %s", c.name, kind, slept, err, c.want, c.slept)
		}
		if strings.Trim(seen(), "1") != "" {
			t.Errorf("%s: attempts %v: a retry is the same attempt", c.name, attempts)
		}
	}
}

func TestAnswerWaitEndsWithContext(t *testing.T) { bothWays(t, testAnswerWaitEndsWithContext) }

func testAnswerWaitEndsWithContext(t *testing.T, ask asks) {
	client := answering(t, Options{}, ok("Auth-Status: WAIT", "Auth-Wait: 60"))
	client.sleep = sleep
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	g, err := ask(ctx, client, bob())
	if kind, _ := outcome(t, g, err); kind != "unavailable" || time.Since(begin) > 5*time.Second {
		t.Errorf("%s after %v: %v", kind, time.Since(begin), err)
	}
}
