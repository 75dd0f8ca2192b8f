package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"imapproxy/imapproxy"
)

// buildListener makes a listener, and what keeps its certificates up to date
// with their files.
func buildListener(c *listenerConfig, r *report) (*imapproxy.Listener, []*listenerTLS) {
	l := &imapproxy.Listener{
		Name: c.Name, Insecure: c.Insecure,
		Proxy: imapproxy.ProxyHeader{
			Required: c.ProxyProtocol == "required", Ignore: c.ProxyUntrusted == "ignore",
			Trusted:     c.proxyNetworks(&report{}), // check has reported
			TrustedUnix: slices.Contains(c.ProxyTrusted, unixPrefix),
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
	t := &listenerTLS{config: c, stamps: stampsOf(c.files())}
	t.clients.Mode = certificateModes[c.ClientCertificates]
	if !t.load(r) {
		return l, nil // reported already
	}
	l.Clients = &t.clients
	l.TLSConfig = t.current.Load().Clone()
	l.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current.Load(), nil }
	return l, []*listenerTLS{t}
}

// listenerTLS is a listener's side of TLS, which follows its files: certificates
// are renewed by programs that know nothing of the proxy.
type listenerTLS struct {
	config  *listenerConfig
	current atomic.Pointer[tls.Config]
	clients imapproxy.ClientCertificates
	stamps  []fileStamp // of the files that current was made of, or that failed last
}

// follow reads the files again when one of them has changed. What is wrong with
// them stands in the report, once for each change; then what was read before
// stays in force.
func (t *listenerTLS) follow(r *report) (changed bool) {
	now := stampsOf(t.config.files())
	if slices.Equal(now, t.stamps) {
		return false
	}
	t.stamps = now
	return t.load(r)
}

// load reads the files and puts what they hold in force, all of it or nothing.
func (t *listenerTLS) load(r *report) bool {
	own := r.fork()
	next := loadTLS(t.config, own)
	authorities := loadClientAuthorities(t.config, next, own)
	r.merge(own)
	if own.failed() || len(next.Certificates) == 0 {
		return false
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

// files are all that the listener's TLS is made of.
func (l *listenerConfig) files() []string {
	list := []filePath{l.KeyPasswords, l.ClientCA, l.TrustedCertificates, l.ClientCRL}
	for _, c := range l.all() {
		list = append(list, c.Certificate, c.Key, c.OCSPFile)
	}
	names := l.ticketFiles()
	for _, file := range list {
		if file != "" {
			names = append(names, string(file))
		}
	}
	return names
}

// ticketFiles are the files of ticket keys, which are meant from the folder of
// the configuration file like any other.
func (l *listenerConfig) ticketFiles() []string {
	var names []string
	for _, name := range l.TicketKeys {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(l.Place.File), name)
		}
		names = append(names, name)
	}
	return names
}
