package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// VerifiedCache remembers for a while that a password has been verified, so
// that the next login by it need not compute an expensive hash. It holds no
// password and no user: an entry is an HMAC, under a key that only this cache
// has, over all that the verification depended on. A changed hash, password or
// user name can't match. Passwords that were found wrong are not remembered.
//
// It is safe for concurrent use; nil remembers nothing.
type VerifiedCache struct {
	key      [sha256.Size]byte
	lifetime time.Duration // from the verification; use does not extend it
	now      func() time.Time
	until    *lru.Cache[verifiedEntry, time.Time]
	observer atomic.Pointer[func(hit bool)]
}

// verifiedEntry stands for one verification.
type verifiedEntry [sha256.Size]byte

// maxVerified bounds the entries, about 200 bytes each; the one used least
// recently goes first. A user can add one entry only, with the right password.
const maxVerified = 1 << 16

// NewVerifiedCache returns a cache whose entries live for lifetime; nil when that
// is 0. now is time.Now except in tests.
func NewVerifiedCache(lifetime time.Duration, now func() time.Time) *VerifiedCache {
	return newVerifiedCache(lifetime, now, maxVerified)
}

func newVerifiedCache(lifetime time.Duration, now func() time.Time, size int) *VerifiedCache {
	if lifetime <= 0 {
		return nil
	}
	until, err := lru.New[verifiedEntry, time.Time](size)
	if err != nil {
		return nil // only for a size that is not positive
	}
	c := &VerifiedCache{lifetime: lifetime, now: now, until: until}
	_, _ = rand.Read(c.key[:]) // never fails (crypto/rand)
	return c
}

// Observe has f called at each login that could have been answered from the
// cache, with whether it was.
func (c *VerifiedCache) Observe(f func(hit bool)) {
	if c != nil {
		c.observer.Store(&f)
	}
}

// Purge forgets everything.
func (c *VerifiedCache) Purge() {
	if c != nil {
		c.until.Purge()
	}
}

// entry stands for the verification of a user's password by a source: its stored
// hash is part of it. Each text goes in with its length, so that no two
// quadruples read the same.
func (c *VerifiedCache) entry(source, user, stored string, secret Secret) verifiedEntry {
	var e verifiedEntry
	if c == nil {
		return e
	}
	mac := hmac.New(sha256.New, c.key[:])
	for _, text := range [...]string{source, user, stored, string(secret)} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		mac.Write(length[:])
		mac.Write([]byte(text))
	}
	mac.Sum(e[:0])
	return e
}

// has reports whether an entry has been added and is not too old, which is
// observed.
func (c *VerifiedCache) has(e verifiedEntry) bool {
	if c == nil {
		return false
	}
	until, found := c.until.Get(e)
	if found && !c.now().Before(until) {
		c.until.Remove(e)
		return false
	}
	if found {
		c.observe(true)
	}
	return found
}

// add remembers a verification that went well.
func (c *VerifiedCache) add(e verifiedEntry) {
	if c != nil {
		c.until.Add(e, c.now().Add(c.lifetime))
	}
}

// observe counts a login.
func (c *VerifiedCache) observe(hit bool) {
	if c == nil {
		return
	}
	if f := c.observer.Load(); f != nil {
		(*f)(hit)
	}
}
