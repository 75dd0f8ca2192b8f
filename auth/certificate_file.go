package auth

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CertificateUsers finds the user of a client's certificate.
type CertificateUsers struct {
	From     CertificateName
	names    map[string]string // from what stands in a certificate to the user; nil: that is the user
	warnings []string
}

// NewCertificateUsers makes the mapping. text, when it is not "", holds a line
// "USER WHAT-THE-CERTIFICATE-SAYS" for each certificate, with # comments; the
// error joins the faults of all lines, each with its line. Subjects and
// fingerprints are never names of users by themselves and need it.
func NewCertificateUsers(from CertificateName, file, text string) (*CertificateUsers, error) {
	u := &CertificateUsers{From: from}
	if file == "" {
		return u, nil
	}
	u.names = map[string]string{}
	faults := lineFaults{path: file}
	number, warned := 0, 0
	for line := range strings.Lines(text) {
		number++
		odd, err := u.add(strings.TrimSpace(line))
		faults.add(number, err)
		if odd == "" {
			continue
		}
		if warned++; warned <= maxCertificateWarnings {
			u.warnings = append(u.warnings, fmt.Sprintf("%s:%d: %s", file, number, odd))
		}
	}
	if more := warned - maxCertificateWarnings; more > 0 {
		u.warnings = append(u.warnings, fmt.Sprintf("%s: and %d more warnings", file, more))
	}
	return u, faults.join()
}

const maxCertificateWarnings = 50

// Warnings returns what in the file was hardly meant as it is written, each with
// file and line.
func (u *CertificateUsers) Warnings() []string { return u.warnings }

// add takes a line; odd says what looks like something else in it.
func (u *CertificateUsers) add(line string) (odd string, err error) {
	if line == "" || line[0] == '#' {
		return "", nil
	}
	user, says, _ := strings.Cut(line, " ")
	says = u.normal(strings.TrimSpace(says))
	switch {
	case says == "":
		return "", errors.New("write a line as: USER " + strings.ToUpper(string(u.From)))
	case nameFlaw(user) != "":
		return "", errors.New("the user name " + nameFlaw(user))
	case u.From == FromFingerprint && !isFingerprint(says) && isFingerprint(u.normal(user)):
		return "", errors.New("the fingerprint stands before the user: write USER FINGERPRINT")
	case u.From == FromFingerprint && !isFingerprint(says):
		return "", errors.New("a fingerprint is 64 (SHA-256) or 40 (SHA-1) hexadecimal digits")
	case u.names[says] != "":
		return "", errors.New("a second line for the same certificate")
	}
	u.names[says] = user
	return u.odd(user, says), nil
}

func isFingerprint(says string) bool {
	sum, err := hex.DecodeString(says)
	return err == nil && (len(sum) == sha256.Size || len(sum) == sha1.Size)
}

// odd returns what is wrong with a line that no certificate can have, "" for others.
func (u *CertificateUsers) odd(user, says string) string {
	const rfc4514 = "write the subject as RFC 4514 does, such as CN=alice,O=Example: " +
		"openssl x509 -noout -subject -nameopt RFC2253 prints it"
	switch {
	case inQuotes(user):
		return "the quotes are part of the user's name: leave them out"
	case inQuotes(says):
		return "the quotes are part of what the certificate has to say: leave them out"
	case u.From == FromEmail && !strings.Contains(says, "@"):
		return fmt.Sprintf("%.80q is no address, so no certificate has it: write USER ADDRESS", says)
	case u.From == FromDNSName && strings.ContainsAny(says, "@/ ="):
		return fmt.Sprintf("%.80q is no host name, so no certificate has it: write USER HOST", says)
	case u.From == FromCommonName && strings.HasPrefix(strings.TrimLeft(says, "/"), "CN="):
		return "the common name is what stands after CN=: leave CN= out"
	case u.From == FromSubject && !isSubject(says):
		return rfc4514
	case u.From == FromSubject && otherAttribute(says) != "":
		return fmt.Sprintf("%.80q has no name in a subject here, so no certificate has this one: write from = "+
			`"fingerprint" for it`, otherAttribute(says))
	}
	return ""
}

var (
	escapedByte   = regexp.MustCompile(`\\.`)
	attributeName = regexp.MustCompile(`(?:^|[,+])([A-Za-z][A-Za-z0-9]*)=`)
)

// namedAttributes are those that package pkix writes by name; others are numbers there.
var namedAttributes = []string{"C", "O", "OU", "CN", "SERIALNUMBER", "L", "ST", "STREET", "POSTALCODE"}

// otherAttribute returns the name of an attribute that has none in pkix.Name.String, ""
// without one.
func otherAttribute(says string) string {
	for _, m := range attributeName.FindAllStringSubmatch(escapedByte.ReplaceAllString(says, ""), -1) {
		if !slices.Contains(namedAttributes, m[1]) {
			return m[1]
		}
	}
	return ""
}

// isSubject reports whether a text has the form of RFC 4514: no slashes before the
// parts and no spaces around "=" and after ",", as OpenSSL prints them.
func isSubject(says string) bool {
	first, _, found := strings.Cut(says, "=")
	spaced := strings.Contains(strings.ReplaceAll(says, `\,`, ""), ", ") || strings.Contains(says, " = ")
	return found && !spaced && !strings.HasPrefix(says, "/") && !strings.EqualFold(strings.TrimSpace(first), "subject")
}

// normal writes a fingerprint in one way: openssl has colons and capitals.
func (u *CertificateUsers) normal(says string) string {
	if u.From == FromFingerprint {
		return strings.ToLower(strings.ReplaceAll(says, ":", ""))
	}
	return says
}
