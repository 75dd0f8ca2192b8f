package wire

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of a socket that never block, made without telling Go's scheduler, which would prepare for one that does.

// recv reads from a socket; p is not empty.
func recv(fd int, p []byte) (int, error) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		0, 0, 0)
	return result(n, err)
}

// send writes to a socket; p is not empty. A socket that is gone gives EPIPE and no signal.
func send(fd int, p []byte) (int, error) {
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_NOSIGNAL, 0, 0)
	return result(n, err)
}

// pollNow returns the events there are already.
func pollNow(epfd int, events []unix.EpollEvent) (int, error) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	return result(n, err)
}

func result(n uintptr, err unix.Errno) (int, error) {
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}
