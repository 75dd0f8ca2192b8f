package main

import (
	"crypto/tls"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"imapproxy/backend/ledger"
	"imapproxy/backend/loop"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// buildListener makes a listener, and what keeps its certificates up to date
// with their files.
func buildListener(c *config.Listener, r *config.Report) (*imapproxy.Listener, []*listenerTLS) {
	policy, _ := ledger.NewPolicy(c.Policy.Rules()) // check has reported
	l := &imapproxy.Listener{Policy: policy,
		Name: c.Name, Insecure: c.Insecure,
		Proxy: imapproxy.ProxyHeader{
			Required: c.ProxyProtocol == "required", Ignore: c.ProxyUntrusted == "ignore",
			Trusted:     c.ProxyNetworks(&config.Report{}), // check has reported
			TrustedUnix: slices.Contains(c.ProxyTrusted, config.UnixPrefix),
		},
	}
	switch c.TLS {
	case "off":
		l.TLS = imapproxy.NoTLS
		return l, nil
	case "starttls":
		l.TLS = imapproxy.StartTLS
		l.TLSOnly = c.StartTLSOnly
	case "implicit":
		l.TLS = imapproxy.ImplicitTLS
	}
	t := &listenerTLS{config: c, stamps: stampsOf(c.TLSFiles())}
	t.clients.Mode = certificateModes[c.ClientCertificates]
	if !t.load(r) {
		return l, nil // reported already
	}
	l.Clients = &t.clients
	l.TLSConfig = t.current.Load().Clone()
	l.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		// A key exchange and a signature would hold up the other sessions of the loop, most of all with RSA.
		return t.current.Load(), loop.Leave(hello.Context())
	}
	return l, []*listenerTLS{t}
}

// listenerTLS is a listener's side of TLS, which follows its files: certificates
// are renewed by programs that know nothing of the proxy.
type listenerTLS struct {
	config  *config.Listener
	current atomic.Pointer[tls.Config]
	clients imapproxy.ClientCertificates
	// sessions that may be resumed; nil when they are not kept here. Only load and follow use it.
	sessions *tlsSessions
	stamps   []fileStamp // of the files that current was made of, or that failed last
}

// follow reads the files again when one of them has changed. What is wrong with
// them stands in the report, once for each change; then what was read before
// stays in force.
func (t *listenerTLS) follow(r *config.Report) (changed bool) {
	if t.sessions != nil {
		t.sessions.expire()
	}
	now := stampsOf(t.config.TLSFiles())
	if slices.Equal(now, t.stamps) {
		return false
	}
	t.stamps = now
	return t.load(r)
}

// load reads the files and puts what they hold in force, all of it or nothing.
func (t *listenerTLS) load(r *config.Report) bool {
	own := r.Fork()
	next := loadTLS(t.config, own)
	authorities := loadClientAuthorities(t.config, next, own)
	r.Merge(own)
	if own.Failed() || len(next.Certificates) == 0 {
		return false
	}
	if t.config.SessionCache > 0 {
		t.sessions = newTLSSessions(t.config.SessionCache, t.config.SessionTimeout)
		t.sessions.use(next)
	}
	t.clients.Use(authorities)
	t.current.Store(next)
	return true
}

var certificateModes = map[string]imapproxy.CertificateMode{
	"off": imapproxy.CertificateOff, "on": imapproxy.CertificateOn,
	"optional": imapproxy.CertificateOptional, "optional_no_ca": imapproxy.CertificateOptionalNoCA,
}

// fileStamp changes when a file is written or replaced.
type fileStamp struct {
	size     int64
	modified time.Time
	ino      uint64
}

func stampsOf(files []string) []fileStamp {
	stamps := make([]fileStamp, len(files))
	for i, name := range files {
		if info, err := os.Stat(name); err == nil { // symbolic links are followed: certbot changes those
			stamps[i] = fileStamp{info.Size(), info.ModTime(), inode(info)}
		}
	}
	return stamps
}
