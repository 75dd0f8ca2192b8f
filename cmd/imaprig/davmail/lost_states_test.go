package davmail

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// ofEach is how many clients are lost in each state: the first closers close, the next resetters reset, and the rest
// vanish.
const (
	ofEach    = 10
	closers   = 4
	resetters = 3
)

const (
	smallMessage = 2000
	largeMessage = 4 << 20
	appendSize   = 100_000
)

// state is where a client is when it is lost.
type state struct {
	name  string
	hangs Request // what Exchange leaves without an answer, from now on
	open  func(c *client) error

	closed string // the reason in our proxy's log when the client closed; "" = client_closed
	ends   string // how DavMail's connection ended then
}

// states come in this order, since what hangs would stop those before.
func states() []state {
	return []state{
		{name: "before-login", open: func(*client) error { return nil }},
		{name: "logged-in", open: (*client).login, ends: "logout"},
		{name: "selected", open: (*client).selectInbox, ends: "logout"},
		{name: "in-idle", open: idle, ends: "logout"},
		{name: "mid-append", open: appendHalf, ends: "cut"},
		{name: "mid-fetch", open: fetchHead, closed: "client_aborted", ends: "logout"},
		{name: "unanswered", open: fetchNothing, hangs: Fetches, closed: "half_close_timeout", ends: "reset"},
		{name: "at-login", open: loginUnanswered, hangs: Logins, ends: "cut"},
	}
}

func idle(c *client) error {
	if err := c.selectInbox(); err != nil {
		return err
	}
	return c.begin("IDLE")
}

// fetchHead reads the beginning of the large message.
func fetchHead(c *client) error {
	if err := c.conn.SetReadBuffer(8 << 10); err != nil {
		return err
	}
	if err := c.selectInbox(); err != nil {
		return err
	}
	if err := c.text.PrintfLine("x FETCH 2 BODY.PEEK[]"); err != nil {
		return err
	}
	line, err := c.text.ReadLine()
	if err == nil && !strings.HasSuffix(line, fmt.Sprintf("{%d}", largeMessage)) {
		err = fmt.Errorf("answer to FETCH: %q", line)
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, c.text.R, 1000)
	}
	return err
}

func appendHalf(c *client) error {
	if err := c.selectInbox(); err != nil {
		return err
	}
	if err := c.begin(fmt.Sprintf("APPEND INBOX {%d}", appendSize)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, strings.Repeat("half of a message\r\n", appendSize/2/19))
	return err
}

// fetchNothing asks for a message that Exchange does not send.
func fetchNothing(c *client) error {
	if err := c.selectInbox(); err != nil {
		return err
	}
	return c.text.PrintfLine("x FETCH 1 BODY.PEEK[]")
}

func loginUnanswered(c *client) error { return c.text.PrintfLine("x %s", c.loginCommand()) }

// lost is a client that is lost in a state.
type lost struct {
	*client
	state  state
	number int // among those of its state
}

func (l *lost) vanishes() bool { return l.number >= closers+resetters }

// wanted returns the reason that our proxy's log must have.
func (l *lost) wanted() string {
	switch {
	case l.vanishes():
		return "client_vanished"
	case l.number >= closers:
		return "client_aborted"
	case l.state.closed != "":
		return l.state.closed
	}
	return "client_closed"
}

// lose ends the client's side, unless it vanishes: then no packet of it passes.
func (l *lost) lose() error {
	if l.vanishes() {
		return nil
	}
	if l.number >= closers {
		if err := l.conn.SetLinger(0); err != nil {
			return err
		}
	}
	return l.conn.Close()
}

// openLost brings count clients into a state, concurrently. connect is asked for each number.
func (st state) openLost(s *Server, prefix string, count int, connect func(number int, user string) (*client, error)) (
	[]*lost, error) {
	if st.hangs != "" {
		s.Hang(st.hangs)
	}
	all, errs := make([]*lost, count), make([]error, count)
	var group sync.WaitGroup
	for i := range count {
		group.Go(func() {
			c, err := connect(i, fmt.Sprintf("%s-%s-%d", prefix, st.name, i))
			if err == nil {
				all[i] = &lost{client: c, state: st, number: i}
				err = st.open(c)
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s %d: %w", st.name, i, err)
			}
		})
	}
	group.Wait()
	return all, errors.Join(errs...)
}
