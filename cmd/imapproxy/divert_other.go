//go:build !linux

package main

import (
	"errors"
	"net"
)

// divert is Linux's alone.
func divert(net.Listener) error { return errors.ErrUnsupported }
