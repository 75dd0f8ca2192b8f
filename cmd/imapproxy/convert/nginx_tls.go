package convert

import (
	"slices"
	"strings"
)

// hasTLS reports whether a listener of the server speaks TLS, at once or later.
func (s *draft) hasTLS() bool {
	starttls := s.one("starttls")
	return s.implicit() || starttls != nil && !strings.EqualFold(starttls.args[0], "off")
}

// implicit reports whether a listener speaks TLS from the first byte.
func (s *draft) implicit() bool {
	return slices.ContainsFunc(s.listens, func(l listen) bool { return l.implicit })
}

// conflict refuses "ssl on" next to starttls in one block, as nginx does; of two
// blocks, the inner one's word holds.
func (c *nginxConverter) conflict(l level) {
	if len(l["ssl"]) == 0 || len(l["starttls"]) == 0 {
		return
	}
	ssl, starttls := l["ssl"][0], l["starttls"][0]
	if on, err := parseNginxFlag(ssl.args[0]); err != nil || !on || strings.EqualFold(starttls.args[0], "off") {
		return
	}
	c.refuse(starttls, `"starttls" directive conflicts with "ssl on" at %s: remove "ssl on" to keep STARTTLS, or `+
		"starttls for TLS from the first byte", ssl.place())
}

// certificates converts starttls, the certificates and their passphrases.
func (c *nginxConverter) certificates(s *draft) {
	c.starttls(s)
	certs, keys := s.of("ssl_certificate"), s.of("ssl_certificate_key")
	if !s.hasTLS() {
		for _, unused := range slices.Concat(certs, keys) {
			c.note(unused, NotNeeded, "no listener of the server speaks TLS")
		}
		return
	}
	if len(certs) == 0 || len(certs) != len(keys) {
		c.refuse(s.block, `there are %d "ssl_certificate" and %d "ssl_certificate_key" for its TLS`, len(certs),
			len(keys))
		return
	}
	var more []string
	for i := range certs {
		if !c.plainKey(certs[i]) || !c.plainKey(keys[i]) {
			return
		}
		c.note(certs[i], Converted, "a certificate of its listeners")
		c.note(keys[i], Converted, "the key of a certificate")
		cert, key := c.file(certs[i], certs[i].args[0]), c.file(keys[i], keys[i].args[0])
		if i == 0 {
			s.add("certificate", text(cert), certs[i])
			s.add("key", text(key), keys[i])
			continue
		}
		more = append(more, "{ certificate = "+text(cert)+", key = "+text(key)+" }")
	}
	if len(more) > 0 {
		s.add("certificates", "["+strings.Join(more, ", ")+"]", certs[1])
	}
	if password := s.one("ssl_password_file"); password != nil {
		c.note(password, Converted, "key_password_file")
		s.add("key_password_file", text(c.file(password, password.args[0])), password)
	}
}

// plainKey refuses keys that are not files.
func (c *nginxConverter) plainKey(s *statement) bool {
	for _, scheme := range []string{"engine:", "store:", "data:"} {
		if strings.HasPrefix(s.args[0], scheme) {
			c.refuse(s, "imapproxy reads certificates and keys only from files, not from %q: write them to a file",
				strings.TrimSuffix(scheme, ":"))
			return false
		}
	}
	return true
}

// starttls sets tls of the listeners that do not begin with TLS.
func (c *nginxConverter) starttls(s *draft) {
	mode, from := "off", s.one("starttls")
	if from != nil {
		word, good := c.oneOf(from, from.args[0], "off", "on", "only")
		if !good {
			return
		}
		mode = word
	}
	for i := range s.listens {
		l := &s.listens[i]
		keys := []setting{{"tls", text("off"), ""}}
		switch {
		case l.implicit:
			keys = []setting{{"tls", text("implicit"), l.from.from()}}
		case mode == "on":
			keys = []setting{{"tls", text("starttls"), from.from()}}
		case mode == "only":
			keys = []setting{{"tls", text("starttls"), from.from()}, {"starttls_only", "true", from.from()}}
		}
		if !l.implicit && mode != "only" && !l.local() {
			keys = append(keys, setting{"insecure", "true",
				"nginx takes passwords without TLS; better without this line"})
			c.note(l.from, Converted, "insecure = true: passwords may go in clear, as with nginx")
		}
		l.keys = append(keys, l.keys...)
	}
	plain := slices.ContainsFunc(s.listens, func(l listen) bool { return !l.implicit })
	switch {
	case from == nil:
	case mode != "off" && !plain && len(s.listens) > 0:
		c.note(from, NotNeeded, "every listener of the server begins with TLS")
	case mode == "on":
		c.note(from, Converted,
			`tls = "starttls"; insecure = true, where it stands, keeps passwords before STARTTLS possible, as with `+
				`nginx: remove it when no client needs that`)
	case mode == "only":
		c.note(from, Converted, `tls = "starttls", starttls_only = true`)
	default:
		c.note(from, Converted, "it is the default")
	}
}

// nginxTLSVersions maps the words of ssl_protocols; "" is what Go does not speak.
var nginxTLSVersions = map[string]string{"sslv2": "", "sslv3": "", "tlsv1": "1.0", "tlsv1.1": "1.1", "tlsv1.2": "1.2",
	"tlsv1.3": "1.3"}

