package auth

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNow is a clock that tests move.
type fakeNow struct {
	mu sync.Mutex
	t  time.Time
}

func (f *fakeNow) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.t
}

func (f *fakeNow) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.t = f.t.Add(d)
}

// An entry is found until its lifetime has passed since it was added, however
// often it is used.
func TestVerifiedCacheLifetime(t *testing.T) {
	clock := &fakeNow{t: time.Unix(1e9, 0)}
	c := NewVerifiedCache(5*time.Minute, clock.now)
	e := c.entry("file:users", "bob", hashSHA, canary)
	if c.has(e) {
		t.Error("found before it was added")
	}
	c.add(e)
	for _, step := range []struct {
		pass time.Duration
		want bool
	}{{0, true}, {4 * time.Minute, true}, {time.Minute - 1, true}, {1, false}, {0, false}} {
		clock.pass(step.pass)
		if got := c.has(e); got != step.want {
			t.Errorf("after %s more: %v, want %v", step.pass, got, step.want)
		}
	}
	if c.until.Len() != 0 {
		t.Error("what is too old was kept")
	}
	c.add(e)
	if c.Purge(); c.has(e) {
		t.Error("found after Purge")
	}
}

// Every part is in the key, and where one ends and the next begins; and the key
// is the cache's own.
func TestVerifiedCacheKey(t *testing.T) {
	c := NewVerifiedCache(time.Minute, time.Now)
	seen := map[verifiedEntry]string{}
	for _, q := range [][4]string{
		{"f", "bob", "$h", "pw"}, {"g", "bob", "$h", "pw"}, {"f", "eve", "$h", "pw"}, {"f", "bob", "$i", "pw"},
		{"f", "bob", "$h", "pW"}, {"fb", "ob", "$h", "pw"}, {"f", "bob$", "h", "pw"}, {"f", "bob", "$hp", "w"},
		{"", "fbob", "$h", "pw"}, {"f", "bob", "$h", "pw\x00"}, {"f", "bob", "", "$hpw"},
	} {
		e := c.entry(q[0], q[1], q[2], Secret(q[3]))
		if other, twice := seen[e]; twice {
			t.Errorf("%q and %s have one key", q, other)
		}
		seen[e] = fmt.Sprintf("%q", q)
	}
	other := NewVerifiedCache(time.Minute, time.Now)
	if c.entry("f", "bob", "$h", "pw") == other.entry("f", "bob", "$h", "pw") {
		t.Error("two caches have one key")
	}
}

func TestVerifiedCacheIsBounded(t *testing.T) {
	c := newVerifiedCache(time.Minute, time.Now, 3)
	for i := range 10 {
		c.add(c.entry("f", fmt.Sprint(i), "$h", "pw"))
	}
	if c.until.Len() != 3 || !c.has(c.entry("f", "9", "$h", "pw")) {
		t.Errorf("%d entries", c.until.Len())
	}
}

// An entry is a sum and a time: there is no place for a password.
func TestVerifiedCacheHoldsNoPassword(t *testing.T) {
	c := NewVerifiedCache(time.Minute, time.Now)
	c.add(c.entry("f", "bob", hashSHA, canary))
	if dump := fmt.Sprintf("%#v", c.until.Keys()); strings.Contains(dump, canary) || strings.Contains(dump, "bob") {
		t.Error("an entry holds the user or the password")
	}
	if size := reflect.TypeFor[verifiedEntry]().Size(); size != 32 {
		t.Errorf("an entry has %d bytes", size)
	}
	if c.key == NewVerifiedCache(time.Minute, time.Now).key {
		t.Error("the key is not random")
	}
}

// Without a cache every login costs what it did.
func TestVerifiedCacheOff(t *testing.T) {
	c := NewVerifiedCache(0, time.Now)
	if c != nil {
		t.Fatal("a lifetime of 0 makes a cache")
	}
	e := c.entry("f", "bob", hashSHA, canary)
	c.add(e)
	c.Observe(func(bool) { t.Error("observed") })
	c.observe(true)
	if c.Purge(); c.has(e) {
		t.Error("nil remembers")
	}
}

// cachedUsers is a file with a cache, and counts computations and what is observed.
type cachedUsers struct {
	*File
	t            *testing.T
	clock        *fakeNow
	mu           sync.Mutex // protects what follows
	computed     int
	hits, misses int
}

func newCachedUsers(t *testing.T, lines ...string) *cachedUsers {
	t.Helper()
	u := &cachedUsers{File: openUsers(t, lines...), t: t, clock: &fakeNow{t: time.Unix(1e9, 0)}}
	u.cache = NewVerifiedCache(5*time.Minute, u.clock.now)
	u.match = func(h *hash, s Secret) (bool, error) {
		u.mu.Lock()
		u.computed++
		u.mu.Unlock()
		return h.verify(s)
	}
	u.ObserveCache(func(hit bool) {
		u.mu.Lock()
		defer u.mu.Unlock()
		if hit {
			u.hits++
		} else {
			u.misses++
		}
	})
	return u
}

// login logs in and compares how many hashes that computed, and whether it was granted.
func (u *cachedUsers) login(what, user string, secret Secret, granted bool, computed int) {
	u.t.Helper()
	before := u.computed
	_, err := u.Authenticate(context.Background(), &Request{User: user, Secret: secret})
	if (err == nil) != granted || u.computed-before != computed {
		u.t.Errorf("%s: %v after %d computations, want granted %v after %d", what, err, u.computed-before, granted,
			computed)
	}
}

