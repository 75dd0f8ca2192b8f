package backend

import (
	"net/netip"

	"imapproxy/backend/socktab"
)

// HeldSocket is a TCP socket of this process, by the kernel's tables.
type HeldSocket struct {
	Local, Remote netip.AddrPort
	Listening     bool
}

// HeldSockets gives every TCP socket that this process holds, by inode.
func HeldSockets() (map[uint64]HeldSocket, error) {
	inodes, err := socktab.Held("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	table, err := socktab.Read("/proc/self/net")
	if err != nil {
		return nil, err
	}
	held := map[uint64]HeldSocket{}
	for _, e := range table {
		if _, ours := inodes[e.Inode]; ours {
			held[e.Inode] = HeldSocket{e.Local, e.Remote, e.State == "LISTEN"}
		}
	}
	return held, nil
}
