package rig

import (
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestPeerMissing(t *testing.T) {
	p := NginxPeer()
	p.Programs = []string{"no-such-nginx"}
	_, err := p.Start(t.Context(), rigtest.Addr("127.0.0.1:1"), rigtest.Addr("127.0.0.1:0").Addr())
	rigtest.CheckError(t, err, "apt-get install nginx libnginx-mod-mail")
	p = ImapproxyPeer()
	p.Programs = []string{"false"}
	_, err = p.Start(t.Context(), rigtest.Addr("127.0.0.1:1"), rigtest.Addr("127.0.0.1:0").Addr())
	rigtest.CheckError(t, err, "it ended at once")
}
