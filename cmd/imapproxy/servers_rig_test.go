package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"imapproxy/backend"
)

// serverRig is a proxy before one mail server.
type serverRig struct {
	*rig
	server   *mailServer
	process  *process
	before   []string // descriptors of the proxy while no client is there
	thorough bool     // checks what takes long, too
}

// serverRoutes says how the proxy reaches the server for each user; joe is for
// comparison and goes there directly.
var serverRoutes = []struct {
	target, tls, user string
	pool              bool
}{
	{"clear", "off", "fay", false},
	{"starttls", "starttls", "cat", false},
	{"tls", "implicit", "dan", false},
	{"pooled", "starttls", "ann", true}, // bob too
	{"pooled-tls", "implicit", "eve", true},
}

func newServerRig(t *testing.T, kind serverKind) *serverRig {
	t.Helper()
	dir := t.TempDir()
	issueCertificate(t, dir)
	r := &serverRig{server: startServer(t, kind), rig: &rig{
		PlainPort: freePort(t), TLSPort: freePort(t),
		CAFile: filepath.Join(dir, "ca.pem"), Config: filepath.Join(dir, "imapproxy.toml"),
	}}
	var config, routes strings.Builder
	fmt.Fprintf(&config, `hostname = "proxy.example.org"
log = { format = "json" }
admin = { address = "unix:admin.sock" }
auth = { type = "passthrough" }
route = { type = "map", file = "map" }
listener = [
  { name = "imap", address = "127.0.0.1:%d", tls = "starttls", certificate = "cert.pem", key = "key.pem" },
  { name = "imaps", address = "127.0.0.1:%d", tls = "implicit", certificate = "cert.pem", key = "key.pem" },
]
`, r.PlainPort, r.TLSPort)
	for _, route := range serverRoutes {
		port, trust, pool := r.server.PlainPort, "", "off"
		if route.tls != "off" {
			trust = fmt.Sprintf("server_name = \"localhost\"\nca = %q\n", r.server.CAFile)
		}
		if route.tls == "implicit" {
			port = r.server.TLSPort
		}
		if route.pool {
			pool = "on"
		}
		fmt.Fprintf(&config, "\n[[target]]\nname = %q\naddresses = [\"127.0.0.1:%d\"]\ntls = %q\n"+
			"logout_timeout = \"20s\"\n%spool = { mode = %q, max_per_user = 1 }\n",
			route.target, port, route.tls, trust, pool)
		fmt.Fprintln(&routes, route.user, route.target)
	}
	write(t, r.Config, 0o600, config.String())
	write(t, filepath.Join(dir, "map"), 0o600, routes.String()+"bob pooled\n")
	for _, user := range serverUsers {
		r.putCanary(t, user)
	}
	r.process, r.before = r.launch(t, r.program(t), 3)
	return r
}

// subjectOf is what only the user's own mailbox has.
func subjectOf(user string) string { return "mail-of-" + user }

// putCanary leaves the user one message, which is read.
func (r *serverRig) putCanary(t *testing.T, user string) {
	t.Helper()
	text := "Subject: " + subjectOf(user) + "\r\n\r\nfor " + user + "\r\n"
	l := open(t, r.server.endpoint(plain))
	log := l.converse(t, user, fmt.Sprintf(`a APPEND INBOX (\Seen) {%d}`, len(text)), "<"+text+"\r\n",
		"b SELECT INBOX", "c FETCH 1 FLAGS") // no longer recent
	if text := strings.Join(log, "\n"); !strings.Contains(text, "a OK") || !strings.Contains(text, "* 1 FETCH") {
		t.Fatalf("%s answers %s\n%s", r.server.name, user, text)
	}
}

// converse logs the user in, says commands, and logs out; it returns what is read
// between. The connection is closed.
func (l *line) converse(t *testing.T, user string, commands ...string) []string {
	t.Helper()
	l.enter(t, user)
	log := steady(converse(t, l, l.r, slices.Concat(commands, []string{"z LOGOUT"})))
	l.expectEnd(t)
	return log
}

// enter logs the user in.
func (l *line) enter(t *testing.T, user string) {
	t.Helper()
	l.command(t, fmt.Sprintf("l LOGIN %s %q", user, passwordOf(user)), "l OK")
}

// pool is what the proxy says of a target's pool.
func (r *serverRig) pool(t *testing.T, target string) backend.PoolStats {
	t.Helper()
	var all []backend.PoolStats
	try(t, "pool", r.ask(http.MethodGet, "/pool", nil, &all))
	for _, stats := range all {
		if stats.Target == target {
			return stats
		}
	}
	return backend.PoolStats{Target: target}
}

// rested waits until the connections to a target are in the pool or gone.
func (r *serverRig) rested(t *testing.T, target string) {
	t.Helper()
	eventually(t, "connections on their way to the pool", func() (bool, string) {
		p := r.pool(t, target)
		return p.Leased+p.Checking+p.Resetting+p.Dialling+p.Ending == 0, fmt.Sprintf("%+v", p)
	})
}

// pooled is how many connections lie in the pools: fewer, once one has been there for too long.
func (r *serverRig) pooled(t *testing.T) (n int) {
	t.Helper()
	for _, route := range serverRoutes {
		p := r.pool(t, route.target)
		n += p.Idle + p.Spare
	}
	return n
}

// settles waits until no session is left, and until proxy and server have no
// connection but the pool's.
func (r *serverRig) settles(t *testing.T) {
	t.Helper()
	for _, route := range serverRoutes {
		r.rested(t, route.target)
	}
	eventually(t, "connections to "+r.server.name, func() (bool, string) {
		all, pooled := r.server.sockets(t), r.pooled(t)
		return len(all) == 2*pooled, fmt.Sprintf("%v, and %d are in the pool", all, pooled)
	})
	eventually(t, "descriptors of the proxy", func() (bool, string) {
		now, pooled := r.process.descriptors(t), r.pooled(t)
		return count(now, "socket:") == count(r.before, "socket:")+pooled,
			fmt.Sprintf("%q, before %q, and %d are in the pool", now, r.before, pooled)
	})
}

// stop ends the proxy, and wants nothing to be left of it at the server.
func (r *serverRig) stop(t *testing.T) {
	t.Helper()
	r.process.stop(t, syscall.SIGTERM, patience)
	r.server.rests(t)
	text := r.process.text(t)
	for _, user := range serverUsers {
		if strings.Contains(text, passwordOf(user)) || strings.Contains(text, string(saslPlain(serverAccount(user)))) {
			t.Errorf("the log holds the password of %s:\n%s", user, text)
		}
	}
}
