package config

import (
	"net/netip"
	"slices"
	"strings"
)

// tlsKeys are the keys of a listener that mean nothing without TLS.
var tlsKeys = []string{
	"certificate", "key", "ocsp_file", "key_password_file", "certificates", "starttls_only",
	"tls_min", "tls_max", "tls_ciphers", "tls_curves", "tls_session_tickets", "tls_ticket_keys",
	"tls_session_cache", "tls_session_timeout",
	"client_certificates", "client_ca", "trusted_certificates", "client_ca_depth", "client_crl",
}

// IsTLSKey reports whether a key of a listener means nothing without TLS.
func IsTLSKey(key string) bool { return slices.Contains(tlsKeys, key) }

func checkListenerTLS(l *Listener, r *Report) {
	at := l.Place
	if l.Insecure {
		r.Warnf(at, "insecure", "remove the line unless the network is trusted",
			"the listener %q takes passwords without TLS from every client", l.Name)
	}
	if l.TLS == "off" {
		checkNoTLS(l, r)
		return
	}
	if l.Certificate == "" && !at.Has("certificate") {
		r.Errorf(at, "certificate", `name the certificate's file, or write tls = "off"`,
			"missing, and tls is %q", l.TLS)
	}
	if l.StartTLSOnly && l.TLS != "starttls" {
		r.Errorf(at, "starttls_only", "remove it", "not used with tls = %q", l.TLS)
	}
	if l.StartTLSOnly && l.Insecure {
		r.Errorf(at, "insecure", "remove one of them", "starttls_only says the contrary")
	}
	checkTLSVersions(l, r)
	checkClientCertificates(l, r)
}

func checkNoTLS(l *Listener, r *Report) {
	for _, key := range tlsKeys {
		if l.Place.Has(key) {
			r.Errorf(l.Place, key, `remove it, or write tls = "starttls" or "implicit"`, `not used with tls = "off"`)
		}
	}
	if !l.Insecure && !IsLoopback(l.Address) && l.ProxyProtocol == "off" {
		r.Warnf(l.Place, "tls", "offer TLS, or listen on 127.0.0.1",
			"the listener %q has no TLS: clients from other machines can't log in", l.Name)
	}
}

func checkTLSVersions(l *Listener, r *Report) {
	at := l.Place
	if l.TLSMin > l.TLSMax { // "1.0" to "1.3" sort as text
		r.Errorf(at, "tls_max", "write a newer one", "%s is older than tls_min, %s", l.TLSMax, l.TLSMin)
	}
	if l.TLSMin < "1.2" {
		r.Warnf(at, "tls_min", "remove the line unless there are clients that can't do better",
			"TLS %s is broken (RFC 8996)", l.TLSMin)
	}
	_ = l.CipherSuiteIDs(r)
	_ = l.CurveIDs(r)
	if at.Has("tls_ticket_keys") && !l.SessionTickets {
		r.Errorf(at, "tls_ticket_keys", "remove one of them", "tls_session_tickets is false")
	}
	if l.SessionCache > 0 && l.SessionTickets {
		r.Errorf(at, "tls_session_cache", "remove it, or write tls_session_tickets = false",
			"not used where the clients keep their sessions in tickets")
	}
}

func checkClientCertificates(l *Listener, r *Report) {
	at := l.Place
	if l.ClientCertificates == "off" {
		for _, key := range []string{"client_ca", "trusted_certificates", "client_crl"} {
			if at.Has(key) {
				r.Errorf(at, key, `remove it, or write client_certificates = "on"`,
					`not used with client_certificates = "off"`)
			}
		}
		return
	}
	if l.ClientCA == "" && l.TrustedCertificates == "" && l.ClientCertificates != "optional_no_ca" &&
		!at.Has("client_ca") {
		r.Errorf(at, "client_ca", "name the file with the authorities of client certificates",
			"missing, and client_certificates is %q", l.ClientCertificates)
	}
}

// checkProxyProtocol: whoever is believed can claim any address.
func checkProxyProtocol(l *Listener, r *Report) {
	at := l.Place
	networks := l.ProxyNetworks(r)
	if l.ProxyProtocol == "off" {
		if at.Has("proxy_trusted") {
			r.Errorf(at, "proxy_trusted", `remove it, or write proxy_protocol = "required"`,
				`not used with proxy_protocol = "off"`)
		}
		return
	}
	if len(l.ProxyTrusted) == 0 && l.ProxyUntrusted == "refuse" {
		r.Errorf(at, "proxy_trusted", `write the balancers' networks, for example proxy_trusted = ["192.0.2.0/28"]`,
			"missing, and without it every client is refused")
	}
	if slices.Contains(l.ProxyTrusted, UnixPrefix) && !strings.HasPrefix(l.Address, UnixPrefix) {
		r.Warnf(at, "proxy_trusted", "remove it", "%q has no effect: the listener %q is not a Unix socket", UnixPrefix,
			l.Name)
	}
	for _, n := range networks {
		if n.Bits() == 0 {
			r.Warnf(at, "proxy_trusted", "name the balancers' own networks",
				"%s is everybody: any client can claim any address", n)
		}
	}
}

// ProxyNetworks are the parsed networks; an address stands for itself.
func (l *Listener) ProxyNetworks(r *Report) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range l.ProxyTrusted {
		if text == UnixPrefix {
			continue
		}
		n, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && !strings.Contains(text, "%") {
			n, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err == nil && n != n.Masked() {
			r.Errorf(l.Place, "proxy_trusted", "write "+n.Masked().String(),
				"%q has bits after those of the network", text)
			continue
		}
		if err != nil || n.Addr().Is4In6() {
			r.Errorf(l.Place, "proxy_trusted", `write networks such as "192.0.2.0/28" and "2001:db8::/64", or "unix:"`,
				"%q is not a network", text)
			continue
		}
		list = append(list, n)
	}
	return list
}
