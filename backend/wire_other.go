//go:build !linux

package backend

import "syscall"

// parked is nothing where there is no loop: a wire is always in Go's poller.
type parked struct{}

// Read is that of net.Conn.
func (w *Wire) Read(p []byte) (int, error) { return w.conn.Read(p) }

// Write is that of net.Conn.
func (w *Wire) Write(p []byte) (int, error) { return w.conn.Write(p) }

// Close is that of net.Conn.
func (w *Wire) Close() error { return w.conn.Close() }

// Nothing but a Stream is in a wire here, and of those only TCP has SO_LINGER.
func setLinger(pollable, int) error { return errNotHere }
func shutdownWrite(pollable) error  { return errNotHere }

func (w *Wire) bare() (syscall.RawConn, error) { return nil, errNotHere }
