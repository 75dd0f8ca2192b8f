package auth

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"imapproxy/backend/loop"
)

// File authenticates against a user file: text, one user a line,
//
//	name:hash[:field ...]
//
// with `#` comments and blank lines. Names are compared exactly, case
// included. The hash is a modular crypt one ($argon2id$, $2b$, $6$, $5$, $y$,
// $scrypt$, $pbkdf2-sha256$, ...), with or without a prefix as Dovecot's
// passwd-files have it, or {SSHA}, {SSHA256}, {SSHA512}; `!` in front of it
// locks the user: no password fits, master logins remain. Fields are separated
// by spaces:
//
//	backend=NAME     the target's name, or host[:port]
//	user=NAME        the user's name at the backend
//	master           may log in as any other user of this file
//	master=any       may log in as anybody: the backend judges
//	plaintext        the hash is {PLAIN} and the password itself, which holds no colon
//
// A user and a password that are unknown or wrong look the same and cost the
// same work, as far as the file's hashes are of one kind; Warnings tells when
// they are not.
type File struct {
	path  string
	users atomic.Pointer[userSet]
	slots chan struct{} // one for each hash being computed; argon2id takes a core and up to 64 MiB each
	cache *VerifiedCache
	match func(*hash, Secret) (bool, error)
}

// OpenFile reads a user file. The error joins every fault of the file, each
// with file, line and remedy. The cache, which may be nil, spares logins the
// computation that an earlier one has paid for.
func OpenFile(path string, cache *VerifiedCache) (*File, error) {
	f := &File{
		path:  path,
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)), // the daemon has one more than processors
		cache: cache,
		match: func(h *hash, s Secret) (bool, error) { return h.verify(s) },
	}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. A file with a fault changes nothing; the error
// is as OpenFile's. Requests under way end by the users they began with.
func (f *File) Reload() error {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("user file: %w", err)
	}
	users, err := parseUsers(f.path, data)
	if err != nil {
		return err
	}
	if info, err := os.Stat(f.path); err == nil && info.Mode().Perm()&0o004 != 0 {
		users.warnings = append(users.warnings, f.path+": every user of this machine can read the hashes: chmod o-r")
	}
	f.users.Store(users)
	f.cache.Purge()
	return nil
}

// ObserveCache implements Caching.
func (f *File) ObserveCache(observe func(hit bool)) { f.cache.Observe(observe) }

// Lookup returns what the file says of a user without asking for a password: the
// name and the backend (target's name, host[:port] or "") of a grant for it.
func (f *File) Lookup(user string) (login, server string, known bool) {
	u := f.users.Load().byName[user]
	if u == nil {
		return "", "", false
	}
	return u.login, u.backend, true
}

// Warnings names what in the file weakens it or was hardly meant so, one sentence each.
func (f *File) Warnings() []string { return f.users.Load().warnings }

// Warning returns a sentence that says what of the users that about chooses, with
// their lines; "" for none.
func (f *File) Warning(what string, about func(name, server string) bool) string {
	return warning(f.path, f.users.Load().byLine(), what, func(u *fileUser) bool { return about(u.name, u.backend) })
}

// Authenticate implements Authenticator. A user with the master flag may log
// in with another user of the file as authorization identity: the grant is
// then for that user, at that user's backend, with the master's own name (its
// user= if it has one) and password. To all others, and for users that are
// not in the file, the answer is AUTHORIZATIONFAILED, and that only after the
// password proved right.
func (f *File) Authenticate(ctx context.Context, r *Request) (*Grant, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	set := f.users.Load()
	user := set.byName[r.User]
	if r.Mechanism == External {
		return user.byCertificate()
	}
	if err := f.verify(ctx, set, user, r); err != nil {
		return nil, err
	}
	if r.AuthzID == "" || r.AuthzID == r.User {
		return &Grant{User: user.login, Secret: r.Secret, Server: user.backend}, nil
	}
	return set.master(user, r)
}

// byCertificate grants a user whose certificate has been verified. The backend
// gets no password: its target has a master login.
func (u *fileUser) byCertificate() (*Grant, error) {
	switch {
	case u == nil:
		return nil, &Denied{Log: "unknown user"}
	case u.hash == nil:
		return nil, &Denied{Log: "locked user", Disabled: true}
	}
	return &Grant{User: u.login, Server: u.backend}, nil
}

// verify computes exactly one hash whatever the user is, so that neither the
// answer nor the time tells whether a user exists. It computes none where this
// password of this user has been found right before, by the same hash.
func (f *File) verify(ctx context.Context, set *userSet, user *fileUser, r *Request) error {
	h, refusal := set.dummy, &Denied{Log: "unknown user"}
	if user != nil {
		refusal = &Denied{Log: "locked user", Disabled: true}
	}
	known := user != nil && user.hash != nil
	if known {
		h, refusal = user.hash, &Denied{Log: "wrong password"}
	}
	if h == nil { // a file without a single password
		return refusal
	}
	ok, err := false, error(nil)
	if h.costly == "" { // a look into the cache costs as much
		ok, err = f.match(h, r.Secret)
	} else {
		ok, err = f.verifyCostly(ctx, h, r, known)
	}
	switch {
	case err != nil:
		return err
	case !ok || !known:
		return refusal
	}
	return nil
}

// verifyCostly is verify for a hash that takes long: from the cache, or outside the event loop. An unknown user is
// never remembered, even with the password of the dummy hash.
func (f *File) verifyCostly(ctx context.Context, h *hash, r *Request, known bool) (ok bool, err error) {
	e := f.cache.entry(f.path, r.User, h.costly, r.Secret)
	if known && f.cache.has(e) { // a login that a reload has overtaken may have added a user who is gone now
		return true, nil
	}
	err = loop.Outside(ctx, func(ctx context.Context) error {
		release, err := f.place(ctx)
		if err != nil {
			return err
		}
		defer release()
		if known && f.cache.has(e) { // clients open several connections at once, and another was quicker
			ok = true
			return nil
		}
		f.cache.observe(false)
		if ok, err = f.match(h, r.Secret); ok && err == nil && known {
			f.cache.add(e) // before the next one has the place
		}
		return err
	})
	return ok, err
}

// place waits until a hash may be computed and returns what ends that. Waiting
// ends with ctx; a computation that has begun can't be stopped.
func (f *File) place(ctx context.Context) (release func(), err error) {
	select {
	case f.slots <- struct{}{}:
		release = func() { <-f.slots }
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		if release != nil {
			release()
		}
		return nil, fmt.Errorf("waiting to verify a password: %w", context.Cause(ctx))
	}
	return release, nil
}

// master grants a login as another user, once the password has proved right.
func (s *userSet) master(user *fileUser, r *Request) (*Grant, error) {
	if user.master == masterNone {
		return nil, &Denied{Code: codeAuthorization, Log: "not a master user: may not log in as another user"}
	}
	other := s.byName[r.AuthzID]
	if other == nil && user.master != masterAny {
		return nil, &Denied{Code: codeAuthorization, Log: "master login as an unknown user"}
	}
	if other == nil {
		other = &fileUser{login: r.AuthzID}
	}
	return &Grant{User: other.login, AuthID: user.login, Secret: r.Secret, Server: other.backend}, nil
}
