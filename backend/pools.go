package backend

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/pool"
	"imapproxy/backend/wire"
)

// PoolOptions say how a target's connections are used again. Counts are at
// least 1 but for Spare; durations of 0 are never, but for those that say more.
type PoolOptions struct {
	MaxIdle      int // idle connections of all users
	MaxPerUser   int // connections of one user, in use or idle
	MaxPerTarget int // connections in all
	MaxWaiting   int // logins that wait for a connection
	Spare        int // connections kept greeted, not logged in; none where the backend wants a PROXY header

	WaitTimeout time.Duration // positive
	MaxLifetime time.Duration
	IdleTimeout time.Duration
	KeepAlive   time.Duration // idle that long: NOOP
	CheckAfter  time.Duration // unused for longer: NOOP before the next session gets it; 0 is always
	Reauth      time.Duration // how long a login counts where the backend is the judge; 0 is not at all

	// Which clients are served: any of these. All empty is every client.
	Listeners   []string // by name
	Networks    []netip.Prefix
	ClientNames []string // what the client's ID says of its name (RFC 2971), in lower case
}

// Serves reports whether a client's connections are used again.
func (o *PoolOptions) Serves(listener string, client netip.Addr, name string) bool {
	if o == nil {
		return false
	}
	return len(o.Listeners)+len(o.Networks)+len(o.ClientNames) == 0 ||
		slices.Contains(o.Listeners, listener) ||
		slices.ContainsFunc(o.Networks, func(p netip.Prefix) bool { return p.Contains(client.Unmap()) }) ||
		name != "" && slices.Contains(o.ClientNames, strings.ToLower(name))
}

// idleBound is how long a connection may be in phasePooled, for the leak
// detector.
func (o *PoolOptions) idleBound() time.Duration {
	if o == nil || o.IdleTimeout == 0 {
		return 0
	}
	return o.IdleTimeout + spareLifetime
}

// age is how old a login of the key may be.
func (o *PoolOptions) age(judged bool) time.Duration {
	if judged {
		return pool.AnyAge
	}
	return o.Reauth
}

const (
	spareLifetime = 90 * time.Second // below the time that backends give for a login (Dovecot: 3 minutes)
	poolEndings   = 50               // connections of a pool that are ended at once
	poolChecks    = 8                // and that are asked by NOOP at once
	maxPools      = 1000             // targets; those of an allow-list can be many
)

// poolKey is what must be the same for a connection to be used again. The
// target and its TLS identity are the pool's.
type poolKey struct {
	front     string // the user as the front end has authenticated them
	user      string // the backend's
	authID    string
	mechanism string
	version   [sha256.Size]byte // of the credentials: an HMAC under a key of this process
}

// Pools are the pools of one generation of the configuration, one for each
// target, and one for each address that stands for only a part of a target.
type Pools struct {
	dialer *Dialer
	aside  func(func(context.Context))
	counts *PoolCounts
	secret [sha256.Size]byte

	mu     sync.Mutex              // protects what follows; nothing blocks under it
	pools  map[string]*connPool    // by the target's name and addresses
	work   map[*loop.Task]struct{} // that ends with Close: checks, and connections being made
	closed bool
}

type connPool struct {
	*pool.Pool[poolKey, *Conn]
	target *Target
	keeps  atomic.Bool // its backend keeps a mailbox selected: Conn.deselect has found out, and need not ask again
}

// PoolCounts count per target, over generations. The zero value is ready.
type PoolCounts struct {
	mu       sync.Mutex // protects counters
	counters map[string]*pool.Counters
}

func (n *PoolCounts) of(target string) *pool.Counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counters == nil {
		n.counters = map[string]*pool.Counters{}
	}
	c := n.counters[target]
	if c == nil {
		c = &pool.Counters{}
		n.counters[target] = c
	}
	return c
}

// NewPools makes the pools of a generation. aside runs a function as a task of a loop; it
// must run it in any case.
func (d *Dialer) NewPools(aside func(func(context.Context)), counts *PoolCounts) *Pools {
	p := &Pools{dialer: d, aside: aside, counts: counts, pools: map[string]*connPool{},
		work: map[*loop.Task]struct{}{}}
	_, _ = rand.Read(p.secret[:]) // never fails (crypto/rand)
	return p
}

// of returns a target's pool, nil where there is none.
func (p *Pools) of(t *Target) (*connPool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := t.Name + " " + strings.Join(t.Addresses, " ")
	cp := p.pools[key]
	if cp != nil || p.closed || t.Pool == nil || len(p.pools) >= maxPools {
		return cp, nil
	}
	made, err := pool.New(p.options(t))
	if err != nil {
		return nil, err
	}
	cp = &connPool{Pool: made, target: t}
	p.pools[key] = cp
	return cp, nil
}

