package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errElsewhere is about a line of /etc/passwd.
var errElsewhere = errors.New("x stands for a hash in /etc/shadow: take it from there, or make one with " +
	"`imapproxy passwd`")

// otherSchemes are Dovecot's and LDAP's schemes that can't be verified here.
var otherSchemes = []string{"SHA", "SHA1", "SHA256", "SHA512", "MD5", "SMD5", "LDAP-MD5", "PLAIN-MD5", "PLAIN-MD4",
	"PLAIN-TRUNC", "DES-CRYPT", "CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "OTP", "NTLM",
	"LANMAN"}

// unknownScheme is the error about a scheme that is not read. It names the scheme only
// if it is a known one: it may be a password.
func unknownScheme(scheme string) error {
	name, coded := strings.CutSuffix(strings.TrimSuffix(scheme, ".HEX"), ".B64")
	coded = coded || strings.HasSuffix(scheme, ".HEX")
	if slices.Contains(otherSchemes, name) || coded && (cryptSchemes[name] != "" || saltedSchemes[name] != nil) {
		return fmt.Errorf("unknown {SCHEME}: {%s} can't be verified here: make a new hash with `imapproxy passwd`",
			scheme)
	}
	return errScheme
}

// otherHashes are beginnings of modular crypt hashes that can't be verified here.
var otherHashes = []struct{ begin, what string }{
	{"$apr1$", "Apache's $apr1$, which htpasswd makes without -B"},
	{"$md5$", "Sun's $md5$"}, {"$md5,", "Sun's $md5$"}, {"$sha1$", "NetBSD's $sha1$"},
	{"$3$", "Windows' $3$"}, {"$7$", "the $7$ form of scrypt"}, {"$gy$", "gost-yescrypt"},
	{"$2$", "the old $2$ form of bcrypt"},
}

// unreadable is the error about a text that begins with $.
func unreadable(text string) error {
	for _, other := range otherHashes {
		if strings.HasPrefix(text, other.begin) {
			return fmt.Errorf("the hash can't be verified: it is %s: make a new one with `imapproxy passwd`",
				other.what)
		}
	}
	return errDamaged
}

// notHash is the error about a text that is no hash of a form that is read.
func notHash(text string) error {
	if n, err := hex.DecodeString(text); err == nil && slices.Contains([]int{16, 20, 28, 32, 48, 64}, len(n)) {
		return errBareDigest
	}
	return errNotHash
}

var errBareDigest = errors.New("the second field is not a password hash that can be verified, but looks like a " +
	"digest without salt: make a new one with `imapproxy passwd`")
