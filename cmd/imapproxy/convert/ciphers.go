package convert

import (
	"crypto/tls"
	"errors"
	"fmt"
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
	"EECDH": {"ECDHE"}, "kECDHE": {"ECDHE"}, "kEECDH": {"ECDHE"}, "ECDH": {"ECDHE"},
	"ECDSA": {"aECDSA"}, "SHA": {"SHA1"}, "AES": {"AES128", "AES256"}, "FIPS": {"AES128", "AES256"},
	"TLSv1.2": {"AESGCM", "CHACHA20"}, "TLSv1.0": {"CBC"}, "TLSv1": {"CBC"}, "ALL": {"HIGH"},
}

// foreignWords are words of cipher lists that hold none of Go's suites, joined
// by spaces.
const foreignWords = "aNULL eNULL NULL DH COMPLEMENTOFALL COMPLEMENTOFDEFAULT LOW MEDIUM SSLv3 3DES MD5 SHA256 " +
	"SHA384 CAMELLIA CAMELLIA128 CAMELLIA256 ARIA ARIA128 ARIA256 ARIAGCM AESCCM AESCCM8 RSA kRSA DHE EDH kDHE kEDH " +
	"ADH AECDH aDSS DSS PSK kPSK aPSK kECDHEPSK kDHEPSK kRSAPSK SRP kSRP aSRP"

// formerWords are words that older releases of OpenSSL knew, or that only some
// builds know. OpenSSL 3 skips them.
const formerWords = "SSLv2 EXP EXPORT EXPORT40 EXPORT56 DES RC4 RC2 IDEA SEED KRB5 kKRB5 aKRB5 FZA kFZA aFZA eFZA " +
	"kDH kDHr kDHd aDH kECDH kECDHr kECDHe aECDH " +
	"kGOST kGOST18 aGOST aGOST01 aGOST12 GOST94 GOST12 GOST89MAC GOST89MAC12 GOST2012 MAGMA KUZNYECHIK"

// suiteParts are what the names of OpenSSL's suites are made of, and
// formerParts those of suites that it no longer has.
const (
	suiteParts = "ECDHE ECDSA RSA DHE DSS ADH AECDH PSK SRP AES AES128 AES256 128 256 CHACHA20 POLY1305 " +
		"CAMELLIA128 CAMELLIA256 ARIA128 ARIA256 GCM CCM CCM8 CBC NULL SHA SHA256 SHA384 MD5"
	formerParts = "ECDH DH EDH CBC3 EXP EXP1024 RC4 RC2 DES 3DES EDE IDEA SEED KRB5 GOST94 GOST89 GOST2001 GOST2012 " +
		"GOST8912 MAGMA KUZNYECHIK OMAC"
)

// listed reports whether a word is one of some that spaces join.
func listed(words, word string) bool { return slices.Contains(strings.Fields(words), word) }

// tls13Suites are the suites of TLS 1.3, which a cipher list may name and does
// not choose.
var tls13Suites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
	"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"}

// has reports whether a suite is meant by one word of a cipher list.
func (s openSSLSuite) has(word string) bool {
	if s.name == word || tls.CipherSuiteName(s.id) == word {
		return true
	}
	words, alias := openSSLAliases[word]
	if !alias {
		words = []string{word}
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.words, w) })
}

// cipherWord is what OpenSSL makes of a word.
type cipherWord int

const (
	unknownWord cipherWord = iota
	formerWord
	knownWord
)

// kindOfCipherWord sorts a word.
func kindOfCipherWord(word string) cipherWord {
	switch _, alias := openSSLAliases[word]; {
	case alias, listed(foreignWords, word), slices.Contains(tls13Suites, word),
		slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.has(word) }):
		return knownWord
	case listed(formerWords, word):
		return formerWord
	case !strings.Contains(word, "-"):
		return unknownWord
	}
	former := false
	for part := range strings.SplitSeq(word, "-") {
		isFormer := listed(formerParts, part)
		if !isFormer && !listed(suiteParts, part) {
			return unknownWord
		}
		former = former || isFormer
	}
	if former {
		return formerWord
	}
	return knownWord
}

// cipherList is what a cipher list of OpenSSL comes to over Go's suites.
type cipherList struct {
	chosen  []openSSLSuite
	former  []string // words that are skipped
	unknown []string // words that are skipped, and may be typing errors
	level   int      // of @SECLEVEL; 0 for none

	killed map[uint16]bool
	rest   string // what is still to be read
}

