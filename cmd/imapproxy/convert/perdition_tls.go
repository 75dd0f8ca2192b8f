package convert

import (
	"net"
	"strings"
)

// listenTLS is how the clients' side speaks: off, starttls, only (STARTTLS
// forced) or implicit.
type listenTLS string

// sslModes maps the words of ssl_mode: what clients and backends get.
var sslModes = map[string]struct {
	listen   listenTLS
	outgoing string
}{
	"none": {"", ""}, "ssl_listen": {"implicit", ""}, "ssl_outgoing": {"", "implicit"},
	"ssl_all":    {"implicit", "implicit"},
	"tls_listen": {"starttls", ""}, "tls_outgoing": {"", "starttls"}, "tls_all": {"starttls", "starttls"},
	"tls_listen_force": {"only", ""}, "tls_outgoing_force": {"", "force"}, "tls_all_force": {"only", "force"},
}

// contradicts reports whether two words of ssl_mode ask for TLS from the first
// byte and for STARTTLS.
func contradicts(before, word string) bool {
	return word != "" && before != "off" && (before == "implicit") != (word == "implicit")
}

// outgoingTLS reads ssl_mode of an instance.
func (c *perditionConverter) outgoingTLS(i *instance) {
	i.tls, i.outgoing = "off", "off"
	if len(i.settings["ssl_mode"]) == 0 && i.name == "imap4s" {
		i.tls, i.outgoing = "implicit", "implicit" // imap4s_encryption
	}
	for _, u := range i.settings["ssl_mode"] {
		for word := range strings.SplitSeq(u.value, ",") {
			mode, known := sslModes[strings.ToLower(word)]
			switch {
			case !known:
				c.refuse(u.at, "unknown ssl_mode %q", word)
				return
			case contradicts(string(i.tls), string(mode.listen)) || contradicts(i.outgoing, mode.outgoing):
				c.refuse(u.at, "%q contradicts what stands before it: perdition calls that an invalid combination",
					word)
				return
			}
			if mode.listen != "" && i.tls != "only" {
				i.tls = mode.listen
			}
			if mode.outgoing != "" && i.outgoing != "force" {
				i.outgoing = mode.outgoing
			}
		}
		c.done(u, "tls of the listeners and of the target")
		if i.outgoing == "starttls" {
			c.note(u.at, Differs,
				"tls_outgoing went on in clear when a backend offered no STARTTLS, and whoever stands in between "+
					"can take the offer away: imapproxy refuses the login")
		}
	}
	if i.outgoing == "force" {
		i.outgoing = "starttls"
	}
}

// listener converts an instance's addresses and its TLS.
func (c *perditionConverter) listener(i *instance) {
	port := instancePorts[i.name]
	if u := i.one("listen_port"); u != nil {
		if port = portNumber(u.value); port == "" {
			c.refuse(u.at, "%q is no port: write its number", u.value)
			return
		}
		c.done(u, "address")
	}
	i.listens = []string{"0.0.0.0:" + port}
	if u := i.one("bind_address"); u != nil && u.value != "" {
		i.listens = nil
		for entry := range strings.SplitSeq(u.value, ",") {
			_, host, own := serverPort(strings.TrimSpace(entry), c.delimiter)
			if own == "" {
				own = port
			}
			if own = portNumber(own); own == "" || host == "" {
				c.refuse(u.at, "%q is not host[:port]", entry)
				return
			}
			i.listens = append(i.listens, net.JoinHostPort(host, own))
		}
		c.done(u, "address")
	}
	switch i.tls {
	case "off":
		i.keys = []setting{{"tls", text("off"), ""},
			{"insecure", "true", "passwords go in clear here, as with perdition"}}
		return
	case "implicit":
		i.keys = []setting{{"tls", text("implicit"), ""}}
	case "starttls":
		i.keys = []setting{{"tls", text("starttls"), i.one("ssl_mode").from()},
			{"insecure", "true", "perdition takes passwords before STARTTLS too; better without this line"}}
	case "only":
		i.keys = []setting{{"tls", text("starttls"), i.one("ssl_mode").from()}, {"starttls_only", "true", ""}}
	}
	c.listenerCertificate(i)
	c.listenerTLS(i)
}

// standardCertificate is perdition's own value of ssl_cert_file.
const standardCertificate = "perdition.crt.pem"

// listenerCertificate converts the certificate, which perdition has one of.
func (c *perditionConverter) listenerCertificate(i *instance) {
	for _, f := range []struct{ long, key, standard string }{
		{"ssl_cert_file", "certificate", standardCertificate}, {"ssl_key_file", "key", "perdition.key.pem"},
	} {
		if u := i.one(f.long); u != nil {
			i.keys = append(i.keys, setting{f.key, text(within(c.home, u.value)), u.from()})
			c.done(u, "%s of the listeners with TLS", f.key)
		} else {
			i.keys = append(i.keys, setting{f.key, text(within(c.home, f.standard)), "perdition's default"})
		}
	}
	if u := i.one("ssl_ca_chain_file"); u != nil {
		c.note(u.at, Differs,
			"put the certificates of %s after the one in ssl_cert_file: imapproxy reads the chain from there", u.value)
	}
	if u := i.one("ssl_passphrase_file"); u != nil {
		i.keys = append(i.keys, setting{"key_password_file", text(within(c.home, u.value)), u.from()})
		c.done(u, "key_password_file")
	}
	if u := i.one("ssl_passphrase_fd"); u != nil {
		c.refuse(u.at, "imapproxy reads a key's passphrase from a file: write it there with ssl_passphrase_file")
	}
}
