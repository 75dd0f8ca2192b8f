package convert

import (
	"strings"
)

// tlsWords maps perdition's names of TLS versions.
var tlsWords = map[string]string{"sslv3": "1.0", "tlsv1": "1.0", "tlsv1.0": "1.0", "tlsv1.1": "1.1", "tlsv1.2": "1.2",
	"tlsv1.3": "1.3"}

// version converts an option that names a TLS version.
func (c *perditionConverter) version(u *use) (string, bool) {
	version, known := tlsWords[strings.ToLower(u.value)]
	if !known {
		c.refuse(u.at, "unknown TLS version %q", u.value)
	}
	return version, known
}

// listenerTLS converts versions and suites of the clients' side.
func (c *perditionConverter) listenerTLS(i *instance) {
	for _, bound := range []struct{ long, key, standard string }{
		{"ssl_listen_min_proto_version", "tls_min", "1.2"}, {"ssl_listen_max_proto_version", "tls_max", "1.3"},
	} {
		u := i.one(bound.long)
		if u == nil {
			continue
		}
		version, good := c.version(u)
		if good && version != bound.standard {
			i.keys = append(i.keys, setting{bound.key, text(version), u.from()})
		}
		if good {
			c.done(u, "%s = %s", bound.key, text(version))
		}
	}
	u := i.one("ssl_listen_ciphers")
	if u == nil {
		return
	}
	if names, good := c.ciphers(u.at, u.value); good && names != nil {
		i.keys = append(i.keys, setting{"tls_ciphers", list(names), u.from()})
	}
}

// looser are options that make perdition take certificates imapproxy does not.
var looser = []string{"ssl_ca_accept_self_signed", "ssl_cert_accept_self_signed", "ssl_cert_accept_expired",
	"ssl_cert_accept_not_yet_valid", "ssl_no_cn_verify"}

// target converts how backends are spoken to; the keys are those of [[target]].
func (c *perditionConverter) target() []setting {
	mode := c.strongest()
	keys := []setting{{"tls", text(mode), ""}}
	if mode == "off" {
		return append(keys, setting{"plain_login", "true", "as with perdition; better \"starttls\" or \"implicit\""})
	}
	from := c.instances[0]
	for _, i := range c.instances {
		if i.outgoing == mode {
			from = i
			break
		}
	}
	if u := from.one("ssl_no_cert_verify"); u != nil {
		c.done(u, "verify = false: anybody between here and the backend can read and change everything")
		return append(keys, setting{"verify", "false", u.from()})
	}
	if u := from.one("ssl_ca_file"); u != nil {
		keys = append(keys, setting{"ca", text(within(c.home, u.value)), u.from()})
		c.done(u, "ca of the target")
	}
	if u := from.one("ssl_ca_path"); u != nil {
		c.note(u.at, Differs,
			"imapproxy reads authorities from one file: cat %s > FILE and name it with ca; without ca the system's "+
				"count", filepathGlob(u.value))
	}
	for _, long := range looser {
		if u := from.one(long); u != nil {
			c.note(u.at, Differs,
				"imapproxy verifies the backend's certificate and name: renew it, name it or its authority with ca, "+
					"and a different name with server_name")
		}
	}
	if u := from.one("ssl_outgoing_min_proto_version"); u != nil {
		version, good := c.version(u)
		switch {
		case good && version < "1.2":
			c.note(u.at, Differs, "backends must speak TLS 1.2 at least")
		case good:
			keys = append(keys, setting{"tls_min", text(version), u.from()})
			c.done(u, "tls_min of the target")
		}
	}
	for _, long := range []string{"ssl_outgoing_max_proto_version", "ssl_outgoing_ciphers"} {
		if u := from.one(long); u != nil {
			c.note(u.at, Differs, "left out: towards backends the newest version and Go's own suites are taken")
		}
	}
	return keys
}

// filepathGlob names the files of a folder of authorities.
func filepathGlob(folder string) string { return strings.TrimSuffix(folder, "/") + "/*.pem" }
