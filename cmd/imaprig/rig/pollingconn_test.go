package rig

import (
	"fmt"
	"io"
	"maps"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

// TestFastBackendIgnoresEOF wants a session to go on after the client's FIN, which stays unread, and to end by LOGOUT,
// unless the server hangs.
func TestFastBackendIgnoresEOF(t *testing.T) {
	b, err := NewFastBackend(t.Context(), BackendOptions{Listen: rigtest.AnyPort, IgnoreEOF: true})
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Serve(t, b.Run)
	to := b.Addrs()[0].String()
	k := newTalk(t, to)
	k.want("* OK")
	k.say("a LOGIN u p\r\n")
	k.want("a OK")
	k.say("b LOGOUT\r\n")
	k.want("* BYE")
	k.want("b OK")
	if _, err := k.in.ReadByte(); err != io.EOF {
		t.Errorf("after LOGOUT %v, want an end", err)
	}
	forgotten := newTalk(t, to)
	forgotten.want("* OK")
	if err := forgotten.conn.Close(); err != nil {
		t.Fatal(err)
	}
	b.Hang()
	hanging := newTalk(t, to)
	hanging.want("* OK")
	hanging.say("a LOGOUT\r\n")
	if err := hanging.conn.Close(); err != nil {
		t.Fatal(err)
	}
	rigtest.EventuallyStays(t, func() error {
		entries, err := wire.ReadTable("/proc/self/net")
		found := map[uint64]int{} // by Recv-Q
		for _, e := range entries {
			if e.Local.String() == to && e.State == wire.StateCloseWait {
				found[e.RecvQ]++
			}
		}
		if want := map[uint64]int{1: 1, uint64(len("a LOGOUT\r\n") + 1): 1}; err == nil && !maps.Equal(found, want) {
			err = fmt.Errorf("sockets in CLOSE_WAIT by Recv-Q %v, want %v", found, want)
		}
		return err
	})
	if n := b.Accepted(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}