// suiteB are the cipher lists that stand for a whole list of their own. The
// first that fits counts.
var suiteB = []struct{ prefix, list string }{
	{"SUITEB128ONLY", "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{"SUITEB128C2", "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{"SUITEB128", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"},
	{"SUITEB192", "ECDHE-ECDSA-AES256-GCM-SHA384"},
}

// readCipherList works a list of OpenSSL out, as SSL_CTX_set_cipher_list does:
// words joined by "+" all have to fit, "!" removes for good, "-" for now, a
// leading "+" only moves. DEFAULT counts only at the beginning. The error is one
// that OpenSSL reports too.
func readCipherList(text string) (*cipherList, error) {
	for _, b := range suiteB {
		if strings.HasPrefix(text, b.prefix) {
			text = b.list
			break
		}
	}
	c := &cipherList{killed: map[uint16]bool{}, rest: text}
	if after, found := strings.CutPrefix(text, "DEFAULT"); found {
		c.chosen = slices.Clone(openSSLSuites)
		c.rest = strings.TrimPrefix(after, ":")
	}
	for c.rest != "" {
		if cipherSeparator(rune(c.rest[0])) {
			c.rest = c.rest[1:]
			continue
		}
		if err := c.item(); err != nil {
			return nil, err
		}
	}
	if c.level >= 4 { // 192 bits
		c.chosen = slices.DeleteFunc(c.chosen, func(s openSSLSuite) bool { return s.has("AES128") || s.has("SHA1") })
	}
	return c, nil
}

func cipherSeparator(r rune) bool { return strings.ContainsRune(": ;,", r) }

// word takes the next word off the rest.
func (c *cipherList) word() (string, error) {
	end := strings.IndexFunc(c.rest, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.=", r)
	})
	if end < 0 {
		end = len(c.rest)
	}
	if end == 0 {
		return "", fmt.Errorf("OpenSSL rejects it at %q, where a word has to stand", shorten(c.rest))
	}
	word := c.rest[:end]
	c.rest = c.rest[end:]
	return word, nil
}

// item reads one rule and applies it.
func (c *cipherList) item() error {
	operator := byte(0)
	if strings.IndexByte("!-+@", c.rest[0]) >= 0 {
		operator, c.rest = c.rest[0], c.rest[1:]
	}
	var words []string
	for {
		if c.rest == "" {
			return errors.New("OpenSSL rejects it: a word is missing at its end")
		}
		word, err := c.word()
		if err != nil {
			return err
		}
		if operator == '@' {
			return c.command(word)
		}
		switch kindOfCipherWord(word) {
		case unknownWord:
			c.unknown = append(c.unknown, word)
			c.skip()
			return nil
		case formerWord:
			c.former = append(c.former, word)
			c.skip()
			return nil
		}
		words = append(words, word)
		more, joined := strings.CutPrefix(c.rest, "+")
		c.rest = more
		if !joined {
			c.apply(operator, words)
			return nil
		}
	}
}

// skip goes to the next separator.
func (c *cipherList) skip() {
	end := strings.IndexFunc(c.rest, cipherSeparator)
	if end < 0 {
		end = len(c.rest)
	}
	c.rest = c.rest[end:]
}

// command takes what stands after "@".
func (c *cipherList) command(word string) error {
	level, isLevel := strings.CutPrefix(word, "SECLEVEL=")
	switch {
	case word == "STRENGTH": // sorts
	case isLevel && len(level) == 1 && level[0] >= '0' && level[0] <= '5':
		c.level = int(level[0] - '0')
	default:
		return fmt.Errorf("OpenSSL rejects @%s: it has @STRENGTH and @SECLEVEL=0 to @SECLEVEL=5", word)
	}
	c.skip()
	return nil
}

// apply does what a rule says to the suites that have all its words.
func (c *cipherList) apply(operator byte, words []string) {
	for _, suite := range openSSLSuites {
		if slices.ContainsFunc(words, func(w string) bool { return !suite.has(w) }) {
			continue
		}
		at := slices.IndexFunc(c.chosen, func(s openSSLSuite) bool { return s.id == suite.id })
		switch {
		case operator == '!':
			c.killed[suite.id] = true
			fallthrough
		case operator == '-':
			if at >= 0 {
				c.chosen = slices.Delete(c.chosen, at, at+1)
			}
		case operator == 0 && at < 0 && !c.killed[suite.id]:
			c.chosen = append(c.chosen, suite)
		}
	}
}
