package convert

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tlsWords maps perdition's names of TLS versions.
var tlsWords = map[string]string{"sslv3": "1.0", "tlsv1": "1.0", "tlsv1.1": "1.1", "tlsv1.2": "1.2"}

// version converts an option that names a TLS version; standard is what it
// means when it is empty, "" when it may not be.
func (c *perditionConverter) version(u *use, standard string) (string, bool) {
	version, known := tlsWords[strings.ToLower(u.value)]
	switch {
	case known:
	case u.value == "" && standard != "":
		c.done(u, "it is the default")
		return standard, true
	default:
		c.refuse(u.at, "unknown TLS version %q: perdition has sslv3, tlsv1, tlsv1.1 and tlsv1.2", u.value)
	}
	return version, known
}

// listenerTLS converts versions and suites of the clients' side.
func (c *perditionConverter) listenerTLS(i *instance) {
	least, most, good := "1.2", "1.3", true
	from := i.one("ssl_listen_min_proto_version")
	if from != nil {
		if least, good = c.version(from, ""); !good {
			return
		}
		c.done(from, "tls_min = %s", text(least))
	}
	if u := i.one("ssl_listen_max_proto_version"); u != nil {
		if most, good = c.version(u, most); !good {
			return
		}
		c.done(u, "tls_max = %s", text(most))
		if most < least && from == nil {
			least, from = "1.0", u // perdition's default
		}
		if most < least {
			c.refuse(u.at, "it is older than ssl_listen_min_proto_version")
			return
		}
		if most != "1.3" {
			i.keys = append(i.keys, setting{"tls_max", text(most), u.from()})
		}
	}
	if least != "1.2" {
		i.keys = append(i.keys, setting{"tls_min", text(least), from.from()})
	}
	if u := i.one("ssl_listen_ciphers"); u != nil {
		if names := c.cipherNames(u); names != nil {
			i.keys = append(i.keys, setting{"tls_ciphers", list(names), u.from()})
		}
	}
}

// cipherNames converts a cipher list. perdition overlooks that OpenSSL rejects
// one.
func (c *perditionConverter) cipherNames(u *use) []string {
	if u.value == "" {
		c.note(u.at, Differs, "left out: with OpenSSL 3 and an empty list perdition speaks TLS 1.3 only")
		return nil
	}
	if _, err := readCipherList(u.value); err != nil {
		c.refuse(u.at, "%v; perdition does not notice, and takes OpenSSL's default list", err)
		return nil
	}
	names, _ := c.ciphers(u.at, u.value)
	return names
}

// looser are options that make perdition take certificates imapproxy does not.
var looser = []string{"ssl_ca_accept_self_signed", "ssl_cert_accept_self_signed", "ssl_cert_accept_expired",
	"ssl_cert_accept_not_yet_valid", "ssl_no_cn_verify"}

// outgoingOptions are about TLS towards backends, listenOptions about that
// towards clients.
var (
	outgoingOptions = []string{"ssl_ca_accept_self_signed", "ssl_cert_accept_self_signed", "ssl_cert_accept_expired",
		"ssl_cert_accept_not_yet_valid", "ssl_no_cn_verify", "ssl_no_cert_verify", "ssl_ca_file", "ssl_ca_path",
		"ssl_outgoing_min_proto_version", "ssl_outgoing_max_proto_version", "ssl_outgoing_ciphers"}
	listenOptions = []string{"ssl_ca_chain_file", "ssl_cert_file", "ssl_key_file", "ssl_passphrase_fd",
		"ssl_passphrase_file", "ssl_listen_min_proto_version", "ssl_listen_max_proto_version", "ssl_listen_ciphers"}
)

// unusedTLS notes the options of TLS where it is not spoken, and those of an
// instance whose way to backends is not taken.
func (c *perditionConverter) unusedTLS() {
	spoken := strongest(c.instances) != "off"
	for _, i := range c.instances {
		for _, long := range listenOptions {
			if u := i.one(long); u != nil && i.tls == "off" {
				c.noteOnce(u, NotNeeded, "its listener does not speak TLS")
			}
		}
		for _, long := range outgoingOptions {
			u, same := i.one(long), i.outgoing == "off" ||
				slices.Equal(effective(long, i.settings[long]), effective(long, c.leading.settings[long]))
			switch {
			case u != nil && !spoken:
				c.noteOnce(u, NotNeeded, "no backend is spoken to with TLS")
			case u != nil && i.outgoing == "off":
				c.noteOnce(u, NotNeeded, "the instance speaks to backends without TLS")
			case !same && u != nil:
				c.note(u.at, Differs, "imapproxy has one way to a backend, that of the instance %s: left out",
					c.leading.name)
			case !same && long != "ssl_no_cert_verify": // see verification
				c.note(i.at, Differs, "imapproxy has one way to a backend, that of the instance %s, with its %s",
					c.leading.name, long)
			}
		}
	}
}

