package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients of a proxy: some stay, and talk once in a while; others log
// in and leave, at a constant rate.
type load struct {
	t       *testing.T
	address string
	over    chan struct{}
	running sync.WaitGroup
	logins  atomic.Int64
	refused atomic.Int64 // clients that were not let in
	lost    atomic.Int64 // sessions that ended by themselves
	mu      sync.Mutex   // protects said
	said    []string     // the first troubles
}

const (
	loginsASecond  = 50
	steadySessions = 200
)

// startLoad returns when all who stay are logged in, and the others come.
func startLoad(t *testing.T, address string, steady int) *load {
	t.Helper()
	l := &load{t: t, address: address, over: make(chan struct{})}
	var arrived sync.WaitGroup
	for range steady {
		arrived.Add(1)
		l.running.Go(func() { l.stay(arrived.Done) })
	}
	arrived.Wait()
	l.running.Go(l.come)
	return l
}

// stop ends the load and gives what went wrong: nothing, most likely.
func (l *load) stop() (logins, refused, lost int64, troubles string) {
	close(l.over)
	l.running.Wait()
	return l.logins.Load(), l.refused.Load(), l.lost.Load(), strings.Join(l.said, "\n")
}

// come has clients log in and leave, 50 a second on average: what a busy
// machine has missed is made good.
func (l *load) come() {
	begun := time.Now()
	tick := time.NewTicker(time.Second / loginsASecond)
	defer tick.Stop()
	for came := 0; ; {
		select {
		case <-l.over:
			return
		case <-tick.C:
			for ; came < int(time.Since(begun)*loginsASecond/time.Second); came++ {
				l.running.Go(l.visit)
			}
		}
	}
}

func (l *load) visit() {
	l.logins.Add(1)
	c, err := l.logIn()
	if err == nil {
		defer func() { _ = c.conn.Close() }()
		err = c.leave()
	}
	if err != nil {
		l.refused.Add(1)
		l.trouble("a login", err)
	}
}

// stay is a session until the load is over.
func (l *load) stay(arrived func()) {
	c, err := l.logIn()
	arrived()
	if err != nil {
		l.refused.Add(1)
		l.trouble("a session's login", err)
		return
	}
	defer func() { _ = c.conn.Close() }()
	for {
		select {
		case <-l.over:
			err = c.leave()
		case <-time.After(time.Second):
			if err = c.say("NOOP"); err == nil {
				continue
			}
		}
		if err != nil {
			l.lost.Add(1)
			l.trouble("a session", err)
		}
		return
	}
}

func (l *load) trouble(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.said) < 5 {
		l.said = append(l.said, fmt.Sprintf("%s: %v", what, err))
	}
}

// loadClient is one client of it.
type loadClient struct {
	conn net.Conn
	in   *bufio.Reader
	tag  int
}

func (l *load) logIn() (*loadClient, error) {
	conn, err := net.DialTimeout("tcp", l.address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &loadClient{conn: conn, in: bufio.NewReader(conn)}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	greeting, err := c.in.ReadString('\n')
	if err == nil && !strings.HasPrefix(greeting, "* OK") {
		err = fmt.Errorf("the greeting is %q", greeting)
	}
	if err == nil {
		err = c.say("LOGIN alice " + canary)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// say sends a command and reads to its OK.
func (c *loadClient) say(command string) error {
	c.tag++
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(c.conn, "t%d %s\r\n", c.tag, command); err != nil {
		return err
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%.5s: %q, %w", command, line, err)
		}
		if strings.HasPrefix(line, fmt.Sprintf("t%d ", c.tag)) {
			if !strings.HasPrefix(line, fmt.Sprintf("t%d OK", c.tag)) {
				return fmt.Errorf("%.5s: %q", command, line)
			}
			return nil
		}
		if strings.HasPrefix(line, "* BYE") && command != "LOGOUT" {
			return fmt.Errorf("%.5s: %q", command, line)
		}
	}
}

func (c *loadClient) leave() error { return c.say("LOGOUT") }
