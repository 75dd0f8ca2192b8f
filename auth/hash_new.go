package auth

import (
	"fmt"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// hashCosts is what new hashes cost those who guess, and every login.
type hashCosts struct {
	argon2Memory uint32 // KiB
	argon2Passes int
	bcrypt       int // log2 of the rounds
	shaRounds    int
}

// standardCosts: argon2id by OWASP's smaller profile, since every first login
// takes the memory and a core; bcrypt and SHA-crypt cost several times as much time.
func standardCosts() hashCosts {
	return hashCosts{argon2Memory: 19 << 10, argon2Passes: 2, bcrypt: 12, shaRounds: 200_000}
}

// Schemes lists what HashPassword can make, the default first.
func Schemes() []string { return []string{"argon2id", "bcrypt", "sha512-crypt"} }

// HashPassword makes the hash of a new password as a user file holds it, in
// modular crypt format. An empty scheme is the default. A password that no
// login could carry, or that the scheme would cut, is an error; no error holds
// the password.
func HashPassword(secret Secret, scheme string) (string, error) {
	return hashPassword(secret, scheme, standardCosts())
}

func hashPassword(secret Secret, scheme string, costs hashCosts) (string, error) {
	if flaw := secretFlaw(secret); flaw != "" {
		return "", fmt.Errorf("the password %s: choose another", flaw)
	}
	hasher, limit, err := costs.hasher(scheme)
	if err != nil {
		return "", err
	}
	if len(secret) > limit {
		return "", fmt.Errorf("%s takes at most %d bytes of a password: choose a shorter one, or the scheme %s", scheme,
			limit, Schemes()[0])
	}
	digest, err := hasher.Hash(string(secret))
	if err != nil {
		return "", fmt.Errorf("%s: %w", scheme, err)
	}
	return digest.Encode(), nil
}

// hasher returns the hash of a scheme and the longest password in bytes that it takes.
func (c hashCosts) hasher(scheme string) (h algorithm.Hash, limit int, err error) {
	switch scheme {
	case "", "argon2id":
		h, err = argon2.New(argon2.WithVariantID(), argon2.WithM(c.argon2Memory), argon2.WithT(c.argon2Passes),
			argon2.WithP(1))
		return h, maxSecret, err
	case "bcrypt":
		h, err = bcrypt.New(bcrypt.WithCost(c.bcrypt))
		return h, bcrypt.PasswordInputSizeMax, err
	case "sha512-crypt":
		h, err = shacrypt.New(shacrypt.WithSHA512(), shacrypt.WithIterations(c.shaRounds))
		return h, maxCryptSecret, err
	}
	return nil, 0, fmt.Errorf("unknown scheme %q: there are %s", scheme, strings.Join(Schemes(), ", "))
}
