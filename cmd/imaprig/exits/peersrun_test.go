package exits

import (
	"fmt"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestPeersRun starts each peer that is installed, with its defaults and tuned, and logs in through it.
func TestPeersRun(t *testing.T) {
	t.Parallel()
	java, err := rig.StartJava(t.Context(), rig.JavaOptions{Source: rigtest.JavaSource(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := java.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	peers := rig.Peers()
	for _, p := range rig.Peers() {
		p.Tuned = true
		peers = append(peers, p)
	}
	for _, p := range peers {
		t.Run(fmt.Sprintf("%s tuned %v", p.Name, p.Tuned), func(t *testing.T) {
			t.Parallel()
			if p.Name == rig.OwnProxy {
				p.Programs = []string{ownProgram(t)}
			}
			if _, err := p.Program(); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			x, err := p.Start(t.Context(), loopback(java.Port), rigtest.Addr("127.0.0.2:0").Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := x.Stop(); err != nil {
					t.Error(err)
				}
				if there, err := rig.Listens(ownNet, x.Addr); there || err != nil {
					t.Errorf("it listens still: %v, %v", there, err)
				}
			}()
			if x.Version == "" {
				t.Error("no version")
			}
			for _, to := range []string{x.Addr.String(), x.Outside.String()} {
				c := (&runOptions{user: "rig%d", password: "secret"}).newClient(7)
				if err := c.connect(dialTCP, to, rigtest.Addr("127.0.0.1:0").Addr(), false); err != nil {
					t.Fatal(err)
				}
				if err := openFetch(c); err != nil {
					t.Errorf("%s: %v", to, err)
				}
				_ = c.conn.Close()
			}
		})
	}
}
