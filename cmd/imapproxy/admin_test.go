package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

func TestAdminAnswers(t *testing.T) {
	port := freePort(t)
	for name, section := range map[string]string{"socket": onSocket, "port": onPort(port)} {
		t.Run(name, func(t *testing.T) {
			r := newAdminRig(t, section)
			to := r.daemon.current.Admin
			tests := []struct {
				method, path string
				status       int
				want         string // what the answer holds
			}{
				{"GET", "/healthz", 200, "ok\n"},
				{"GET", "/readyz", 200, "ready\n"},
				{"GET", "/metrics", 200, "\nimapproxy_sessions 0\n"},
				{"GET", "/sessions", 200, "[]\n"},
				{"GET", "/sockets", 200, "[]\n"},
				{"GET", "/pool", 200, "[]\n"},
				{"GET", "/pool?x=y", 400, ""},
				{"GET", "/sessions?user=a&id=b&backend=c", 200, "[]\n"},
				{"GET", "/debug/pprof/", 200, "goroutine"},
				{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
				{"GET", "/debug/pprof/heap?debug=1", 200, "heap profile"},
				{"GET", "/debug/pprof/trace?seconds=0.01", 200, "go 1."},
				{"GET", "/debug/pprof/profile?seconds=61", 400, "seconds is a number up to 60"},
				{"GET", "/debug/pprof/heap?seconds=NaN", 400, "seconds is a number up to 60"},
				{"GET", "/", 404, ""},
				{"GET", "/nothing", 404, ""},
				{"GET", "/kick?user=alice", 405, ""},
				{"GET", "/drain", 405, ""},
				{"POST", "/sessions", 405, ""},
				{"POST", "/metrics", 405, ""},
				{"DELETE", "/kick?user=alice", 405, ""},
				{"POST", "/kick?user=alice", 200, `{"kicked":0}`},
				{"POST", "/kick", 400, "exactly one of session, user and backend"},
				{"POST", "/kick?user=a&session=b", 400, "exactly one of"},
				{"POST", "/kick?user=", 400, "give user one value"},
				{"POST", "/kick?user=a&user=b", 400, "give user one value"},
				{"POST", "/kick?usr=a", 400, `there is no parameter \"usr\"`},
				{"POST", "/kick?user=a;b", 400, "can't be read"},
				{"GET", "/sessions?usr=a", 400, "there are id, user, backend"},
				{"GET", "/sockets?a=b", 400, "there is no parameter"},
				{"POST", "/drain?a=b", 400, "there is no parameter"},
			}
			for _, tt := range tests {
				status, header, body := r.ask(to, tt.method, tt.path, nil)
				if status != tt.status || !strings.Contains(body, tt.want) {
					t.Errorf("%s %s: %d %q", tt.method, tt.path, status, body[:min(len(body), 200)])
				}
				if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s: %v", tt.method, tt.path, header)
				}
			}
			status, _, body := r.ask(to, "POST", "/kick",
				func(q *http.Request) { q.Body, q.ContentLength = io.NopCloser(strings.NewReader("user=alice")), 10 })
			if status != 400 || !strings.Contains(body, "parameters stand in the address") {
				t.Errorf("a body: %d %q", status, body)
			}
		})
	}
}

func TestAdminGuard(t *testing.T) {
	port := freePort(t)
	r := newAdminRig(t, onPort(port))
	set := func(name string, values ...string) func(*http.Request) {
		return func(q *http.Request) { q.Header[name] = values }
	}
	host := func(name string) func(*http.Request) { return func(q *http.Request) { q.Host = name } }
	tests := []struct {
		what   string
		change func(*http.Request)
		status int
	}{
		{"as it should be", nil, 200},
		{"small letters", set("Authorization", "bearer "+adminToken), 200},
		{"no token", set("Authorization"), 401},
		{"empty token", set("Authorization", "Bearer "), 401},
		{"wrong token", set("Authorization", "Bearer "+adminToken+"x"), 401},
		{"part of the token", set("Authorization", "Bearer "+adminToken[:len(adminToken)-1]), 401},
		{"other scheme", set("Authorization", "Basic "+adminToken), 401},
		{"token only", set("Authorization", adminToken), 401},
		{"two tokens", set("Authorization", "Bearer x", "Bearer "+adminToken), 401},
		{"two tokens, the right one first", set("Authorization", "Bearer "+adminToken, "Bearer x"), 401},
		{"127.0.0.1", host("127.0.0.1:9143"), 200},
		{"::1", host("[::1]:9143"), 200},
		{"other host", host("evil.example"), 403},
		{"host like ours", host("127.0.0.1.evil.example:9143"), 403},
		{"host like localhost", host("localhost.evil.example"), 403},
		{"another machine", host("192.0.2.1"), 403},
		{"page", set("Origin", "http://localhost"), 403},
		{"page of a file", set("Origin", "null"), 403},
		{"image", set("Sec-Fetch-Site", "cross-site"), 403},
	}
	for _, tt := range tests {
		status, header, body := r.ask(r.daemon.current.Admin, "GET", "/sessions", tt.change)
		if status != tt.status {
			t.Errorf("%s: %d %q, want %d", tt.what, status, body, tt.status)
		}
		if (status == 401) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", tt.what, header)
		}
	}
	to := adminAccess{Network: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", port)}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/sockets", "/debug/pprof/", "/nothing"} {
		if status, _, _ := r.ask(to, "GET", path, nil); status != 401 {
			t.Errorf("%s without a token: %d", path, status)
		}
	}
}

