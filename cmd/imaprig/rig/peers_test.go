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

// TestVersionOf leaves the program's name out of what it says of its version.
func TestVersionOf(t *testing.T) {
	for _, tt := range [][3]string{
		{"nginx", "nginx version: nginx/1.22.1", "1.22.1"},
		{"perdition", "perdition version 2.2 Copyright Horms", "2.2 Copyright Horms"},
		{"haproxy", "HAProxy version 2.6.12-1+deb12u3 2025/10/03", "2.6.12-1+deb12u3 2025/10/03"},
		{"dovecot", "2.3.19.1 (9b53102964)", "2.3.19.1 (9b53102964)"},
		{"imapproxy", "imapproxy development, go1.26.8 linux/amd64", "development, go1.26.8 linux/amd64"},
		{"imapproxy", "a fork of imapproxy 1.0", "a fork of imapproxy 1.0"},
		{"imapproxy", "", ""},
	} {
		if got := versionOf(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s: %q, want %q", tt[0], got, tt[2])
		}
	}
}