func (p *Pools) options(t *Target) pool.Options[poolKey, *Conn] {
	o := t.Pool
	spare := o.Spare
	if t.Header != ProxyNone {
		spare = 0
	}
	return pool.Options[poolKey, *Conn]{
		User:    func(k poolKey) string { return k.user },
		MaxIdle: o.MaxIdle, MaxPerUser: o.MaxPerUser, MaxTotal: o.MaxPerTarget, MaxWaiting: o.MaxWaiting,
		MaxEndings: poolEndings, MaxChecks: poolChecks, WaitTimeout: o.WaitTimeout,
		MaxLifetime: o.MaxLifetime, IdleTimeout: o.IdleTimeout, KeepAlive: o.KeepAlive,
		Spare: spare, SpareLifetime: spareLifetime,
		Now: p.dialer.Clock.Now, Random: mathrand.Float64,
		Aside:    p.aside,
		End:      func(ctx context.Context, c *Conn, _ string) { c.End(ctx) },
		Check:    p.check,
		HasInput: func(c *Conn) bool { return wire.Unread(&c.raw) },
		Open:     func(ctx context.Context) (*Conn, error) { return p.open(ctx, t) },
		Counters: p.counts.of(t.Name),
	}
}

// check asks an idle connection whether it still answers. Whatever comes of it, the connection leaves the loop: another
// one may end it.
func (p *Pools) check(ctx context.Context, c *Conn) error {
	defer p.untilClose(ctx)()
	defer c.rest(ctx)
	if err := c.stillGood(ctx, "NOOP", true); err != nil {
		return err
	}
	fault.Point("pool.checked")
	c.hand(PoolOwner, phasePooled)
	return nil
}

// open makes a connection that is not logged in.
func (p *Pools) open(ctx context.Context, t *Target) (*Conn, error) {
	defer p.untilClose(ctx)()
	c, err := p.dialer.Dial(ctx, t, Origin{SessionID: PoolOwner, TTL: math.MaxInt})
	if err != nil {
		return nil, err
	}
	c.Tune()
	c.rest(ctx)
	c.hand(PoolOwner, phasePooled)
	return c, nil
}

// key is the key of a login. The version of the credentials stands for all
// that the backend is told; comparing HMACs under a key that no one outside
// knows tells nothing by the time it takes.
func (p *Pools) key(t *Target, cred Credentials, q PoolRequest) poolKey {
	if t.Master.AuthID != "" {
		cred.AuthID = t.Master.AuthID
	}
	mac := hmac.New(sha256.New, p.secret[:])
	for _, s := range []string{cred.Secret, t.Master.Secret} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		mac.Write(n[:])
		mac.Write([]byte(s))
	}
	k := poolKey{front: q.Front, user: cred.User, authID: cred.AuthID, mechanism: q.Mechanism}
	mac.Sum(k.version[:0])
	return k
}

// Upkeep looks after what is idle; see pool.Pool.Upkeep.
func (p *Pools) Upkeep() {
	for _, cp := range p.all() {
		cp.Upkeep()
	}
}

// all returns the pools, by their targets' names.
func (p *Pools) all() []*connPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*connPool, 0, len(p.pools))
	for _, cp := range p.pools {
		all = append(all, cp)
	}
	slices.SortFunc(all, func(a, b *connPool) int { return cmp.Compare(a.target.Name, b.target.Name) })
	return all
}

// PooledUser is whose an idle connection is.
type PooledUser struct {
	Front  string // as the front end has authenticated them
	User   string // at the backend
	Target string
}

// Drop ends the idle connections of the users that match, and those in use when
// their sessions end. It returns how many were idle.
func (p *Pools) Drop(match func(PooledUser) bool, why string) int {
	n := 0
	for _, cp := range p.all() {
		n += cp.Drop(func(k poolKey) bool { return match(PooledUser{k.front, k.user, cp.target.Name}) }, why)
	}
	return n
}

// Close ends what is idle, at a bounded rate; what is lent ends when it comes
// back. It does not wait.
func (p *Pools) Close() {
	p.endWork()
	for _, cp := range p.all() {
		cp.Close()
	}
}

func (p *Pools) endWork() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for t := range p.work {
		t.Interrupt()
	}
}

// untilClose has Close interrupt the task, until the function that it returns is called.
func (p *Pools) untilClose(ctx context.Context) (over func()) {
	t := loop.Of(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work[t] = struct{}{}
	if p.closed {
		t.Interrupt()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.work, t)
	}
}

// Hurry ends all at once what is still to be ended.
func (p *Pools) Hurry() {
	for _, cp := range p.all() {
		cp.Hurry()
	}
}

// Wait returns when closed pools have nothing left, or ctx ends; it tells which.
func (p *Pools) Wait(ctx context.Context) bool {
	for _, cp := range p.all() {
		select {
		case <-cp.Done():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// IsDone reports whether closed pools have nothing left.
func (p *Pools) IsDone() bool {
	for _, cp := range p.all() {
		select {
		case <-cp.Done():
		default:
			return false
		}
	}
	return true
}
