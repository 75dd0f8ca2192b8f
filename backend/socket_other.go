//go:build !linux

package backend

import (
	"errors"
	"net"
	"syscall"
)

func applySystem(*net.TCPConn, TCPOptions) error { return nil }

// heldUnix needs Linux, as all of HeldSockets does.
func heldUnix(int) (HeldSocket, bool) { return HeldSocket{}, false }

var errNotHere = errors.New("only Linux tells")

// AskSocket needs Linux.
func AskSocket(syscall.Conn) (Socket, error) { return Socket{State: StateUnknown}, errNotHere }

// WaitGone needs Linux; elsewhere a later write finds out.
func WaitGone(syscall.Conn) (cause, err error) { return nil, errNotHere }

// ApplyListener needs Linux.
func (TCPOptions) ApplyListener(*net.TCPListener) error { return errNotHere }

// InForce needs Linux.
func (TCPOptions) InForce(Stream) bool { return false }

// unread needs Linux; elsewhere the backend is asked.
func unread(syscall.Conn) bool { return true }
