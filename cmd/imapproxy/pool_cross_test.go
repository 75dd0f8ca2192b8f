package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/timing"
	"imapproxy/imapproxy"
)

var crossCycles = flag.Int("pool.cycles", 1000,
	"how often a connection is borrowed and given back in TestPoolCrossings")

const (
	crossUsers   = 50
	crossWorkers = 8
)

// crossing is a proxy with a pool in front of two Dovecots, with users whose
// mailboxes and messages name them.
type crossing struct {
	t       *testing.T
	server  *imapproxy.Server
	address string
	serving sync.WaitGroup
	refused atomic.Int64
	crossed atomic.Int64
}

func crossUser(n int) string { return fmt.Sprintf("u%02d", n) }

// crossAuth refuses one wrong password itself, and lets the backend judge all
// others.
type crossAuth struct{}

func (crossAuth) Authenticate(_ context.Context, r *auth.Request) (*auth.Grant, error) {
	if r.Secret == "wrong-here" {
		return nil, &auth.Denied{Log: "the test says so"}
	}
	return &auth.Grant{User: r.User, Secret: r.Secret, BackendJudges: true}, nil
}

// crossRouter sends every other user to the other Dovecot.
type crossRouter [2]*backend.Target

func (c crossRouter) Route(_ context.Context, q backend.Query) (backend.Route, error) {
	return backend.Route{Target: c[int(q.User[2]-'0')%2], User: q.User}, nil
}

func newCrossing(t *testing.T, change func(*backend.PoolOptions)) *crossing {
	t.Helper()
	users := map[string]string{}
	for n := range crossUsers {
		users[crossUser(n)] = "secret of " + crossUser(n)
	}
	var router crossRouter
	for i, name := range []string{"even", "odd"} {
		d := startDovecot(t, name, users)
		for user := range users {
			for _, dir := range []string{"", "/cur", "/new", "/tmp"} {
				makeDir(t, filepath.Join(d.path("mail"), user, ".canary-"+user)+dir, mailUID)
			}
		}
		router[i] = crossTarget(d, i == 1, change)
	}
	s := &imapproxy.Settings{
		Hostname: "proxy.example.test", Auth: crossAuth{}, Router: router,
		Listeners: map[string]*imapproxy.Listener{"plain": {Name: "plain"}},
		Limits: imapproxy.Limits{Login: time.Minute, Idle: 30 * time.Minute, HalfClose: 30 * time.Second,
			Drain:    30 * time.Second,
			Farewell: 2 * time.Second, BadCommands: 3, FailedLogins: 3, Sessions: 1000, ProxyTTL: 5, Kick: time.Second},
	}
	c := &crossing{t: t, server: imapproxy.New(s, &backend.Dialer{Clock: timing.System{}},
		zerolog.New(os.Stderr).Level(zerolog.ErrorLevel))}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = ln.Addr().String()
	c.serving.Go(func() {
		if err := c.server.Serve(ln, "plain"); !errors.Is(err, imapproxy.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() { c.server.Close(); c.serving.Wait() })
	return c
}

func crossTarget(d *dovecot, withTLS bool, change func(*backend.PoolOptions)) *backend.Target {
	target := &backend.Target{
		Name: d.Name, Addresses: []string{fmt.Sprintf("127.0.0.1:%d", d.PlainPort)}, ForwardID: withTLS,
		Limits: backend.Limits{Connect: 10 * time.Second, TLS: 10 * time.Second, Greeting: 20 * time.Second,
			Login: 30 * time.Second, Logout: 2 * time.Second},
		Pool: &backend.PoolOptions{MaxIdle: 40, MaxPerUser: 3, MaxPerTarget: 60, MaxWaiting: 100,
			WaitTimeout: 30 * time.Second,
			MaxLifetime: time.Minute, IdleTimeout: 20 * time.Second, KeepAlive: 3 * time.Second,
			CheckAfter: 100 * time.Millisecond, Reauth: 20 * time.Second},
	}
	if withTLS {
		target.Addresses = []string{fmt.Sprintf("127.0.0.1:%d", d.TLSPort)}
		target.TLS, target.TLSConfig = backend.TLSImplicit, &tls.Config{InsecureSkipVerify: true}
	}
	if change != nil {
		change(target.Pool)
	}
	return target
}

// TestPoolCrossings borrows and gives back connections by 50 users, with wrong
// passwords and aborts in every state that the ledger knows, and looks in each
// session for anything that is another's: a mailbox, a message, a selected
// mailbox, an extension, an answer. For 10,000 cycles: -pool.cycles=10000.
func TestPoolCrossings(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := newCrossing(t, nil)
	var left atomic.Int64
	left.Store(int64(*crossCycles))
	var workers sync.WaitGroup
	for range crossWorkers {
		workers.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				c.cycle()
			}
		})
	}
	workers.Wait()
	var hits, misses uint64
	for _, s := range c.server.Pools() {
		hits, misses = hits+s.Hits, misses+s.Misses
		t.Logf("%s: %d hits, %d misses, not used again: %v", s.Target, s.Hits, s.Misses, s.NotReused)
	}
	t.Logf("%d cycles, %d refused logins, %d crossings", *crossCycles, c.refused.Load(), c.crossed.Load())
	if hits < uint64(*crossCycles)/10 {
		t.Errorf("%d hits of %d cycles: too few to prove anything", hits, *crossCycles)
	}
	if err := c.server.Drain(context.Background()); err != nil {
		t.Error(err)
	}
}

