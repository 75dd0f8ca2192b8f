package wire

import (
	"net"
	"net/netip"
)

// HeldSocket is a TCP or Unix socket of this process, by the kernel's word.
type HeldSocket struct {
	Listening bool
	local     netip.AddrPort
	localPath string // of a Unix socket; a client's has none
	Remote    string // as AddressText has it; "" for none
}

// On reports whether the socket is bound to a listener's port or path.
func (h HeldSocket) On(listener net.Addr) bool {
	switch a := listener.(type) {
	case *net.TCPAddr:
		return h.local.IsValid() && int(h.local.Port()) == a.Port
	case *net.UnixAddr:
		return h.localPath != "" && h.localPath == a.Name
	}
	return false
}

// HeldSockets returns every TCP and Unix socket that this process holds, by inode.
func HeldSockets() (map[uint64]HeldSocket, error) {
	inodes, err := HeldInodes("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	table, err := ReadTable("/proc/self/net")
	if err != nil {
		return nil, err
	}
	held := map[uint64]HeldSocket{}
	for _, e := range table {
		if _, ours := inodes[e.Inode]; ours {
			held[e.Inode] = HeldSocket{Listening: e.State == "LISTEN", local: e.Local, Remote: e.Remote.String()}
		}
	}
	for inode, fd := range inodes {
		if _, found := held[inode]; found {
			continue
		}
		if h, isUnix := heldUnix(fd); isUnix {
			held[inode] = h
		}
	}
	return held, nil
}
