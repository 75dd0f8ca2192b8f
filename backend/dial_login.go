package backend

import (
	"context"
	"errors"
)

// errNextMethod is the error of a connection that the backend has closed after a
// method that it does not accept.
var errNextMethod = errors.New("the backend closed the connection before another method could be tried")

// Login returns a new connection on which the user is logged in, and the text of
// the backend's OK, which is never empty. A backend that closes after a method that
// it does not accept gets the next one on another connection. The error is a
// *Refused or an *Error; no socket is left open.
func (d *Dialer) Login(ctx context.Context, t *Target, cred Credentials, o Origin) (c *Conn, text string, err error) {
	for range methodNames { // each connection rules out one of them at least
		c, text, err = d.loginOnce(ctx, t, cred, o)
		if !errors.Is(err, errNextMethod) || ctx.Err() != nil {
			break
		}
	}
	return c, text, err
}

func (d *Dialer) loginOnce(ctx context.Context, t *Target, cred Credentials, o Origin) (*Conn, string, error) {
	c, err := d.Dial(ctx, t, o)
	if err != nil {
		return nil, "", err
	}
	loggedIn := false
	defer func() {
		if !loggedIn { // refused, failed, or a panic
			o.discard(ctx, c)
		}
	}()
	text, err := c.logIn(ctx, cred, o)
	if err != nil {
		return nil, "", err
	}
	loggedIn = true
	return c, text, nil
}

// discard ends a connection that is no good.
func (o Origin) discard(ctx context.Context, c *Conn) {
	if o.Aside != nil {
		o.Aside(c)
		return
	}
	c.End(ctx)
}
