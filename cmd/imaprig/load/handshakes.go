package load

import (
	"context"
	"fmt"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// handshakeLogins says after which of the handshakes the client logs in: one of so many.
const handshakeLogins = 10

// runHandshakes makes Rate TLS handshakes a second, each at its time, but at most as many at once as there are
// sessions: a server that can't keep up gets fewer.
func runHandshakes(ctx context.Context, r *run) error {
	if r.opts.TLS == "off" || r.opts.Rate == 0 {
		return rig.WrongInput(fmt.Errorf("--tls %s, --rate %d: handshakes wants implicit or starttls, and a rate",
			r.opts.TLS, r.opts.Rate))
	}
	began, n := time.Now(), r.opts.Sessions
	return r.measure(ctx, n, func(ctx context.Context, worker int) error {
		for i := worker; ; i += n {
			due := began.Add(time.Duration(i) * time.Second / time.Duration(r.opts.Rate))
			if rig.Sleep(ctx, time.Until(due)) != nil {
				return errDone
			}
			r.meter.failed(r.handshake(i%handshakeLogins == 0))
		}
	})
}

// handshake connects a client up to the greeting, and ends it there unless it is to log in.
func (r *run) handshake(login bool) error {
	began := time.Now()
	c, err := r.target.Dial()
	if err != nil {
		return err
	}
	r.meter.did(0, began)
	if !login {
		c.Close()
		return nil
	}
	if err := c.login(); err != nil {
		c.Close()
		return err
	}
	r.meter.did(1, began)
	return c.logout()
}
