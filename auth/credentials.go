package auth

import "strings"

// Longest credentials taken, in bytes. A name has to fit a line of any backend;
// a secret may be a token.
const (
	maxName   = 512
	maxSecret = 4096
)

// CheckCredentials refuses, with a *Denied, what no authenticator may ever see:
// an empty user or secret (many directories take an empty password for an
// anonymous login), the control bytes 0x00 to 0x1F and 0x7F (they smuggle lines
// and fields into the protocols of backends), a user or authzID of more than 512
// bytes and a secret of more than 4096. An empty authzID is fine.
func CheckCredentials(user, authzID string, secret Secret) error {
	if flaw := nameFlaw(user); flaw != "" {
		return &Denied{Log: "user name " + flaw}
	}
	if authzID != "" {
		if flaw := nameFlaw(authzID); flaw != "" {
			return &Denied{Log: "authorization identity " + flaw}
		}
	}
	if flaw := secretFlaw(secret); flaw != "" {
		return &Denied{Log: "password " + flaw}
	}
	return nil
}

// Check is CheckCredentials for a request. Under EXTERNAL the client's
// certificate stands for the secret, and no user may act for another.
func (r *Request) Check() error {
	if r.Mechanism != External {
		return CheckCredentials(r.User, r.AuthzID, r.Secret)
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
func nameFlaw(name string) string { return flaw(name, maxName, "is longer than 512 bytes") }

// secretFlaw is nameFlaw for a secret.
func secretFlaw(s Secret) string { return flaw(string(s), maxSecret, "is longer than 4096 bytes") }

func flaw(s string, limit int, tooLong string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > limit:
		return tooLong
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
