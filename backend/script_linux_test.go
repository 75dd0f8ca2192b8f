package backend

import (
	"errors"

	"golang.org/x/sys/unix"
)

// cork holds the last words back until the close, so that they come with the
// FIN: who reads them can't answer a backend that is still open.
func (v *visit) cork() error {
	rc, err := v.raw.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = rc.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
	return errors.Join(err, failed)
}
