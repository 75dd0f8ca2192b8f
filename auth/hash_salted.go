package auth

import (
	"crypto/sha1" // #nosec G505 -- {SSHA} is what old directories hold; it is warned of
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	stdhash "hash"
)

// saltedSchemes are LDAP's salted digests: base64 of the digest over password
// and salt, followed by the salt.
var saltedSchemes = map[string]func() stdhash.Hash{
	"SSHA":    sha1.New,
	"SSHA256": sha256.New,
	"SSHA512": sha512.New,
}

func saltedHash(scheme, text string) (*hash, error) {
	sum := saltedSchemes[scheme]
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) <= sum().Size() {
		return nil, errDamaged
	}
	want, salt := raw[:sum().Size()], raw[sum().Size():]
	return &hash{
		kind: scheme,
		weak: "{" + scheme + "} is computed a billion times a second by those who guess",
		verify: func(s Secret) (bool, error) {
			h := sum()
			h.Write([]byte(s))
			h.Write(salt)
			return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1, nil
		},
	}, nil
}

func plainHash(text string) (*hash, error) {
	if flaw := secretFlaw(Secret(text)); flaw != "" {
		return nil, errEmptyHash
	}
	want := sha256.Sum256([]byte(text))
	return &hash{
		kind: "PLAIN",
		weak: "the password itself is in the file",
		verify: func(s Secret) (bool, error) {
			got := sha256.Sum256([]byte(s)) // equal lengths, so that the time tells nothing
			return subtle.ConstantTimeCompare(got[:], want[:]) == 1, nil
		},
	}, nil
}
