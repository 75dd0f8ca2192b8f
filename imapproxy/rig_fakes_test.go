package imapproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/loop"
)

// fakeAuth grants whoever knows the canary. Some names ask for more:
//
//	down       the question can't be answered
//	CODE@deny  refused with that response code, "none" for no code
//	slow       waits for release, or for the context's end
//	wait       refused after 3 s
//	expired    refused with the error challenge "old"
//	explode    panics with the password as the value
//
// An authorization identity needs the user master.
type fakeAuth struct {
	asked   atomic.Int64 // requests so far
	waiting atomic.Int64 // requests that wait for release
	gate    chan struct{}
	open    func()
	last    atomic.Pointer[auth.Request]
}

func newFakeAuth() *fakeAuth {
	f := &fakeAuth{gate: make(chan struct{})}
	f.open = sync.OnceFunc(func() { close(f.gate) })
	return f
}

var errDirectory = errors.New("the directory can't be reached")

// Authenticate implements auth.Authenticator.
func (f *fakeAuth) Authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	f.asked.Add(1)
	f.last.Store(r)
	if code, found := strings.CutSuffix(r.User, "@deny"); found {
		return nil, &auth.Denied{Code: strings.TrimPrefix(code, "none"), Log: "the fake says so"}
	}
	switch r.User {
	case "down":
		return nil, errDirectory
	case "slow":
		f.waiting.Add(1)
		defer f.waiting.Add(-1)
		err := loop.Outside(ctx, func(ctx context.Context) error {
			select {
			case <-f.gate:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	case "wait":
		return nil, &auth.Denied{Log: "too often", Wait: 3 * time.Second}
	case "expired":
		return nil, &auth.Denied{Code: "EXPIRED", Log: "the fake says so", Challenge: "old"}
	case "explode":
		panic(string(r.Secret))
	}
	if r.Secret != canary {
		return nil, &auth.Denied{Log: "wrong password"}
	}
	if r.AuthzID != "" && r.AuthzID != r.User {
		if r.User != "master" {
			return nil, &auth.Denied{Code: "AUTHORIZATIONFAILED", Log: "no master"}
		}
		return &auth.Grant{User: r.AuthzID, Secret: r.Secret}, nil
	}
	return &auth.Grant{User: r.User, Secret: r.Secret, BackendJudges: r.User == "nobody"}, nil
}

// fakeRouter sends everybody to one target. Some names ask for more:
//
//	nowhere, nobody  no route
//	lost             the question can't be answered
//	slow-route       waits for the context's end
//	explode-route    panics
//	unreachable      a target at which nothing listens
type fakeRouter struct {
	target  *backend.Target
	waiting atomic.Int64
}

func newFakeRouter(t *backend.Target) *fakeRouter { return &fakeRouter{target: t} }

// Route implements backend.Router.
func (f *fakeRouter) Route(ctx context.Context, q backend.Query) (backend.Route, error) {
	switch q.User {
	case "nowhere", "nobody":
		return backend.Route{}, backend.ErrNoRoute
	case "lost":
		return backend.Route{}, errors.New("the map can't be read")
	case "slow-route":
		f.waiting.Add(1)
		defer f.waiting.Add(-1)
		return backend.Route{}, loop.Outside(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	case "explode-route":
		panic("a fault in the router")
	case "unreachable":
		nobody := *f.target
		nobody.Addresses = []string{closedPort()}
		return backend.Route{Target: &nobody, User: q.User}, nil
	}
	return backend.Route{Target: f.target, User: q.User, Rule: "the only one"}, nil
}

// closedPort is an address that refuses connections.
func closedPort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:1"
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// certificate makes one key and certificate for all tests, valid for localhost.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
})

// serverTLS is a listener's configuration as the program makes it.
func serverTLS() *tls.Config {
	cert, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"imap"},
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, loop.Leave(hello.Context())
		}}
}

// clientTLS is a client's, offering the application protocols alpn.
func clientTLS(alpn ...string) *tls.Config {
	_, pool := certificate()
	return &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: alpn, MinVersion: tls.VersionTLS12}
}

// fakeAuth is the authenticator of a rig that has not been given another.
func (r *rig) fakeAuth() *fakeAuth {
	f, isFake := r.auth.(*fakeAuth)
	if !isFake {
		r.t.Fatal("this rig has another authenticator")
	}
	return f
}
