package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// resolveLimit is how long the lookup of a name may take.
const resolveLimit = 10 * time.Second

// Resolve finds the addresses of host:port, at least one. Zones are left out: the kernel's tables have none.
func Resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("%q: want HOST:PORT, such as imap.example.org:143 or [::1]:143", hostport)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("%q: want a port from 1 to 65535", hostport)
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(number))}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var noSuch *net.DNSError
	switch {
	case errors.As(err, &noSuch) && noSuch.IsNotFound:
		return nil, fmt.Errorf("%q: there is no host %s", hostport, host)
	case err != nil:
		return nil, fmt.Errorf("%q: %w", hostport, err)
	}
	var addrs []netip.AddrPort
	for _, a := range found {
		if addr := netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(number)); !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// listenError returns why an address that the user gave can't be listened on.
func listenError(addr string, err error) error {
	host, port, _ := net.SplitHostPort(addr)
	var inner *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = fmt.Errorf("port %s of %s is in use", port, host)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("%s is no address of this machine", host)
	case errors.Is(err, syscall.EACCES):
		err = fmt.Errorf("no permission to listen on port %s of %s", port, host)
	case errors.As(err, &inner):
		err = fmt.Errorf("listen on %s: %w", addr, inner.Err)
	default:
		err = fmt.Errorf("listen on %s: %w", addr, err)
	}
	return WrongInput(err)
}
