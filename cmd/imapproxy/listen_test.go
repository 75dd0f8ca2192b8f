package main

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imapproxy/config"
)

// TestSocketOptions opens sockets with each option and asks the kernel.
func TestSocketOptions(t *testing.T) {
	asks := func(ln net.Listener, level, option int) (value int) {
		raw, err := ln.(syscall.Conn).SyscallConn()
		try(t, "socket", err)
		try(t, "option", withDescriptor(raw,
			func(fd int) (err error) { value, err = unix.GetsockoptInt(fd, level, option); return err }))
		return value
	}
	listen := func(l config.Listener) net.Listener {
		ln, err := socketSpecs([]config.Listener{l})[0].listen()
		try(t, "listen", err)
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	one := listen(config.Listener{Name: "a", Address: "127.0.0.1:0", ReusePort: true, Backlog: 7})
	if asks(one, unix.SOL_SOCKET, unix.SO_REUSEPORT) != 1 {
		t.Error("the port is not shared")
	}
	two := listen(config.Listener{Name: "b", Address: one.Addr().String(), ReusePort: true})
	for _, ln := range []net.Listener{one, two} {
		try(t, "divert", divert(ln))
	}
	alone := listen(config.Listener{Name: "c", Address: "127.0.0.1:0"})
	if asks(alone, unix.SOL_SOCKET, unix.SO_REUSEPORT) != 0 {
		t.Error("the port is shared")
	}
	info, err := tcpInfo(one)
	if err != nil || info.Sacked != 7 { // of a listening socket: its backlog
		t.Errorf("the backlog is %d, error %v", info.Sacked, err)
	}
	written := config.Place{Lines: map[string]int{"ipv6_only": 1}}
	for only, host := range map[bool]string{true: "", false: "[::]"} {
		ln := listen(config.Listener{Name: "d", Place: written, Address: host + ":0", IPv6Only: only})
		if got := asks(ln, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); (got == 1) != only {
			t.Errorf("%q with ipv6_only = %v: IPV6_V6ONLY is %d", host, only, got)
		}
	}
}

func tcpInfo(ln net.Listener) (info *unix.TCPInfo, err error) {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	err = withDescriptor(raw, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return info, err
}

// TestInheritedSockets finds the socket of a listener by name or address.
func TestInheritedSockets(t *testing.T) {
	open := func() (net.Listener, string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		try(t, "listen", err)
		t.Cleanup(func() { _ = ln.Close() })
		return ln, ln.Addr().String()
	}
	first, firstAddress := open()
	second, secondAddress := open()
	third, _ := open()
	in := inherited{{"imap", first}, {"unknown", second}, {"rest", third}}
	spec := func(name, address string) socketSpec { return socketSpec{name, address, nil} }
	if got := in.take(spec("imap", secondAddress)); got != first {
		t.Error("the name does not go before the address")
	}
	_, port, _ := net.SplitHostPort(secondAddress)
	if got := in.take(spec("imaps", "localhost:"+port)); got != second {
		t.Errorf("not found by its address: %v", got)
	}
	if got := in.take(spec("imap", firstAddress)); got != nil {
		t.Errorf("given twice: %v", got)
	}
	if rest := in.closeRest(); fmt.Sprint(rest) != "[rest "+third.Addr().String()+"]" {
		t.Errorf("left is %v", rest)
	}
	if _, err := third.(*net.TCPListener).File(); err == nil {
		t.Error("what is left is open")
	}
}