// crossClient is one session of a cycle.
type crossClient struct {
	c    *crossing
	user string
	conn *net.TCPConn
	in   *bufio.Reader
	log  []string
}

var errCrossed = errors.New("crossed")

// cycle is one session: log in, look for what is another's, do something, and
// leave in some way.
func (c *crossing) cycle() {
	n := rand.N(crossUsers)
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Error(err)
		return
	}
	s := &crossClient{c: c, user: crossUser(n), conn: conn.(*net.TCPConn), in: bufio.NewReader(conn)}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := s.line(); err != nil {
		c.t.Errorf("no greeting: %v", err)
		return
	}
	password := "secret of " + s.user
	switch rand.N(100) {
	case 0, 1, 2, 3:
		password = "wrong-here"
	case 4:
		password = "wrong at the backend"
	}
	err = s.ask("in", fmt.Sprintf("LOGIN %s %q", s.user, password), func(string) bool { return false })
	if strings.HasPrefix(password, "wrong") {
		c.refused.Add(1)
		if !s.last("in NO ") {
			c.t.Errorf("a wrong password: %q", s.log)
		}
		return
	}
	if err == nil {
		err = s.look()
	}
	if err != nil {
		c.crossed.Add(1)
		c.t.Errorf("%s: %v\n%s", s.user, err, strings.Join(s.log, "\n"))
		return
	}
	s.act()
}

func (s *crossClient) last(prefix string) bool {
	return len(s.log) > 0 && strings.HasPrefix(s.log[len(s.log)-1], prefix)
}

func (s *crossClient) line() (string, error) {
	text, err := s.in.ReadString('\n')
	text = strings.TrimRight(text, "\r\n")
	s.log = append(s.log, text)
	return text, err
}

func (s *crossClient) say(text string) { _, _ = s.conn.Write([]byte(text)) }

// ask sends a command and reads to its tagged line; every untagged line must
// be one that is expected.
func (s *crossClient) ask(tag, command string, expected func(string) bool) error {
	s.log = append(s.log, "> "+tag+" "+command)
	s.say(tag + " " + command + "\r\n")
	for {
		line, err := s.line()
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, tag+" "):
			return nil
		case !expected(line):
			return fmt.Errorf("%w: %q after %q", errCrossed, line, command)
		}
	}
}

