//go:build !linux

package backend

import (
	"errors"
	"net"
)

func applySystem(*net.TCPConn, TCPOptions) error { return nil }

var errNotHere = errors.New("only Linux tells")

// AskSocket needs Linux.
func AskSocket(*net.TCPConn) (Socket, error) { return Socket{State: StateUnknown}, errNotHere }

// WaitGone needs Linux; elsewhere a later write finds out.
func WaitGone(*net.TCPConn) (cause, err error) { return nil, errNotHere }
