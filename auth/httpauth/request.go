package httpauth

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"imapproxy/auth"
)

// method is what the protocol calls a mechanism, "" for one that it can't
// carry; the names for tokens are freenginx's.
func method(mechanism string) string {
	switch mechanism {
	case "LOGIN", "PLAIN":
		return "plain"
	case auth.CramMD5, auth.External, auth.XOAuth2, auth.OAuthBearer:
		return strings.ToLower(mechanism)
	}
	return ""
}

// request makes the question. The headers are nginx's, in nginx's spelling,
// and Client-Port.
func (c *Client) request(ctx context.Context, r *auth.Request) *http.Request {
	h := make(http.Header, mostHeaders+len(c.options.Header))
	for name, values := range c.options.Header {
		h[name] = values
	}
	values := make([]string, 0, mostHeaders) // one allocation for all
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if h["User-Agent"] == nil {
		set("User-Agent", "imapproxy")
	}
	set("Auth-Method", method(r.Mechanism))
	set("Auth-User", escape(r.User))
	set("Auth-Pass", escape(string(r.Secret)))
	if r.Mechanism == auth.CramMD5 {
		set("Auth-Salt", escape(r.Salt))
	}
	set("Auth-Protocol", "imap")
	set("Auth-Login-Attempt", strconv.Itoa(max(r.Attempt, 1)))
	if !r.Client.IsValid() {
		set("Client-IP", "unix:") // nginx's word
	} else {
		set("Client-IP", r.Client.Addr().Unmap().WithZone("").String())
		set("Client-Port", strconv.Itoa(int(r.Client.Port())))
	}
	if p := r.Proxied; p != nil {
		set("Proxy-Protocol-Addr", p.Client.Addr().Unmap().WithZone("").String())
		set("Proxy-Protocol-Port", strconv.Itoa(int(p.Client.Port())))
		set("Proxy-Protocol-Server-Addr", p.Server.Addr().Unmap().WithZone("").String())
		set("Proxy-Protocol-Server-Port", strconv.Itoa(int(p.Server.Port())))
	}
	if r.TLS != nil {
		set("Auth-SSL", "on")
		set("Auth-SSL-Protocol", tlsVersion(r.TLS.Version))
		set("Auth-SSL-Cipher", OpenSSLName(tls.CipherSuiteName(r.TLS.CipherSuite)))
	}
	if r.TLS == nil && r.TLSInFront {
		set("Auth-SSL", "on")
	}
	c.certificate(r, set)
	q := &http.Request{Method: http.MethodGet, URL: c.target.url, Host: c.target.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	return q.WithContext(ctx)
}

// mostHeaders is how many headers a question has besides those of the options.
const mostHeaders = 24

// certificate tells of the client's certificate.
func (c *Client) certificate(r *auth.Request, set func(name, value string)) {
	if r.TLS == nil || r.TLSVerify == "" {
		return
	}
	set("Auth-SSL-Verify", strings.Map(printableOnly, r.TLSVerify))
	if len(r.TLS.PeerCertificates) == 0 {
		return
	}
	leaf := r.TLS.PeerCertificates[0]
	if c.options.PassCertificate {
		set("Auth-SSL-Cert", escape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))))
	}
	fingerprint := sha1.Sum(leaf.Raw)
	for name, value := range map[string]string{
		"Auth-SSL-Subject": leaf.Subject.String(), "Auth-SSL-Issuer": leaf.Issuer.String(),
		"Auth-SSL-Serial": serial(leaf.SerialNumber), "Auth-SSL-Fingerprint": hex.EncodeToString(fingerprint[:]),
	} {
		if value != "" {
			set(name, strings.Map(printableOnly, value))
		}
	}
}

// serial is a serial number as OpenSSL writes it: whole bytes.
func serial(n *big.Int) string {
	if n.Sign() == 0 {
		return "00"
	}
	return fmt.Sprintf("%X", n.Bytes())
}

// printableOnly drops what would end a header: a subject may hold anything.
func printableOnly(c rune) rune {
	if c < ' ' || c == 0x7F {
		return -1
	}
	return c
}

// escape is nginx's for mail: 0x00 to 0x1F, space and % become %XX in upper
// case, every other byte goes as it is. Control bytes do not get here.
func escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '%' }) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// tlsVersion is OpenSSL's name, which is what nginx sends.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	}
	return "TLSv1.3"
}

// OpenSSLName turns a cipher suite's IANA name into OpenSSL's; those of TLS 1.3
// are the same.
func OpenSSLName(iana string) string {
	exchange, cipher, found := strings.Cut(strings.TrimPrefix(iana, "TLS_"), "_WITH_")
	if !found {
		return iana
	}
	cipher = strings.NewReplacer(
		"CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305",
		"3DES_EDE_CBC", "DES-CBC3",
		"AES_128_CBC", "AES128", "AES_256_CBC", "AES256",
		"AES_128", "AES128", "AES_256", "AES256",
		"RC4_128", "RC4",
		"_", "-",
	).Replace(cipher)
	if exchange == "RSA" { // OpenSSL does not name it
		return cipher
	}
	return strings.ReplaceAll(exchange, "_", "-") + "-" + cipher
}
