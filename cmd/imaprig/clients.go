package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"
)

// maxForeign is how many bytes of an unexpected line an error shows.
const maxForeign = 200

// quoted is a quoted string (RFC 9051 4.3); of a name or password without CR, LF and NUL, see exitsOptions.check.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
