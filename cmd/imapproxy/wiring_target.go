package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"

	"imapproxy/backend"
	"imapproxy/backend/login"
	"imapproxy/cmd/imapproxy/config"
)

// The words of the configuration, which has checked them.
var (
	tlsModes = map[string]backend.TLSMode{
		"off": backend.TLSOff, "starttls": backend.TLSStartTLS, "implicit": backend.TLSImplicit,
	}
	proxyHeaders = map[string]backend.ProxyHeader{
		"off": backend.ProxyNone, "v1": backend.ProxyV1, "v2": backend.ProxyV2,
	}
	mechanisms = map[string]login.Mechanism{
		"auto": login.MechanismAuto, "plain": login.MechanismPlain, "login": login.MechanismLogin,
		"literals": login.MechanismLiterals,
	}
	texts = map[string]login.Texts{"codes": login.TextsCodes, "all": login.TextsAll, "none": login.TextsNone}
)

// buildTarget makes a target with its authorities and its master password.
func buildTarget(c *config.Target, r *config.Report) *backend.Target {
	t := &backend.Target{
		Name: c.Name, Addresses: c.Addresses, ForwardID: c.ForwardID, PlainLogin: c.PlainLogin,
		TLS: tlsModes[c.TLS], Header: proxyHeaders[c.ProxyHeader],
		Mechanism: mechanisms[c.Mechanism], Texts: texts[c.Texts], Follow: c.Referral == "follow",
		Limits: backend.Limits{
			Connect: c.ConnectLimit, TLS: c.TLSLimit, Greeting: c.GreetLimit, Login: c.LoginLimit,
			Logout: c.LogoutLimit,
		},
	}
	if t.TLS != backend.TLSOff {
		t.TLSConfig = &tls.Config{
			ServerName: c.ServerName, RootCAs: loadAuthorities(c.Place, "ca", c.CA, r),
			// the configuration says so, and has warned
			MinVersion: config.TLSVersion(c.TLSMin), InsecureSkipVerify: !c.Verify,
		}
		_, _ = x509.SystemCertPool() // Go reads it once: now, and not in a handshake, which an event loop makes
	}
	if c.MasterUser != "" && c.MasterFile != "" {
		t.Master = backend.Credentials{AuthID: c.MasterUser, Secret: loadMasterPassword(c, r)}
	}
	t.Pool = buildPool(&c.Pool, r)
	return t
}

// buildPool makes the pool's options, nil when it is off.
func buildPool(c *config.Pool, r *config.Report) *backend.PoolOptions {
	if c.Mode != "on" {
		return nil
	}
	o := &backend.PoolOptions{
		MaxIdle: c.MaxIdle, MaxPerUser: c.MaxPerUser, MaxPerTarget: c.MaxPerTarget, MaxWaiting: c.MaxWaiting,
		Spare:       c.Spare,
		WaitTimeout: c.WaitTimeout, MaxLifetime: c.MaxLifetime, IdleTimeout: c.IdleTimeout, KeepAlive: c.KeepAlive,
		CheckAfter: c.CheckAfter, Reauth: c.Reauth, Listeners: c.Listeners,
	}
	for _, text := range c.Networks {
		p, err := parseNetwork(text)
		if err != nil {
			r.Errorf(c.Place, "networks", `write a network such as "10.1.2.0/24", or an address`, "%q is neither", text)
		}
		o.Networks = append(o.Networks, p)
	}
	for _, name := range c.ClientNames {
		o.ClientNames = append(o.ClientNames, strings.ToLower(name))
	}
	return o
}

// parseNetwork reads CIDR or an address.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// loadMasterPassword reads the first line of master_password_file.
func loadMasterPassword(c *config.Target, r *config.Report) string {
	secret, err := passwordFile(string(c.MasterFile))
	if err != nil {
		r.Unreadable(c.Place, "master_password_file", "write the password into its first line", c.MasterFile, err)
		return ""
	}
	warnReadable(c.Place, "master_password_file", c.MasterFile, "the master password", r)
	return string(secret)
}

// loadAuthorities reads a file of certificates; nil, which stands for the
// system's authorities, when none is named.
func loadAuthorities(at config.Place, key string, file config.Path, r *config.Report) *x509.CertPool {
	if file == "" {
		return nil
	}
	text, err := config.ReadLimited(string(file), maxCertificateBytes)
	if err != nil {
		r.Unreadable(at, key, "name a PEM file with certificates", file, err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		r.Errorf(at, key, "name a PEM file with certificates", "%s holds no certificate", file)
	}
	return pool
}
