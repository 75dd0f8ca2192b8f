package main

import (
	"cmp"
	"fmt"
	"slices"

	"imapproxy/backend/wire"
)

// side is the end of a connection: the server's sockets have the port locally, the client's remotely.
type side string

const (
	serverSide side = "server"
	clientSide side = "client"
)

// finding is what a socket's state, its queues and its inode say about the program that holds it.
type finding int

const (
	nothingFound   finding = iota
	closeForgotten         // EOF read, descriptor open
	stillSending           // EOF read, answers not taken by the peer
	finUnread              // accepted, and nobody reads
	dataUnread             // the same, with bytes in front of the FIN
	neverAccepted          // no descriptor yet
	peerKeepsOpen          // closed here, and the peer does not close
)

// examine judges one socket. A FIN counts as one byte in Recv-Q until read() has returned 0 for it.
func examine(s wire.TableEntry) finding {
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

// socketGroup counts the sockets of one port and side that are in the same state for the same reason.
type socketGroup struct {
	Port     uint16
	Side     side
	State    wire.State
	Finding  finding
	Count    int
	MinRecvQ uint64
	MaxRecvQ uint64
	SendQ    uint64 // sum, bytes
}

// groupSockets counts the sockets of these ports; one between two of them counts for both. The groups come by port as
// given, then server before client, then by state.
func groupSockets(all []wire.TableEntry, ports []uint16) []socketGroup {
	var groups []socketGroup
	for _, port := range ports {
		for _, sd := range []side{serverSide, clientSide} {
			groups = append(groups, groupSide(socketsOn(all, port, sd), port, sd)...)
		}
	}
	return groups
}

// socketsOn returns the sockets of one port and side.
func socketsOn(all []wire.TableEntry, port uint16, sd side) []wire.TableEntry {
	var socks []wire.TableEntry
	for _, s := range all {
		isServer := s.Local.Port() == port
		if isServer && sd == serverSide || !isServer && s.Remote.Port() == port && sd == clientSide {
			socks = append(socks, s)
		}
	}
	return socks
}

func groupSide(socks []wire.TableEntry, port uint16, sd side) []socketGroup {
	type key struct {
		state   wire.State
		finding finding
	}
	byKey := map[key]*socketGroup{}
	for _, s := range socks {
		k := key{s.State, examine(s)}
		g := byKey[k]
		if g == nil {
			g = &socketGroup{Port: port, Side: sd, State: k.state, Finding: k.finding, MinRecvQ: s.RecvQ}
			byKey[k] = g
		}
		g.Count++
		g.MinRecvQ = min(g.MinRecvQ, s.RecvQ)
		g.MaxRecvQ = max(g.MaxRecvQ, s.RecvQ)
		g.SendQ += s.SendQ
	}
	var groups []socketGroup
	for _, g := range byKey {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b socketGroup) int {
		return cmp.Or(cmp.Compare(a.State.Number(), b.State.Number()), cmp.Compare(a.Finding, b.Finding))
	})
	return groups
}

// unreadLogout is the length of "a LOGOUT" with its CRLF: what a proxy that takes its leave sends before its FIN.
const unreadLogout = 10

// Diagnosis says in words what the group means, or "" where a state needs no explanation.
func (g socketGroup) Diagnosis() string {
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
		return unreadWords(g.MinRecvQ-1, g.MaxRecvQ-1) + ": the worker is stuck"
	case peerKeepsOpen:
		return "closed here; the peer has not closed"
	}
	if g.State == wire.StateListen && g.MaxRecvQ > 0 {
		return fmt.Sprintf("%d connections wait to be accepted", g.MaxRecvQ)
	}
	return ""
}

func unreadWords(least, most uint64) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d bytes in front of the FIN have not been read", least, most)
	case least == unreadLogout:
		return fmt.Sprintf("%d bytes in front of the FIN have not been read, as long as a LOGOUT", least)
	}
	return fmt.Sprintf("%d bytes in front of the FIN have not been read", least)
}