// TestAdminSocketGuard: a page can't use a socket, and the mode is all it needs.
func TestAdminSocketGuard(t *testing.T) {
	r := newAdminRig(t, onSocket)
	status, _, _ := r.ask(r.socket(), "GET", "/sessions", func(q *http.Request) { q.Header.Set("Origin", "null") })
	other, _, _ := r.ask(r.socket(), "GET", "/sessions", func(q *http.Request) { q.Host = "any.example" })
	if status != 403 || other != 200 {
		t.Errorf("%d, %d", status, other)
	}
}

func TestAdminBounds(t *testing.T) {
	r := newAdminRig(t, onSocket)
	status, _, _ := r.ask(r.socket(), "GET", "/healthz",
		func(q *http.Request) { q.Header.Set("X-Long", strings.Repeat("x", 2*adminHeaderBytes)) })
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: %d", status)
	}
	path := strings.TrimPrefix(r.address(), config.UnixPrefix)
	var held []net.Conn
	for range adminConnections {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	eventually(t, "connections", func() (bool, string) {
		n := r.daemon.admin.current.open.Load()
		return n >= adminConnections, fmt.Sprint(n)
	})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(adminHeaderLimit / 2)) // a silent one goes after the whole
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("one connection too many reads %d, %v", n, err)
	}
	for _, c := range append(held, conn) {
		_ = c.Close()
	}
	eventually(t, "connections", func() (bool, string) {
		n := r.daemon.admin.current.open.Load()
		return n == 0, fmt.Sprint(n)
	})
	if status, _, _ := r.ask(r.socket(), "GET", "/healthz", nil); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

// list decodes /sessions.
func (r *adminRig) list(query string) []imapproxy.SessionInfo {
	r.t.Helper()
	_, _, body := r.ask(r.socket(), "GET", "/sessions"+query, nil)
	var all []imapproxy.SessionInfo
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		r.t.Fatalf("%q: %v", body, err)
	}
	return all
}

// TestAdminKick kicks by session, user and backend, and no other goes.
func TestAdminKick(t *testing.T) {
	r := newAdminRig(t, onSocket)
	users := map[string]*mailUser{}
	for _, name := range []string{"alice", "bob"} {
		users[name] = r.login(name)
	}
	alice := r.list("?user=alice")
	if len(alice) != 1 || alice[0].Target != "one" || len(r.list("")) != 2 {
		t.Fatalf("%+v", r.list(""))
	}
	for _, tt := range []struct{ query, user string }{
		{"session=" + alice[0].ID, "alice"}, {"user=alice", "alice"}, {"backend=one", "alice"},
		{"backend=" + alice[0].Backend, "alice"}, {"user=bob", "bob"}, {"backend=two", "bob"},
	} {
		_, _, body := r.ask(r.socket(), "POST", "/kick?"+tt.query, nil)
		if body != `{"kicked":1}`+"\n" {
			t.Errorf("%s: %q", tt.query, body)
		}
		users[tt.user].farewell()
		for name, u := range users {
			if name != tt.user {
				u.says("n NOOP\r\n")
				u.reads("n OK")
			}
		}
		eventually(t, "session", func() (bool, string) {
			left := r.list("?user=" + tt.user)
			return len(left) == 0, fmt.Sprintf("%+v", left)
		})
		users[tt.user] = r.login(tt.user)
	}
	r.logged(`"reason":"kicked"`)
	if _, _, body := r.ask(r.socket(), "POST", "/kick?session="+alice[0].ID, nil); body != `{"kicked":0}`+"\n" {
		t.Errorf("a session that has ended: %q", body)
	}
	r.logged(`"message":"admin: sessions kicked"`)
}

// TestAdminFilters: each filter, and two at once.
func TestAdminFilters(t *testing.T) {
	r := newAdminRig(t, onSocket)
	r.login("alice")
	r.login("bob")
	r.connect()
	all := r.list("")
	if len(all) != 3 || !slices.IsSortedFunc(all,
		func(a, b imapproxy.SessionInfo) int { return a.Started.Compare(b.Started) }) {
		t.Fatalf("%+v", all)
	}
	for query, want := range map[string]int{
		"?user=alice": 1, "?user=nobody": 0, "?backend=two": 1, "?id=" + all[0].ID: 1, "?id=" + all[2].ID: 1,
		"?user=alice&backend=two": 0, "?user=bob&backend=two": 1, "?backend=" + all[0].Backend: 1,
	} {
		if got := r.list(query); len(got) != want {
			t.Errorf("%s: %+v, want %d", query, got, want)
		}
	}
}