// TestFileRemembers follows a user's logins.
func TestFileRemembers(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA, "eve:"+hashSHA, "plain:{PLAIN}"+canary+":plaintext", "gone:!"+hashSHA)
	u.login("the first", "bob", canary, true, 1)
	u.login("the second", "bob", canary, true, 0)
	u.login("a wrong one", "bob", canary+"x", false, 1)
	u.login("the same wrong one", "bob", canary+"x", false, 1)
	u.login("the right one after it", "bob", canary, true, 0)
	u.login("another user by the same password and hash", "eve", canary, true, 1)
	u.login("a locked user with the password of the dummy hash", "gone", canary, false, 1)
	u.login("and again", "gone", canary, false, 1)
	u.login("an unknown one with it", "mallory", canary, false, 1)
	u.login("and again", "mallory", canary, false, 1)
	if u.hits != 2 || u.misses != 8 {
		t.Errorf("%d hits and %d misses observed, want 2 and 8", u.hits, u.misses)
	}
	u.login("a hash that costs nothing", "plain", canary, true, 1)
	u.login("is not remembered", "plain", canary, true, 1)
	if u.hits+u.misses != 10 {
		t.Error("a hash that costs nothing was observed")
	}
	u.clock.pass(5 * time.Minute)
	u.login("five minutes later", "bob", canary, true, 1)
}

// What a reload changes counts at once; what it does not is verified again.
func TestFileForgetsOnReload(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA)
	u.login("the first", "bob", canary, true, 1)
	reload := func(lines ...string) {
		t.Helper()
		writeUsers(t, u.path, lines...)
		if err := u.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	reload("bob:" + hashSHA)
	u.login("the same file again", "bob", canary, true, 1)
	reload("bob:"+hashSHA, "eve:"+hashSHA)
	reload("bob:!"+hashSHA, "eve:"+hashSHA)
	u.login("locked", "bob", canary, false, 1)
	reload("eve:" + hashSHA)
	u.login("removed", "bob", canary, false, 1)
	reload("bob:" + hashBcrypt)
	u.login("another hash of the password", "bob", canary, true, 1)
}

// A login that began before a reload and ends after it remembers nothing that
// holds for the new file.
func TestFileRemembersOnlyItsOwnHash(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA)
	plain := u.match
	begun, release, ended := make(chan bool), make(chan bool), make(chan error)
	u.match = func(h *hash, s Secret) (bool, error) {
		begun <- true
		<-release
		return plain(h, s)
	}
	go func() {
		_, err := u.Authenticate(context.Background(), &Request{User: "bob", Secret: canary})
		ended <- err
	}()
	<-begun
	u.match = plain
	// the hash of another password
	writeUsers(t, u.path, "bob:$6$saltsalt$"+strings.Repeat("x", 86))
	if err := u.Reload(); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("it began with the old file: %v", err)
	}
	u.login("the old password afterwards", "bob", canary, false, 1)
}

// A client that opens several connections at once pays for one computation
// for each place, not for each connection.
func TestFileRemembersWhileOthersWait(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA)
	synctest.Test(t, func(t *testing.T) {
		u.slots = make(chan struct{}, 1)
		release, ended := make(chan bool), make(chan error)
		plain := u.match
		u.match = func(h *hash, s Secret) (bool, error) {
			<-release
			return plain(h, s)
		}
		for range 5 {
			go func() {
				_, err := u.Authenticate(context.Background(), &Request{User: "bob", Secret: canary})
				ended <- err
			}()
		}
		synctest.Wait() // one computes, the others wait for its place
		close(release)
		for range 5 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	if u.computed != 1 || u.hits != 4 {
		t.Errorf("%d computations and %d hits for 5 logins at once, want 1 and 4", u.computed, u.hits)
	}
}

// The next login has the place only once the first is remembered.
func TestFileRemembersBeforeItsPlaceIsFree(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA)
	taken := -1
	u.cache = NewVerifiedCache(time.Minute, func() time.Time {
		taken = len(u.slots)
		return u.clock.now()
	})
	u.login("the first", "bob", canary, true, 1)
	if taken != 1 {
		t.Errorf("%d places were taken when the login was remembered, want 1", taken)
	}
}

// A hash that can't be computed is not remembered as right.
func TestFileRemembersNoError(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA)
	broken := errors.New("broken")
	u.match = func(*hash, Secret) (bool, error) { return true, broken }
	for range 2 {
		_, err := u.Authenticate(context.Background(), &Request{User: "bob", Secret: canary})
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}

// A login that a reload overtakes may add what the new file takes back: a user who is
// locked or gone by then is not found, though another has the same hash.
func TestFileForgetsWhatIsAddedLate(t *testing.T) {
	u := newCachedUsers(t, "bob:"+hashSHA, "gone:"+hashSHA, "mallory:"+hashSHA)
	writeUsers(t, u.path, "bob:"+hashSHA, "gone:!"+hashSHA)
	if err := u.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"gone", "mallory"} {
		u.cache.add(u.cache.entry(u.path, user, hashSHA, canary))
		u.login(user, user, canary, false, 1)
	}
}
