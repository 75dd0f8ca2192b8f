package main

import (
	"slices"
	"testing"
)

func closeWait(recvQ, sendQ, inode uint64) socket {
	return socket{addr("127.0.0.1:143"), addr("127.0.0.1:50000"), stateCloseWait, recvQ, sendQ, inode}
}

func TestDiagnosis(t *testing.T) {
	listener := socket{addr("0.0.0.0:143"), addr("0.0.0.0:0"), stateListen, 7, 0, 1}
	quiet := listener
	quiet.RecvQ = 0
	finWait := socket{addr("127.0.0.1:143"), addr("127.0.0.1:50000"), stateFinWait2, 0, 0, 0}
	tests := []struct {
		name  string
		socks []socket
		want  string
	}{
		{"EOF read", []socket{closeWait(0, 0, 9)}, "EOF has been read, and close() forgotten"},
		{"EOF read, answer stuck", []socket{closeWait(0, 40, 9), closeWait(0, 2, 9)}, "EOF has been read; the peer has not taken 42 bytes of the answer"},
		{"FIN unread", []socket{closeWait(1, 0, 9)}, "the FIN has not been read: the worker is stuck, or polls"},
		{"never accepted", []socket{closeWait(1, 0, 0), closeWait(11, 0, 0)}, "the FIN has not been read: the connection was never accepted"},
		{"LOGOUT unread", []socket{closeWait(11, 0, 9)}, "10 bytes in front of the FIN have not been read, as long as a LOGOUT: the worker is stuck"},
		{"data unread", []socket{closeWait(3, 0, 9)}, "2 bytes in front of the FIN have not been read: the worker is stuck"},
		{"much unread", []socket{closeWait(900, 0, 9), closeWait(2, 0, 9), closeWait(11, 0, 9)}, "1 to 899 bytes in front of the FIN have not been read: the worker is stuck"},
		{"half closed by us", []socket{finWait}, "closed here; the peer has not closed"},
		{"backlog", []socket{listener}, "7 connections wait to be accepted"},
		{"listener", []socket{quiet}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			groups := groupSockets(tt.socks, []uint16{143})
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
	est := func(local, remote string) socket {
		return socket{Local: addr(local), Remote: addr(remote), State: stateEstablished, Inode: 5}
	}
	all := []socket{
		est("127.0.0.1:50001", "127.0.0.1:143"), est("127.0.0.1:143", "127.0.0.1:50001"), est("127.0.0.1:143", "10.0.0.9:50002"),
		est("127.0.0.1:993", "127.0.0.1:143"), // both ports watched
		est("127.0.0.1:7000", "127.0.0.1:7001"),
		closeWait(1, 0, 3), closeWait(0, 0, 4), closeWait(1, 0, 0),
	}
	type row struct {
		port    uint16
		side    side
		state   tcpState
		finding finding
		count   int
	}
	var got []row
	for _, g := range groupSockets(all, []uint16{993, 143}) {
		got = append(got, row{g.Port, g.Side, g.State, g.Finding, g.Count})
	}
	want := []row{
		{993, serverSide, stateEstablished, nothingFound, 1},
		{143, serverSide, stateEstablished, nothingFound, 2},
		{143, serverSide, stateCloseWait, closeForgotten, 1},
		{143, serverSide, stateCloseWait, finUnread, 1},
		{143, serverSide, stateCloseWait, neverAccepted, 1},
		{143, clientSide, stateEstablished, nothingFound, 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