// look finds out whose connection this is, and in which state.
func (s *crossClient) look() error {
	if !s.last("in OK [CAPABILITY ") {
		return fmt.Errorf("the login is answered by %q", s.log[len(s.log)-1])
	}
	mine := func(line string) bool {
		return strings.HasPrefix(line, "* LIST ") && strings.HasSuffix(line, " canary-"+s.user)
	}
	if err := s.ask("v1", `LIST "" canary-*`, mine); err != nil || !s.last("v1 OK") || !mine(s.log[len(s.log)-2]) {
		return fmt.Errorf("%w: not only my canary: %v", errCrossed, err)
	}
	none := func(string) bool { return false }
	if err := s.ask("v2", "FETCH 1 FLAGS", none); err != nil || !s.last("v2 BAD") {
		return fmt.Errorf("%w: a mailbox is selected: %v", errCrossed, err)
	}
	news := func(line string) bool {
		return !strings.Contains(line, "VANISHED") && !strings.HasPrefix(line, "* VANISHED")
	}
	if err := s.ask("v3", "EXAMINE INBOX", news); err != nil || !s.last("v3 OK") {
		return fmt.Errorf("%w: EXAMINE: %v", errCrossed, err)
	}
	own := false
	message := func(line string) bool {
		own = own || line == "From: <"+s.user+"@example.org>"
		return !strings.Contains(line, "MODSEQ") && (!strings.HasPrefix(line, "From:") || own) &&
			!strings.HasPrefix(line, "+")
	}
	if err := s.ask("v4", "FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (FROM)])", message); err != nil || !own ||
		!s.last("v4 OK") {
		return fmt.Errorf("%w: not my message: %v", errCrossed, err)
	}
	if err := s.ask("v5", "UNSELECT", none); err != nil || !s.last("v5 OK") {
		return fmt.Errorf("%w: UNSELECT: %v", errCrossed, err)
	}
	return nil
}

// acts are what a session does before it leaves: it ends in a state of the
// ledger each.
var acts = []string{
	"",
	"a SELECT INBOX\r\n",
	"a SELECT INBOX\r\nb STORE 1 +FLAGS (canary-%s)\r\n",
	"a SELECT INBOX\r\nb FETCH 1 BODY[]\r\nc FETCH 1 FLAGS\r\n",
	"a SELECT INBOX (CONDSTORE)\r\n",
	"a ENABLE CONDSTORE\r\nb SELECT INBOX\r\n",
	"a ENABLE QRESYNC\r\n",
	"a SELECT INBOX\r\nb IDLE\r\n",
	"a IDLE\r\nDONE\r\n",
	"a APPEND INBOX {100}\r\n",
	"a APPEND INBOX {100+}\r\nFrom: <half-%s@example.org>\r\n",
	"a SELECT INB",
	"a NOTIFY SET (SELECTED (MessageNew MessageExpunge))\r\n",
	"a STATUS canary-%s (MESSAGES HIGHESTMODSEQ)\r\n",
	"a XUNKNOWN\r\n",
	"a SELECT nowhere\r\nb NOOP\r\n",
	"a SELECT {11+}\r\ncanary-%s  \r\n",
	"a LIST \"\" *\r\nb LSUB \"\" *\r\nc NAMESPACE\r\nd CAPABILITY\r\n",
	"a SELECT INBOX\r\nb SEARCH ALL\r\nc UID SEARCH RETURN (SAVE) ALL\r\n",
	"v1 NOOP\r\nv1 NOOP\r\n",
	"a FETCH 1:* (BODY[] {5}\r\n",
	"\r\n\r\n",
	"a ID (\"name\" \"%s\")\r\n",
}

// act does something and leaves.
func (s *crossClient) act() {
	text := strings.ReplaceAll(acts[rand.N(len(acts))], "%s", s.user)
	s.say(text)
	switch rand.N(5) {
	case 0, 1:
		s.say("out LOGOUT\r\n")
		s.drain()
	case 2:
		_ = s.conn.CloseWrite()
		s.drain()
	case 3:
		_ = s.conn.SetLinger(0)
	case 4: // closes with whatever is unread
		time.Sleep(rand.N(5 * time.Millisecond))
	}
}

// drain reads to the end, for a while.
func (s *crossClient) drain() {
	_ = s.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	for {
		line, err := s.line()
		if err != nil {
			return
		}
		if i := strings.Index(line, "canary-u"); i >= 0 && !strings.HasPrefix(line[i:], "canary-"+s.user) {
			s.c.crossed.Add(1)
			s.c.t.Errorf("%s reads %q", s.user, line)
		}
	}
}
