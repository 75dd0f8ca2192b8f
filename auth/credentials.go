package auth

import (
	"fmt"
	"strings"
)

// Longest credentials taken, in bytes. A name has to fit a line of any backend;
// a secret may be a token.
const (
	maxName   = 512
	maxSecret = 4096
	maxToken  = 16 << 10
)

// CheckCredentials refuses, with a *Denied, what no authenticator may ever see:
// an empty user or secret (many directories take an empty password for an
// anonymous login), the control bytes 0x00 to 0x1F and 0x7F (they smuggle lines
// and fields into the protocols of backends), a user or authzID of more than 512
// bytes and a secret of more than 4096. An empty authzID is fine. Nothing has been
// checked then, so the client reads what is wrong, and not that the password is.
func CheckCredentials(user, authzID string, secret Secret) error {
	return checkCredentials(user, authzID, secret, maxSecret)
}

func checkCredentials(user, authzID string, secret Secret, most int) error {
	if flaw := nameFlaw(user); flaw != "" {
		return malformed("user name", flaw)
	}
	if authzID != "" {
		if flaw := nameFlaw(authzID); flaw != "" {
			return malformed("authorization identity", flaw)
		}
	}
	if flaw := flaw(string(secret), most); flaw != "" {
		return malformed("password", flaw)
	}
	return nil
}

// malformed refuses what can't be checked.
func malformed(what, flaw string) error {
	return &Denied{Code: codeMalformed, Text: "The " + what + " " + flaw, Log: what + " " + flaw}
}

// mostSecret is the longest secret that a mechanism takes, in bytes.
func mostSecret(mechanism string) int {
	if IsToken(mechanism) {
		return maxToken
	}
	return maxSecret
}

// Check is CheckCredentials for a request. Under EXTERNAL the client's
// certificate stands for the secret, and no user may act for another.
func (r *Request) Check() error {
	if r.Mechanism != External {
		return checkCredentials(r.User, r.AuthzID, r.Secret, mostSecret(r.Mechanism))
	}
	if err := CheckCredentials(r.User, r.AuthzID, "unused"); err != nil {
		return err
	}
	if r.Secret != "" || (r.AuthzID != "" && r.AuthzID != r.User) {
		return &Denied{Code: codeAuthorization, Log: "the certificate is another user's"}
	}
	return nil
}

// nameFlaw says what is wrong with a user name, in words that follow what was
// checked; "" when nothing is.
func nameFlaw(name string) string { return flaw(name, maxName) }

// secretFlaw is nameFlaw for a password.
func secretFlaw(s Secret) string { return flaw(string(s), maxSecret) }

func flaw(s string, most int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > most:
		return fmt.Sprintf("is longer than %d bytes", most)
	case hasControl(s):
		return "holds a control byte"
	}
	return ""
}

// hasControl reports bytes 0x00 to 0x1F and 0x7F. None of them is part of a
// longer UTF-8 sequence, so looking at runes finds every such byte.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7F })
}