// tlsVersions converts ssl_protocols.
func (c *nginxConverter) tlsVersions(s *draft) {
	all := s.of("ssl_protocols")
	if len(all) == 0 || !s.hasTLS() {
		return
	}
	from := all[0]
	var words, versions, old []string
	for _, one := range all { // they add up
		words = append(words, one.args...)
		if one != from {
			c.note(one, Converted, "added to what %s says", from.place())
		}
	}
	for _, word := range words {
		version, known := nginxTLSVersions[strings.ToLower(word)]
		switch {
		case !known:
			c.refuse(from, "invalid value %q", word)
			return
		case version == "":
			old = append(old, word)
		default:
			versions = append(versions, version)
		}
	}
	if len(versions) == 0 {
		c.refuse(from, "imapproxy does not speak SSL")
		return
	}
	least, most := slices.Min(versions), slices.Max(versions)
	if least != "1.2" {
		s.add("tls_min", text(least), from)
	}
	if most != "1.3" {
		s.add("tls_max", text(most), from)
	}
	c.note(from, Converted, "TLS %s to %s", least, most)
	if least < "1.2" {
		c.note(from, Converted, "1.0 and 1.1 are broken (RFC 8996): raise tls_min when the last old client is gone")
	}
	if len(old) > 0 {
		c.note(from, Differs, "%s is left out: imapproxy does not speak SSL", strings.Join(old, " "))
	}
}

// nginxCurves maps OpenSSL's names to Go's.
var nginxCurves = map[string]string{
	"x25519": "X25519", "prime256v1": "P-256", "secp256r1": "P-256", "p-256": "P-256", "secp384r1": "P-384",
	"p-384":     "P-384",
	"secp521r1": "P-521", "p-521": "P-521", "x25519mlkem768": "X25519MLKEM768",
}

// tlsCurves converts ssl_ecdh_curve.
func (c *nginxConverter) tlsCurves(s *draft) {
	from := s.one("ssl_ecdh_curve")
	if from == nil || !s.hasTLS() {
		return
	}
	if strings.EqualFold(from.args[0], "auto") {
		c.note(from, Converted, "it is the default")
		return
	}
	var curves, unknown []string
	for name := range strings.SplitSeq(from.args[0], ":") {
		if curve, ok := nginxCurves[strings.ToLower(name)]; ok {
			curves = append(curves, curve)
		} else {
			unknown = append(unknown, name)
		}
	}
	if len(curves) == 0 {
		c.refuse(from, "imapproxy has none of these curves: it has X25519MLKEM768, X25519, prime256v1, secp384r1, "+
			"secp521r1")
		return
	}
	s.add("tls_curves", list(curves), from)
	c.note(from, Converted, "tls_curves")
	if len(unknown) > 0 {
		c.note(from, Differs, "%s is left out: imapproxy does not have it", strings.Join(unknown, ", "))
	}
}

// tlsRest names what has no place in imapproxy.
func (c *nginxConverter) tlsRest(s *draft) {
	for _, from := range s.of("ssl_conf_command") {
		c.refuse(from, "an OpenSSL command has no meaning outside OpenSSL: say it with ssl_protocols, ssl_ciphers, "+
			"ssl_ecdh_curve; --ignore ssl_conf_command leaves it out")
	}
	if from := s.one("ssl_dhparam"); from != nil {
		c.note(from, NotNeeded, "imapproxy has only ECDHE, no finite-field DH")
	}
	if from := s.one("ssl_prefer_server_ciphers"); from != nil {
		if _, good := c.flag(from); good {
			c.note(from, NotNeeded, "the order is chosen by what both machines do fast")
		}
	}
}

// clientCertificates converts ssl_verify_client and what belongs to it.
func (c *nginxConverter) clientCertificates(s *draft) {
	files := []struct{ directive, key string }{
		{"ssl_client_certificate", "client_ca"}, {"ssl_trusted_certificate", "trusted_certificates"},
		{"ssl_crl", "client_crl"},
	}
	mode, from := "off", s.one("ssl_verify_client")
	if from != nil {
		word, good := c.oneOf(from, from.args[0], "off", "on", "optional", "optional_no_ca")
		if !good {
			return
		}
		mode = word
	}
	depth := s.one("ssl_verify_depth")
	if mode == "off" || !s.hasTLS() {
		for _, unused := range []*statement{from, depth, s.one("ssl_client_certificate"),
			s.one("ssl_trusted_certificate"), s.one("ssl_crl")} {
			if unused != nil {
				c.note(unused, NotNeeded, "client certificates are not asked for")
			}
		}
		return
	}
	if mode != "optional_no_ca" && s.one("ssl_client_certificate") == nil && s.one("ssl_trusted_certificate") == nil {
		c.refuse(from, `no ssl_client_certificate for ssl_verify_client`)
		return
	}
	s.add("client_certificates", text(mode), from)
	c.note(from, Converted, "client_certificates = %s", text(mode))
	for _, f := range files {
		if named := s.one(f.directive); named != nil {
			c.note(named, Converted, "%s", f.key)
			s.add(f.key, text(c.file(named, named.args[0])), named)
		}
	}
	if depth != nil {
		n, err := parseNginxNumber(depth.args[0])
		if err != nil {
			c.refuse(depth, "%v", err)
			return
		}
		if most := countBoundsOf("listener.client_ca_depth").Most; n > most {
			n = most
			c.note(depth, Differs, "lowered to %d, the most imapproxy takes", most)
		}
		s.add("client_ca_depth", number(n), depth)
		c.note(depth, Converted, "client_ca_depth")
	}
}
