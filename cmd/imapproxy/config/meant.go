package config

import (
	"slices"
	"strings"
)

// foreignWords are keys of other programs, and words that are easily taken for a key, with
// the keys that mean the same here. What is in the section at hand comes first.
var foreignWords = map[string][]string{
	// nginx
	"ssl_certificate": {"certificate"}, "ssl_certificate_key": {"key"}, "ssl_password_file": {"key_password_file"},
	"listen": {"address"}, "server": {"addresses", "listener", "target"}, "upstream": {"target"},
	"proxy_pass": {"addresses"}, "auth_http": {"url"}, "auth_http_header": {"headers"},
	"auth_http_timeout": {"timeout"}, "auth_http_pass_client_cert": {"pass_client_certificate"},
	"ssl": {"tls"}, "starttls": {"tls"}, "ssl_protocols": {"tls_min"}, "ssl_ciphers": {"tls_ciphers"},
	"ssl_ecdh_curve": {"tls_curves"}, "ssl_session_tickets": {"tls_session_tickets"},
	"ssl_session_ticket_key": {"tls_ticket_keys"}, "ssl_client_certificate": {"client_ca"},
	"ssl_verify_client": {"client_certificates"}, "ssl_verify_depth": {"client_ca_depth"}, "ssl_crl": {"client_crl"},
	"ssl_trusted_certificate": {"trusted_certificates"}, "proxy_timeout": {"session_idle_timeout"},
	"error_log": {"file"}, "access_log": {"file"}, "set_real_ip_from": {"proxy_trusted"},
	"server_name": {"hostname"}, "worker_connections": {"sessions"},
	// Dovecot
	"ssl_cert": {"certificate"}, "ssl_key": {"key"}, "ssl_ca": {"ca", "client_ca"}, "ssl_client_ca_file": {"ca"},
	"ssl_min_protocol": {"tls_min"}, "ssl_cipher_list": {"tls_ciphers"}, "haproxy": {"proxy_protocol"},
	"haproxy_trusted_networks": {"proxy_trusted"}, "passdb": {"auth"}, "userdb": {"route"},
	"log_path": {"file"}, "disable_plaintext_auth": {"starttls_only"}, "auth_mechanisms": {"mechanisms"},
	"proxy_mech": {"mechanism"}, "imap_capability": {"capabilities"}, "master_pass": {"master_password_file"},
	// perdition
	"outgoing_server": {"addresses"}, "listen_port": {"address"}, "bind_address": {"address"},
	"outgoing_port": {"addresses"}, "map_library": {"route"}, "map_library_opt": {"file"},
	"ssl_cert_file": {"certificate"}, "ssl_key_file": {"key"}, "ssl_ca_file": {"ca"}, "ssl_mode": {"tls"},
	"ssl_no_cert_verify": {"verify"}, "connection_limit": {"sessions"}, "domain_delimiter": {"delimiter"},
	// words that are easily meant
	"host": {"addresses", "address"}, "port": {"addresses", "address"}, "cert": {"certificate"},
	"private_key": {"key"}, "ca_file": {"ca", "client_ca"}, "cafile": {"ca", "client_ca"}, "backend": {"target"},
	"backends": {"target"}, "users": {"file"}, "map": {"file"}, "password_file": {"master_password_file"},
	"master_password": {"master_password_file"}, "log_level": {"level"}, "proxy": {"proxy_header", "proxy_protocol"},
	"user": {"master_user"}, "idle_timeout": {"session_idle_timeout"}, "max_connections": {"sessions"},
	"tls_certificate": {"certificate"}, "tls_cert": {"certificate"}, "tls_key": {"key"}, "tls_ca": {"ca", "client_ca"},
	"tls_verify": {"verify"}, "tls_mode": {"tls"},
}

// elsewhere are settings of other programs that this one does not have, with what to do.
var elsewhere = map[string]string{
	"login_trusted_networks": "it belongs into the configuration of the backend's Dovecot, with this proxy's addresses",
	"mail_max_userip_connections": "it belongs into the configuration of the backend's Dovecot; each session is a " +
		"connection from this proxy's address there",
	"protocol": "remove it: the protocol is IMAP",
	"include":  "write all into this file",
}

// meant returns what a key of another program is called here, "" where it is not known.
func meant(key string, fields []field) string {
	key = strings.ToLower(key)
	if text := elsewhere[key]; text != "" {
		return text
	}
	for _, name := range foreignWords[key] {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.Key == name }); i >= 0 {
			if fields[i].isSection() {
				name = header(fields[i], name)
			}
			return "did you mean " + name + "?"
		}
	}
	for _, name := range foreignWords[key] {
		if slices.ContainsFunc(sections()[0].Fields, func(f field) bool { return f.Key == name && !f.isSection() }) {
			return "did you mean " + name + "? It belongs at the top, before the sections"
		}
		if homes := homesOf(name); len(homes) > 0 {
			return "did you mean " + name + "? It belongs in " + strings.Join(homes, " or ")
		}
		if i := slices.IndexFunc(sections(), func(s sectionSchema) bool { return s.Name == name }); i >= 0 {
			return "did you mean the section " + sections()[i].Header + "?"
		}
	}
	return ""
}
