package convert

import (
	"crypto/tls"
	"slices"
	"strings"
)

// openSSLSuite is a TLS 1.2 suite that Go has, with OpenSSL's name and the
// words of OpenSSL's cipher lists that hold it (openssl-ciphers(1)).
type openSSLSuite struct {
	id    uint16
	name  string
	words []string
}

var openSSLSuites = []openSSLSuite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256",
		[]string{"HIGH", "ECDHE", "aECDSA", "AES128", "AESGCM"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256",
		[]string{"HIGH", "ECDHE", "aRSA", "AES128", "AESGCM"}},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384",
		[]string{"HIGH", "ECDHE", "aECDSA", "AES256", "AESGCM"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384",
		[]string{"HIGH", "ECDHE", "aRSA", "AES256", "AESGCM"}},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-ECDSA-CHACHA20-POLY1305", []string{"HIGH", "ECDHE", "aECDSA", "CHACHA20"}},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-RSA-CHACHA20-POLY1305", []string{"HIGH", "ECDHE", "aRSA", "CHACHA20"}},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA",
		[]string{"HIGH", "ECDHE", "aECDSA", "AES128", "SHA1", "CBC"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA",
		[]string{"HIGH", "ECDHE", "aRSA", "AES128", "SHA1", "CBC"}},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA",
		[]string{"HIGH", "ECDHE", "aECDSA", "AES256", "SHA1", "CBC"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA",
		[]string{"HIGH", "ECDHE", "aRSA", "AES256", "SHA1", "CBC"}},
}

// openSSLAliases are other words for the same, and words for several.
var openSSLAliases = map[string][]string{
	"EECDH": {"ECDHE"}, "kECDHE": {"ECDHE"}, "kEECDH": {"ECDHE"}, "ECDSA": {"aECDSA"}, "SHA": {"SHA1"},
	"AES":     {"AES128", "AES256"},
	"TLSv1.2": {"AESGCM", "CHACHA20"}, "TLSv1.0": {"CBC"}, "TLSv1": {"CBC"}, "SSLv3": nil,
	"ALL": {"HIGH"}, "DEFAULT": {"HIGH"}, "COMPLEMENTOFDEFAULT": nil,
}

// foreignWords are words of cipher lists that hold none of Go's suites.
var foreignWords = []string{
	"aNULL", "eNULL", "NULL", "EXP", "EXPORT", "LOW", "MEDIUM", "DES", "3DES", "RC4", "RC2", "IDEA", "SEED", "CAMELLIA",
	"CAMELLIA128", "CAMELLIA256",
	"ARIA", "ARIA128", "ARIA256", "ARIAGCM", "AESCCM", "AESCCM8", "MD5", "PSK", "kPSK", "aPSK", "ECDHEPSK", "kECDHEPSK",
	"kDHEPSK", "kRSAPSK", "SRP",
	"kSRP", "aSRP", "DH", "DHE", "EDH", "kDHE", "kEDH", "ADH", "AECDH", "kRSA", "RSA", "aDSS", "DSS", "kGOST", "aGOST",
	"aGOST01", "GOST94", "GOST89MAC",
	"kDH", "aDH", "kECDH", "aECDH", "ECDH", "KRB5", "FIPS", "SUITEB128", "SUITEB192", "STREEBOG256", "SHA256", "SHA384",
	"DES-CBC3-SHA",
}

// has reports whether a suite is meant by one word of a cipher list.
func (s openSSLSuite) has(word string) bool {
	if s.name == word {
		return true
	}
	words, alias := openSSLAliases[word]
	if !alias {
		words = []string{word}
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.words, w) })
}

// cipherList works a list of OpenSSL out over Go's suites: words joined by "+"
// all have to fit, "!" removes for good, "-" for now, a leading "+" only moves.
func cipherList(text string) (chosen []openSSLSuite, unknown []string) {
	killed := map[uint16]bool{}
	for _, item := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		if strings.HasPrefix(item, "@") {
			continue // STRENGTH sorts, SECLEVEL is about keys
		}
		operator, words := byte(0), item
		if strings.ContainsRune("!-+", rune(item[0])) {
			operator, words = item[0], item[1:]
		}
		if !knownCipherWords(words) {
			unknown = append(unknown, item)
		}
		for _, suite := range openSSLSuites {
			if !fitsAll(suite, words) {
				continue
			}
			at := slices.IndexFunc(chosen, func(c openSSLSuite) bool { return c.id == suite.id })
			switch {
			case operator == '!':
				killed[suite.id] = true
				fallthrough
			case operator == '-':
				if at >= 0 {
					chosen = slices.Delete(chosen, at, at+1)
				}
			case operator == 0 && at < 0 && !killed[suite.id]:
				chosen = append(chosen, suite)
			}
		}
	}
	return chosen, unknown
}

// fitsAll reports whether a suite has every word of A+B+C.
func fitsAll(suite openSSLSuite, words string) bool {
	for word := range strings.SplitSeq(words, "+") {
		if !suite.has(word) {
			return false
		}
	}
	return true
}

// knownCipherWords reports whether every word means something to OpenSSL. A
// suite's name is told by its hyphen: those of Go are known, others Go lacks.
func knownCipherWords(words string) bool {
	for word := range strings.SplitSeq(words, "+") {
		_, alias := openSSLAliases[word]
		if alias || strings.Contains(word, "-") || slices.Contains(foreignWords, word) ||
			slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.has(word) }) {
			continue
		}
		return false
	}
	return true
}

// tlsCiphers converts ssl_ciphers.
func (c *nginxConverter) tlsCiphers(s *draft) {
	from := s.one("ssl_ciphers")
	if from == nil || !s.hasTLS() {
		return
	}
	chosen, unknown := cipherList(from.args[0])
	switch {
	case len(unknown) > 0:
		c.refuse(from, "%s is not known: write OpenSSL's names of suites", strings.Join(unknown, ", "))
		return
	case len(chosen) == 0:
		c.refuse(from, "imapproxy has none of these suites: it has ECDHE with AES or CHACHA20, such as "+
			"ECDHE-RSA-AES128-GCM-SHA256")
		return
	case len(chosen) == len(openSSLSuites):
		c.note(from, Converted, "it holds all of imapproxy's suites, which are ECDHE with AES or CHACHA20")
		return
	}
	names := make([]string, len(chosen))
	for i, suite := range chosen {
		names[i] = tls.CipherSuiteName(suite.id)
	}
	s.add("tls_ciphers", list(names), from)
	c.note(from, Converted,
		"tls_ciphers with those of its suites that imapproxy has, which are ECDHE with AES or CHACHA20")
}
