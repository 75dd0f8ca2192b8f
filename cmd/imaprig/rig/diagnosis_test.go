package rig

import (
	"slices"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestDiagnosis(t *testing.T) {
	listener := wire.TableEntry{Local: rigtest.Addr("0.0.0.0:143"), Remote: rigtest.Addr("0.0.0.0:0"),
		State: wire.StateListen, RecvQ: 7, Inode: 1}
	quiet := listener
	quiet.RecvQ = 0
	finWait := wire.TableEntry{Local: rigtest.Addr("127.0.0.1:143"), Remote: rigtest.Addr("127.0.0.1:50000"),
		State: wire.StateFinWait2}
	tests := []struct {
		name  string
		socks []wire.TableEntry
		want  string
	}{
		{"EOF read", []wire.TableEntry{rigtest.CloseWait(0, 0, 9)}, "EOF has been read, and close() forgotten"},
		{"EOF read, answer stuck", []wire.TableEntry{rigtest.CloseWait(0, 40, 9), rigtest.CloseWait(0, 2, 9)},
			"EOF has been read; the peer has not taken 42 bytes of the answer"},
		{"FIN unread", []wire.TableEntry{rigtest.CloseWait(1, 0, 9)}, "the FIN has not been read: the worker is " +
			"stuck, or polls"},
		{"never accepted", []wire.TableEntry{rigtest.CloseWait(1, 0, 0), rigtest.CloseWait(11, 0, 0)},
			"the FIN has not been read: the connection was never accepted"},
		{"LOGOUT unread", []wire.TableEntry{rigtest.CloseWait(11, 0, 9)}, "10 bytes in front of the FIN have not " +
			"been read, as long as a LOGOUT: the worker is stuck"},
		{"data unread", []wire.TableEntry{rigtest.CloseWait(3, 0, 9)}, "2 bytes in front of the FIN have not been " +
			"read: the worker is stuck"},
		{"much unread", []wire.TableEntry{rigtest.CloseWait(900, 0, 9), rigtest.CloseWait(2, 0, 9),
			rigtest.CloseWait(11, 0, 9)}, "1 to 899 bytes in front of the FIN have not been read: the worker is stuck"},
		{"half closed by us", []wire.TableEntry{finWait}, "closed here; the peer has not closed"},
		{"backlog", []wire.TableEntry{listener}, "7 connections wait to be accepted"},
		{"listener", []wire.TableEntry{quiet}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			groups := GroupSockets(tt.socks, []uint16{143})
			if len(groups) != 1 || groups[0].Count != len(tt.socks) {
				t.Fatalf("groups %+v, want one of %d", groups, len(tt.socks))
			}
			if got := groups[0].Diagnosis(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGroupSockets(t *testing.T) {
	est := func(local, remote string) wire.TableEntry {
		return wire.TableEntry{Local: rigtest.Addr(local), Remote: rigtest.Addr(remote), State: wire.StateEstablished,
			Inode: 5}
	}
	all := []wire.TableEntry{
		est("127.0.0.1:50001", "127.0.0.1:143"), est("127.0.0.1:143", "127.0.0.1:50001"), est("127.0.0.1:143",
			"10.0.0.9:50002"),
		est("127.0.0.1:993", "127.0.0.1:143"), // both ports watched
		est("127.0.0.1:7000", "127.0.0.1:7001"),
		est("127.0.0.1:143", "127.0.0.2:143"), // the server's, though both are the port
		rigtest.CloseWait(1, 0, 3), rigtest.CloseWait(0, 0, 4), rigtest.CloseWait(1, 0, 0),
	}
	type row struct {
		port    uint16
		side    Side
		state   wire.State
		finding finding
		count   int
	}
	var got []row
	for _, g := range GroupSockets(all, []uint16{993, 143}) {
		got = append(got, row{g.Port, g.Side, g.State, g.Finding, g.Count})
	}
	want := []row{
		{993, ServerSide, wire.StateEstablished, nothingFound, 1},
		{143, ServerSide, wire.StateEstablished, nothingFound, 3},
		{143, ServerSide, wire.StateCloseWait, closeForgotten, 1},
		{143, ServerSide, wire.StateCloseWait, finUnread, 1},
		{143, ServerSide, wire.StateCloseWait, neverAccepted, 1},
		{143, ClientSide, wire.StateEstablished, nothingFound, 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
