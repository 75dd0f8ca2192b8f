package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"imapproxy/backend/printable"
)

// maxIdle is how long one IDLE lasts: RFC 9051 section 6.3.13 wants a new one after 29 minutes at the latest.
const maxIdle = 28 * time.Minute

// idle stays in IDLE until the time is over, a signal comes, or the proxy ends the session, which is an error.
func (d *probeDialogue) idle(context.Context) (string, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, d.stay)
	defer cancel()
	_, _ = fmt.Fprintf(d.stdout, "%s is logged in, in IDLE for %v; Ctrl-C ends it\n", printable.Escape(d.user), d.stay)
	for ctx.Err() == nil {
		if err := d.idleOnce(ctx); err != nil {
			return "", err
		}
	}
	return "", nil
}

// idleOnce is one IDLE, until ctx or maxIdle is over.
func (d *probeDialogue) idleOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxIdle)
	defer cancel()
	tag, err := d.send("IDLE")
	if err != nil {
		return err
	}
	if err := d.untilContinued(tag); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) })()
	for err == nil { // up to that deadline
		_, err = d.line()
	}
	var netErr net.Error
	if ctx.Err() == nil || !errors.As(err, &netErr) || !netErr.Timeout() {
		return err
	}
	if err := d.conn.SetDeadline(time.Now().Add(d.timeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(d.conn, "DONE\r\n"); err != nil {
		return err
	}
	if _, err := d.answer(tag); err != nil {
		return err
	}
	return d.conn.SetDeadline(time.Now().Add(d.stay + d.timeout))
}

// untilContinued reads up to the line that says that IDLE has begun.
func (d *probeDialogue) untilContinued(tag string) error {
	for {
		line, err := d.line()
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, "+"):
			return nil
		case strings.HasPrefix(line, tag+" "):
			return errors.New(strings.TrimPrefix(line, tag+" "))
		}
	}
}
