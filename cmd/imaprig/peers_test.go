package main

import (
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestPeerMissing(t *testing.T) {
	p := nginxPeer()
	p.programs = []string{"no-such-nginx"}
	_, err := p.start(t.Context(), 1, rigtest.Addr("127.0.0.1:0").Addr())
	rigtest.CheckError(t, err, "apt-get install nginx libnginx-mod-mail")
	p = imapproxyPeer()
	p.programs = []string{"false"}
	_, err = p.start(t.Context(), 1, rigtest.Addr("127.0.0.1:0").Addr())
	rigtest.CheckError(t, err, "it ended at once")
}
