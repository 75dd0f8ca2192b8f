package main

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// divert lets the kernel give clients that connect from now on to another
// process that listens on the same port by SO_REUSEPORT, when there is one: a
// socket that is closed would reset those in its queue. The program chooses the
// second socket of the group: the first is the oldest, which is ours. Where
// there is no second, the kernel chooses as ever.
func divert(ln net.Listener) error {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	second := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	return withDescriptor(raw, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: 1, Filter: &second})
	})
}