// target converts how backends are spoken to in one way; the keys are those of
// [[target]].
func (c *perditionConverter) target(mode string) []setting {
	keys := []setting{{"tls", text(mode), ""}}
	if mode == "off" {
		return append(keys, setting{"plain_login", "true", "as with perdition; better \"starttls\" or \"implicit\""})
	}
	from := c.leading
	if from.outgoing != mode {
		from = c.instances[slices.IndexFunc(c.instances, func(i *instance) bool { return i.outgoing == mode })]
	}
	keys = append(keys, c.verification(from)...)
	if u := from.one("ssl_outgoing_min_proto_version"); u != nil {
		version, good := c.version(u, "")
		switch {
		case good && version < "1.2":
			c.note(u.at, Differs, "backends must speak TLS 1.2 at least")
		case good:
			keys = append(keys, setting{"tls_min", text(version), u.from()})
			c.done(u, "tls_min of the target")
		}
	}
	if u := from.one("ssl_outgoing_max_proto_version"); u != nil {
		if version, good := c.version(u, "1.3"); good && version < "1.2" {
			c.refuse(u.at, "backends must speak TLS 1.2 at least")
		} else if good && u.value != "" {
			c.note(u.at, Differs, "left out: towards backends the newest version is taken")
		}
	}
	if u := from.one("ssl_outgoing_ciphers"); u != nil {
		c.cipherNames(u)
		c.note(u.at, Differs, "left out: towards backends Go's own suites are taken")
	}
	return keys
}

// verification converts what is asked of a backend's certificate.
func (c *perditionConverter) verification(from *instance) []setting {
	authorities := []string{"ssl_ca_file", "ssl_ca_path"}
	verifies := slices.IndexFunc(c.instances, func(i *instance) bool {
		return i.outgoing != "off" && i.one("ssl_no_cert_verify") == nil
	})
	if u := from.one("ssl_no_cert_verify"); u != nil && verifies >= 0 {
		c.note(u.at, Differs, "the instance %s verifies the certificates of backends; imapproxy has one way to a "+
			"backend, and verifies for all", c.instances[verifies].name)
	} else if u != nil {
		c.done(u, "verify = false: anybody between here and the backend can read and change everything")
		for _, long := range slices.Concat(authorities, looser) {
			if other := from.one(long); other != nil {
				c.note(other.at, NotNeeded, "ssl_no_cert_verify: nothing is verified")
			}
		}
		return []setting{{"verify", "false", u.from()}}
	}
	var keys []setting
	if u := from.one("ssl_ca_file"); u != nil {
		keys = append(keys, setting{"ca", text(within(c.home, u.value)), u.from()})
		c.done(u, "ca of the target")
	}
	folder := "perdition.ca"
	if u := from.one("ssl_ca_path"); u != nil {
		c.note(u.at, Differs,
			"imapproxy reads authorities from one file: cat %s > FILE and name it with ca; without ca the system's "+
				"count", filepathGlob(u.value))
	} else if files, err := os.ReadDir(filepath.Join(c.folder, folder)); err == nil && len(files) > 0 {
		c.note(from.at, Differs, "perdition's authorities are in %s; imapproxy reads them from one file: cat %s > "+
			"FILE and name it with ca; without ca the system's count", within(c.home, folder),
			filepathGlob(within(c.home, folder)))
	}
	for _, long := range looser {
		if u := from.one(long); u != nil {
			c.note(u.at, Differs,
				"imapproxy verifies the backend's certificate and name: renew it, name it or its authority with ca, "+
					"and a different name with server_name")
		}
	}
	return keys
}

// filepathGlob names the files of a folder of authorities.
func filepathGlob(folder string) string { return strings.TrimSuffix(folder, "/") + "/*.pem" }
