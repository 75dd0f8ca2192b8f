package convert

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// haveSuites says which suites there are.
const haveSuites = "imapproxy has ECDHE with AES or CHACHA20: write names such as ECDHE-RSA-AES128-GCM-SHA256, or " +
	"ECDHE+AESGCM:ECDHE+CHACHA20"

// ciphers converts a cipher list of OpenSSL. The names are nil when it holds all
// suites that imapproxy has.
func (n *notes) ciphers(at *statement, text string) (names []string, good bool) {
	list, err := readCipherList(text)
	if err != nil {
		n.refuse(at, "%v", err)
		return nil, false
	}
	status, texts := Converted, []string{"it holds all of imapproxy's suites, which are ECDHE with AES or CHACHA20"}
	switch {
	case len(list.chosen) == 0 && len(list.unknown) > 0:
		n.refuse(at, "OpenSSL does not know %s and skips it, and without it no suite is left: %s",
			joinWords(list.unknown), haveSuites)
		return nil, false
	case len(list.chosen) == 0:
		n.refuse(at, "no suite is left that is known here: %s", haveSuites)
		return nil, false
	case len(list.chosen) < len(openSSLSuites):
		for _, suite := range list.chosen {
			names = append(names, tls.CipherSuiteName(suite.id))
		}
		texts[0] = "tls_ciphers with those of its suites that imapproxy has, which are ECDHE with AES or CHACHA20"
	}
	if len(list.unknown) > 0 {
		texts = append(texts, joinWords(list.unknown)+" skipped, as OpenSSL does, which has no such word: look for a "+
			"typing error")
	}
	if len(list.former) > 0 {
		texts = append(texts, joinWords(list.former)+" skipped, as OpenSSL 3 does, which no longer has it")
	}
	if list.level >= 3 {
		status = Differs
		texts = append(texts, fmt.Sprintf("@SECLEVEL=%d also bounds keys, signatures and versions, which imapproxy "+
			"does not look at", list.level))
	}
	n.note(at, status, "%s", strings.Join(texts, "; "))
	return names, true
}

// joinWords lists words, each once.
func joinWords(words []string) string {
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// tlsCiphers converts ssl_ciphers.
func (c *nginxConverter) tlsCiphers(s *draft) {
	from := s.one("ssl_ciphers")
	if from == nil || !s.hasTLS() {
		return
	}
	if names, good := c.ciphers(from, from.args[0]); good && names != nil {
		s.add("tls_ciphers", list(names), from)
	}
}
