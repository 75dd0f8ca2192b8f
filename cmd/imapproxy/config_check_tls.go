package main

import (
	"net/netip"
	"slices"
	"strings"
)

// tlsKeys are the keys of a listener that mean nothing without TLS.
var tlsKeys = []string{
	"certificate", "key", "ocsp_file", "key_password_file", "certificates", "starttls_only",
	"tls_min", "tls_max", "tls_ciphers", "tls_curves", "tls_session_tickets", "tls_ticket_keys",
	"client_certificates", "client_ca", "trusted_certificates", "client_ca_depth", "client_crl",
}

func checkListenerTLS(l *listenerConfig, r *report) {
	at := l.Place
	if l.Insecure {
		r.warnf(at, "insecure", "remove the line unless the network is trusted",
			"the listener %q takes passwords without TLS from every client", l.Name)
	}
	if l.TLS == "off" {
		checkNoTLS(l, r)
		return
	}
	if l.Certificate == "" && !at.has("certificate") {
		r.errorf(at, "certificate", `name the certificate's file, or write tls = "off"`, "missing, and tls is %q", l.TLS)
	}
	if l.StartTLSOnly && l.TLS != "starttls" {
		r.errorf(at, "starttls_only", "remove it", "not used with tls = %q", l.TLS)
	}
	if l.StartTLSOnly && l.Insecure {
		r.errorf(at, "insecure", "remove one of them", "starttls_only says the contrary")
	}
	checkTLSVersions(l, r)
	checkClientCertificates(l, r)
}

func checkNoTLS(l *listenerConfig, r *report) {
	for _, key := range tlsKeys {
		if l.Place.has(key) {
			r.errorf(l.Place, key, `remove it, or write tls = "starttls" or "implicit"`, `not used with tls = "off"`)
		}
	}
	if !l.Insecure && !isLoopback(l.Address) && l.ProxyProtocol == "off" {
		r.warnf(l.Place, "tls", "offer TLS, or listen on 127.0.0.1",
			"the listener %q has no TLS: clients from other machines can't log in", l.Name)
	}
}

func checkTLSVersions(l *listenerConfig, r *report) {
	at := l.Place
	if l.TLSMin > l.TLSMax { // "1.0" to "1.3" sort as text
		r.errorf(at, "tls_max", "write a newer one", "%s is older than tls_min, %s", l.TLSMax, l.TLSMin)
	}
	if l.TLSMin < "1.2" {
		r.warnf(at, "tls_min", "remove the line unless there are clients that can't do better",
			"TLS %s is broken (RFC 8996)", l.TLSMin)
	}
	_ = l.cipherSuites(r)
	_ = l.curves(r)
	if at.has("tls_ticket_keys") && !l.SessionTickets {
		r.errorf(at, "tls_ticket_keys", "remove one of them", "tls_session_tickets is false")
	}
}

func checkClientCertificates(l *listenerConfig, r *report) {
	at := l.Place
	if l.ClientCertificates == "off" {
		for _, key := range []string{"client_ca", "trusted_certificates", "client_crl"} {
			if at.has(key) {
				r.errorf(at, key, `remove it, or write client_certificates = "on"`, `not used with client_certificates = "off"`)
			}
		}
		return
	}
	if l.ClientCA == "" && l.TrustedCertificates == "" && l.ClientCertificates != "optional_no_ca" && !at.has("client_ca") {
		r.errorf(at, "client_ca", "name the file with the authorities of client certificates", "missing, and client_certificates is %q", l.ClientCertificates)
	}
}

// checkProxyProtocol: whoever is believed can claim any address.
func checkProxyProtocol(l *listenerConfig, r *report) {
	at := l.Place
	networks := l.proxyNetworks(r)
	if l.ProxyProtocol == "off" {
		if at.has("proxy_trusted") {
			r.errorf(at, "proxy_trusted", `remove it, or write proxy_protocol = "required"`, `not used with proxy_protocol = "off"`)
		}
		return
	}
	if len(l.ProxyTrusted) == 0 && l.ProxyUntrusted == "refuse" {
		r.errorf(at, "proxy_trusted", `write the balancers' networks, for example proxy_trusted = ["192.0.2.0/28"]`,
			"missing, and without it nobody gets in")
	}
	if slices.Contains(l.ProxyTrusted, unixPrefix) && !strings.HasPrefix(l.Address, unixPrefix) {
		r.warnf(at, "proxy_trusted", "remove it", "%q has no effect: the listener %q is not a Unix socket", unixPrefix, l.Name)
	}
	for _, n := range networks {
		if n.Bits() == 0 {
			r.warnf(at, "proxy_trusted", "name the balancers' own networks", "%s is everybody: any client can claim any address", n)
		}
	}
}

// proxyNetworks are the parsed networks; an address stands for itself.
func (l *listenerConfig) proxyNetworks(r *report) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range l.ProxyTrusted {
		if text == unixPrefix {
			continue
		}
		n, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && !strings.Contains(text, "%") {
			n, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err == nil && n != n.Masked() {
			r.errorf(l.Place, "proxy_trusted", "write "+n.Masked().String(), "%q has bits behind the network's", text)
			continue
		}
		if err != nil || n.Addr().Is4In6() {
			r.errorf(l.Place, "proxy_trusted", `write networks such as "192.0.2.0/28" and "2001:db8::/64", or "unix:"`, "%q is not a network", text)
			continue
		}
		list = append(list, n)
	}
	return list
}
