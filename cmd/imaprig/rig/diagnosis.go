package rig

import (
	"cmp"
	"fmt"
	"slices"

	"imapproxy/backend/wire"
)

// Side is the end of a connection: the server's sockets have the port locally, the client's remotely.
type Side string

// Sides of a connection.
const (
	ServerSide Side = "server"
	ClientSide Side = "client"
)

// finding is what a socket's state, its queues and its inode say about the program that holds it.
type finding int

const (
	nothingFound   finding = iota
	closeForgotten         // EOF read, descriptor open
	stillSending           // EOF read, answers not taken by the peer
	finUnread              // accepted, and not read
	dataUnread             // the same, with bytes in front of the FIN
	neverAccepted          // no descriptor yet
	peerKeepsOpen          // closed here, and the peer does not close
)

// Examine returns what is found about one socket. A FIN counts as one byte in Recv-Q until read() has returned 0 for
// it.
func Examine(s wire.TableEntry) finding {
	switch {
	case s.State == wire.StateFinWait2:
		return peerKeepsOpen
	case s.State != wire.StateCloseWait:
		return nothingFound
	case s.Inode == 0:
		return neverAccepted
	case s.RecvQ == 1:
		return finUnread
	case s.RecvQ > 1:
		return dataUnread
	case s.SendQ > 0:
		return stillSending
	}
	return closeForgotten
}

// SocketGroup counts the sockets of one port and side that are in the same state for the same reason.
type SocketGroup struct {
	Port     uint16
	Side     Side
	State    wire.State
	Finding  finding
	Count    int
	MinRecvQ uint64
	MaxRecvQ uint64
	SendQ    uint64 // sum, bytes
}

// GroupSockets counts the sockets of these ports; one between two of them counts for both. The groups come by port as
// given, then server before client, then by state.
func GroupSockets(all []wire.TableEntry, ports []uint16) []SocketGroup {
	var groups []SocketGroup
	for _, port := range ports {
		for _, sd := range []Side{ServerSide, ClientSide} {
			groups = append(groups, groupSide(SocketsOn(all, port, sd), port, sd)...)
		}
	}
	return groups
}

// SocketsOn returns the sockets of one port and side.
func SocketsOn(all []wire.TableEntry, port uint16, sd Side) []wire.TableEntry {
	var socks []wire.TableEntry
	for _, s := range all {
		isServer := s.Local.Port() == port
		if isServer && sd == ServerSide || !isServer && s.Remote.Port() == port && sd == ClientSide {
			socks = append(socks, s)
		}
	}
	return socks
}

func groupSide(socks []wire.TableEntry, port uint16, sd Side) []SocketGroup {
	type key struct {
		state   wire.State
		finding finding
	}
	byKey := map[key]*SocketGroup{}
	for _, s := range socks {
		k := key{s.State, Examine(s)}
		g := byKey[k]
		if g == nil {
			g = &SocketGroup{Port: port, Side: sd, State: k.state, Finding: k.finding, MinRecvQ: s.RecvQ}
			byKey[k] = g
		}
		g.Count++
		g.MinRecvQ = min(g.MinRecvQ, s.RecvQ)
		g.MaxRecvQ = max(g.MaxRecvQ, s.RecvQ)
		g.SendQ += s.SendQ
	}
	var groups []SocketGroup
	for _, g := range byKey {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b SocketGroup) int {
		return cmp.Or(cmp.Compare(a.State.Number(), b.State.Number()), cmp.Compare(a.Finding, b.Finding))
	})
	return groups
}

// unreadLogout is the length of "a LOGOUT" with its CRLF: what a proxy that takes its leave sends before its FIN.
const unreadLogout = 10

// Diagnosis returns what the group means in words, or "" where a state needs no explanation.
func (g SocketGroup) Diagnosis() string {
	switch g.Finding {
	case closeForgotten:
		return "EOF has been read, and close() forgotten"
	case stillSending:
		return fmt.Sprintf("EOF has been read; the peer has not taken %d bytes of the answer", g.SendQ)
	case finUnread:
		return "the FIN has not been read: the worker is stuck, or polls"
	case neverAccepted:
		return "the FIN has not been read: the connection was never accepted"
	case dataUnread:
		return unreadText(g.MinRecvQ-1, g.MaxRecvQ-1) + ": the worker is stuck"
	case peerKeepsOpen:
		return "closed here; the peer has not closed"
	}
	if g.State == wire.StateListen && g.MaxRecvQ > 0 {
		return fmt.Sprintf("%d connections wait to be accepted", g.MaxRecvQ)
	}
	return ""
}

func unreadText(least, most uint64) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d bytes in front of the FIN have not been read", least, most)
	case least == unreadLogout:
		return fmt.Sprintf("%d bytes in front of the FIN have not been read, as long as a LOGOUT", least)
	}
	return fmt.Sprintf("%d bytes in front of the FIN have not been read", least)
}
