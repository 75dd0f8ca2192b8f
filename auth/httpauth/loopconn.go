package httpauth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"imapproxy/auth"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// limitName is the name of a question's limit, for clocks of tests.
const limitName = "auth_http"

// loopConn is a connection that tasks of one loop ask by, one at a time.
type loopConn struct {
	conns   *loopConns
	pool    *loopPool
	loop    *loop.Loop
	raw     wire.Wire
	answer  io.LimitedReader // what the present answer may still have
	in      *bufio.Reader
	out     *bufio.Writer
	used    bool       // it has been idle: the server may have closed it
	idleEnd loop.Timer // ends it when it has been idle for long
}

func newLoopConn(c *loopConns, p *loopPool, l *loop.Loop, socket wire.Descriptor) *loopConn {
	conn := &loopConn{conns: c, pool: p, loop: l}
	conn.raw.Init(socket)
	conn.answer.R = &conn.raw
	conn.in, conn.out = bufio.NewReader(&conn.answer), bufio.NewWriter(&conn.raw)
	conn.idleEnd = loop.Timer{Name: "auth_idle", Do: conn}
	return conn
}

// holdBy makes the task wait for the connection.
func (c *loopConn) holdBy(t *loop.Task, end time.Time) {
	c.raw.WaitBy(t)
	c.raw.WatchBy(t)
	c.raw.SetLimit(limitName, end)
}

// errStale is the error of a connection that the server has closed while it was idle.
var errStale = errors.New("the connection was closed while it was idle")

// exchange puts a question. The answer's body has been read where keep is true: then the connection
// may be used again.
func (c *loopConn) exchange(q *http.Request) (response *http.Response, keep bool, err error) {
	c.answer.N = maxAnswer
	if err = q.Write(c.out); err == nil {
		err = c.out.Flush()
	}
	if err == nil {
		_, err = c.in.Peek(1)
	}
	if err != nil {
		if c.used && isClosed(err) {
			err = errStale
		}
		return nil, false, err
	}
	response, err = http.ReadResponse(c.in, q)
	for err == nil && response.StatusCode < http.StatusOK && response.StatusCode != http.StatusSwitchingProtocols {
		response, err = http.ReadResponse(c.in, q)
	}
	if err != nil {
		if c.answer.N <= 0 {
			err = errLongHeader
		}
		return nil, false, err
	}
	return response, c.skipBody(response.Body) && !response.Close && c.in.Buffered() == 0, nil
}

// skipBody reads an answer's body away. It returns false for one that is large or slow.
func (c *loopConn) skipBody(body io.Reader) (whole bool) {
	c.raw.ShortenLimit(c.loop.In(drainLimit))
	c.answer.N = 2 * maxBody // with what chunks have around them
	n, err := io.Copy(io.Discard, io.LimitReader(body, maxBody+1))
	return err == nil && n <= maxBody
}

// errLongHeader has net/http's text for the same fault.
var errLongHeader = errors.New("response headers exceeded")

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// release makes the connection idle, or ends it.
func (c *loopConn) release(keep bool) {
	c.raw.Forget()
	c.raw.WatchBy(c)
	if !keep || c.raw.HungUp() || !c.conns.keep(c) {
		c.end()
		return
	}
	c.loop.Set(&c.idleEnd, c.loop.In(idleTimeout))
	c.pool.wakeNext()
}

// Ready ends an idle connection: the server has closed it, or says what it was not asked.
func (c *loopConn) Ready(*wire.Wire, wire.Events) { c.Run() }

// Run ends a connection that has been idle for long.
func (c *loopConn) Run() {
	if c.conns.drop(c) {
		c.end()
	}
}

// end closes the connection.
func (c *loopConn) end() {
	c.loop.Remove(&c.raw)
	_ = c.raw.Close()
	c.forget()
}

// forget frees the connection's place.
func (c *loopConn) forget() {
	c.loop.Stop(&c.idleEnd)
	c.loop.Remove(&c.raw)
	c.pool.open--
	c.pool.wakeNext()
}

// askInLoop puts a question by a connection of the task's loop.
func (c *Client) askInLoop(t *loop.Task, r *auth.Request) (*http.Response, error) {
	question := c.request(context.Background(), r)
	end := t.Loop().In(c.options.timeout())
	for {
		response, err := c.conns.ask(t, question, end)
		switch {
		case err == nil:
			return response, nil
		case errors.Is(err, errStale):
			continue
		case !t.Loop().Now().Before(end): // what has come by then may look like something else
			err = context.DeadlineExceeded
		}
		return nil, c.loopError(t, err)
	}
}

// ask puts a question by one connection.
func (c *loopConns) ask(t *loop.Task, question *http.Request, end time.Time) (response *http.Response, err error) {
	conn, err := c.get(t, end)
	if err != nil {
		return nil, err
	}
	keep := false
	defer func() { conn.release(keep) }()
	response, keep, err = conn.exchange(question)
	return response, err
}

// loopError puts a failure into words, as transportError does.
func (c *Client) loopError(t *loop.Task, err error) error {
	var call *os.SyscallError
	switch {
	case t.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		return c.caused(auth.ServiceTimeout, noAnswerYet, err)
	case errors.As(err, &call):
		return c.caused(auth.ServiceFailed, "", &plain{call, ""})
	}
	return c.transportError(t, err)
}