// TestAdminDrain: a drain through the admin listener ends the daemon as SIGTERM
// does, and the listener answers until then.
func TestAdminDrain(t *testing.T) {
	r := newAdminRig(t, onSocket)
	u := r.login("alice")
	u.says("b APPEND INBOX {10}\r\n")
	u.reads("+")
	u.says("01234")
	for range 3 { // asking again changes nothing
		if status, _, body := r.ask(r.socket(), "POST", "/drain", nil); status != 202 ||
			body != `{"draining":true,"sessions":1}`+"\n" {
			t.Errorf("%d %q", status, body)
		}
		eventually(t, "readiness", func() (bool, string) {
			status, _, body := r.ask(r.socket(), "GET", "/readyz", nil)
			return status == 503 && body == "draining\n", fmt.Sprintf("%d %q", status, body)
		})
	}
	for path, want := range map[string]string{"/healthz": "ok", "/sessions": `"user":"alice"`,
		"/metrics": "imapproxy_sessions 1\n"} {
		if status, _, body := r.ask(r.socket(), "GET", path, nil); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s while it drains: %d %q", path, status, body)
		}
	}
	eventually(t, "listener", func() (bool, string) {
		conn, err := net.Dial("tcp", r.daemon.sockets["imap"].Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil, "open"
	})
	u.says("56789\r\n")
	u.reads("b OK")
	u.farewell()
	if code := r.waitEnd(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	r.logged("the admin listener was asked to drain")
	r.daemon.admin.stop()
	if path := strings.TrimPrefix(r.address(), config.UnixPrefix); fileExists(path) {
		t.Errorf("%s is still there", path)
	}
}

// TestAdminNotReady: before its listeners are open the daemon is not ready.
func TestAdminNotReady(t *testing.T) {
	r := newAdminRig(t, onSocket)
	r.daemon.admin.phase.Store(phaseStarting)
	if status, _, body := r.ask(r.socket(), "GET", "/readyz", nil); status != 503 || body != "starting\n" {
		t.Errorf("%d %q", status, body)
	}
}

// TestAdminReload moves the listener, changes its token, and closes it. One
// that can't be opened changes nothing.
func TestAdminReload(t *testing.T) {
	r := newAdminRig(t, onSocket)
	port := freePort(t)
	reload := func(section, line string) {
		t.Helper()
		before := strings.Count(r.log.String(), line)
		r.configure(section)
		r.signal(syscall.SIGHUP)
		eventually(t, "reload",
			func() (bool, string) { return strings.Count(r.log.String(), line) > before, "under way" })
	}
	status := func(to adminAccess) int {
		t.Helper()
		s, _, _ := r.ask(to, "GET", "/healthz", nil)
		return s
	}
	const done = `"message":"reloaded;`
	reload(onSocket, done)
	if s := status(r.socket()); s != 200 {
		t.Errorf("the same place: %d", s)
	}
	reload(`address = "unix:nowhere/admin.sock"`, "not reloaded")
	if s := status(r.socket()); s != 200 || !strings.Contains(r.log.String(), "there is no folder") {
		t.Errorf("a place that is none: %d", s)
	}
	reload(onPort(port), done)
	to := adminAccess{Network: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", port), Token: adminToken}
	if s := status(to); s != 200 || fileExists(strings.TrimPrefix(r.address(), config.UnixPrefix)) {
		t.Errorf("moved: %d", s)
	}
	mustWrite(t, filepath.Join(r.folder, "admin.token"), "another-"+adminToken)
	reload(onPort(port), done)
	changed := to
	changed.Token = "another-" + adminToken
	if was, is := status(to), status(changed); was != 401 || is != 200 {
		t.Errorf("another token: %d with the old, %d with the new", was, is)
	}
	reload("", done)
	if conn, err := net.Dial("tcp", to.Address); err == nil {
		_ = conn.Close()
		t.Error("it listens still")
	}
}

// TestAdminNoSecret looks for the password and the token in every answer, after
// logins that went well and that did not.
func TestAdminNoSecret(t *testing.T) {
	port := freePort(t)
	r := newAdminRig(t, onPort(port))
	r.login("alice")
	refused := r.connect()
	refused.says("a LOGIN alice x" + canary + "\r\n")
	refused.reads("a NO")
	half := r.connect()
	half.says("a LOGIN bob " + canary) // no end of line
	to := r.daemon.current.Admin
	seen := 0
	for _, path := range []string{"/metrics", "/sessions", "/sockets", "/healthz", "/readyz", "/kick?user=nobody",
		"/nothing",
		"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine?debug=1",
		"/debug/pprof/heap?debug=1",
		"/debug/pprof/allocs?debug=1", "/debug/pprof/heap", "/debug/pprof/trace?seconds=0.05"} {
		for _, method := range []string{"GET", "POST"} {
			status, header, body := r.ask(to, method, path, nil)
			seen += len(body)
			if text := fmt.Sprint(header) + body; strings.Contains(text, canary) || strings.Contains(text, adminToken) {
				t.Errorf("%s %s: %d, and the answer holds a secret", method, path, status)
			}
		}
	}
	if seen < 10000 {
		t.Errorf("only %d bytes seen", seen)
	}
}
