package auth

import (
	"fmt"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// bound is a cost parameter and what it may be. The least values keep out
// hashes that the algorithm can't compute, the greatest ones hashes that would
// hold a core or the memory for a minute at every login.
type bound struct {
	name            string
	value, min, max int
	derived         bool // follows from the others: not part of the kind
}

const (
	maxMemory = 1 << 20 // KiB: 1 GiB
	maxWork   = 8 << 20 // KiB times passes
)

// boundedKind names the kind of a hash (algorithm and cost), and refuses costs
// that are absurd, and salts and keys that can't be right.
func boundedKind(d algorithm.Digest, text string) (string, error) {
	name, bounds, minKey := digestBounds(d, text)
	if name == "" || len(d.Salt()) == 0 || len(d.Key()) < minKey || len(d.Key()) > 512 {
		return "", errDamaged
	}
	kind := make([]string, 0, len(bounds))
	for _, b := range bounds {
		if b.value < b.min || b.value > b.max {
			return "", fmt.Errorf("%s: %s is %d, not in %d to %d: make a new hash with `imapproxy passwd`", name,
				b.name, b.value, b.min, b.max)
		}
		if !b.derived {
			kind = append(kind, fmt.Sprintf("%s=%d", b.name, b.value))
		}
	}
	return strings.TrimSpace(name + " " + strings.Join(kind, " ")), nil
}

// digestBounds returns an algorithm's name, its costs and the least length of its
// key in bytes; "" for what can't be read. The costs are read from the digest's
// own encoding, where a parameter that was given twice stands once.
func digestBounds(d algorithm.Digest, text string) (name string, bounds []bound, minKey int) {
	parts := strings.Split(d.Encode(), "$")
	if len(parts) < 4 {
		return "", nil, 0
	}
	switch d.(type) {
	case *argon2.Digest:
		return argon2Bounds(parts)
	case *bcrypt.Digest:
		return bcryptBounds(parts, len(d.Salt()))
	case *shacrypt.Digest:
		return shaCryptBounds(parts, len(d.Salt()))
	case *scrypt.Digest:
		return scryptBounds(parts, text)
	case *pbkdf2.Digest:
		n, ok := scan(parts[2], "%d", 1)
		return nameIf(ok, parts[1]), []bound{{name: "iterations", value: n[0], min: 1, max: 10_000_000}}, 16
	case *md5crypt.Digest:
		return "md5-crypt", nil, 22
	}
	return "", nil, 0
}

func argon2Bounds(parts []string) (string, []bound, int) {
	n, ok := scan(parts[3], "m=%d,t=%d,p=%d", 3)
	return nameIf(ok, parts[1]), []bound{
		{name: "memory", value: n[0], min: 8, max: maxMemory},
		{name: "passes", value: n[1], min: 1, max: 100},
		{name: "lanes", value: n[2], min: 1, max: 64},
		{name: "memory times passes", value: n[0] * n[1], min: 8, max: maxWork, derived: true},
	}, 16
}

func bcryptBounds(parts []string, saltLen int) (string, []bound, int) {
	format, cost := "%d", parts[2]
	if parts[1] == bcrypt.AlgIdentifierVariantSHA256 {
		format, cost = "r=%d", cost[strings.LastIndexByte(cost, ',')+1:]
	}
	n, ok := scan(cost, format, 1)
	return nameIf(ok && saltLen == 16, "bcrypt"), []bound{{name: "cost", value: n[0], min: 4, max: 16}}, 31
}

func shaCryptBounds(parts []string, saltLen int) (string, []bound, int) {
	rounds, ok := []int{shacrypt.IterationsDefaultOmitted}, true
	if strings.HasPrefix(parts[2], "rounds=") {
		rounds, ok = scan(parts[2], "rounds=%d", 1)
	}
	name, minKey := "sha256-crypt", 43
	if parts[1] == shacrypt.AlgIdentifierSHA512 {
		name, minKey = "sha512-crypt", 86
	}
	ok = ok && saltLen <= shacrypt.SaltLengthMax
	return nameIf(ok, name), []bound{{name: "rounds", value: rounds[0], min: shacrypt.IterationsMin, max: 5_000_000}},
		minKey
}

// scryptBounds reads yescrypt's setting from the text itself: the library
// encodes one that it could not read as another one.
func scryptBounds(parts []string, text string) (string, []bound, int) {
	name, n, ok := "scrypt", []int{0, 0, 1}, true
	if parts[1] == scrypt.AlgIdentifierYescrypt {
		const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		setting := strings.Split(text, "$")[2]
		name, ok = "yescrypt", len(setting) == 3
		if ok {
			n[0], n[1] = strings.IndexByte(digits, setting[1])+1, strings.IndexByte(digits, setting[2])+1
		}
	} else {
		n, ok = scan(parts[2], "ln=%d,r=%d,p=%d", 3)
	}
	return nameIf(ok, name), []bound{
		{name: "log2(N)", value: n[0], min: 1, max: 20},
		{name: "block size", value: n[1], min: 1, max: 64},
		{name: "parallelism", value: n[2], min: 1, max: 16},
		// 128 bytes times N times r, in KiB
		{name: "memory", value: (n[1] << min(max(n[0], 0), 30)) / 8, min: 0, max: maxMemory, derived: true},
	}, 16
}

// scan reads count numbers by a format of %d; the slice has count members even
// when it could not.
func scan(s, format string, count int) ([]int, bool) {
	n, pointers := make([]int, count), make([]any, count)
	for i := range n {
		pointers[i] = &n[i]
	}
	_, err := fmt.Sscanf(s, format, pointers...)
	return n, err == nil
}

func nameIf(ok bool, name string) string {
	if !ok {
		return ""
	}
	return name
}
