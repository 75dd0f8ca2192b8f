package httpauth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options says where the auth server is and how it is asked.
type Options struct {
	URL             string        // http://host[:port]/path, https://..., or unix:/socket[:/path]
	Timeout         time.Duration // of one question, connecting included; 0 means 10 s
	MaxConns        int           // connections at a time; further questions wait; 0 means 32
	Header          http.Header   // further headers of every question, verbatim
	TLSConfig       *tls.Config   // roots and verification for https://; nil means the system's
	PassCertificate bool          // send the client's certificate in Auth-SSL-Cert
	ServerOptional  bool          // an OK without Auth-Server leaves the backend to the router
	// take http:// to other machines, and TLSConfig.InsecureSkipVerify: passwords can be read on the way
	Insecure bool
}

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxConns = 32
)

// target is a URL taken apart.
type target struct {
	name   string // for errors; without query
	url    *url.URL
	socket string // "" for TCP
}

func (o Options) timeout() time.Duration {
	if o.Timeout == 0 {
		return defaultTimeout
	}
	return o.Timeout
}

func (o Options) maxConns() int {
	if o.MaxConns == 0 {
		return defaultMaxConns
	}
	return o.MaxConns
}

func (o Options) tlsConfig() *tls.Config {
	if o.TLSConfig == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c := o.TLSConfig.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// check finds every fault at once.
func (o Options) check() (target, error) {
	t, err := parseTarget(o.URL)
	faults := []error{err}
	if err == nil {
		faults = append(faults, o.checkPrivacy())
	}
	if o.Timeout < 0 {
		faults = append(faults, errors.New("auth http: the timeout is negative: leave it out for 10 s"))
	}
	if o.MaxConns < 0 {
		faults = append(faults, errors.New("auth http: the number of connections is negative: leave it out for 32"))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		faults = append(faults, CheckHeader(name, o.Header[name]...))
	}
	return t, errors.Join(faults...)
}

// checkPrivacy refuses what would show passwords to the network.
func (o Options) checkPrivacy() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || o.Insecure || u.Scheme == "unix":
		return nil
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("auth http: http://%s is not this machine, and passwords would cross the network readable: "+
			"use https://, or say insecure", u.Host)
	case u.Scheme == "https" && o.TLSConfig != nil && o.TLSConfig.InsecureSkipVerify:
		return fmt.Errorf("auth http: https://%s without verification gives passwords to whoever answers: give its "+
			"CA, or say insecure", u.Host)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

var errURL = errors.New("auth http: the URL is none of http://host[:port]/path, https://host[:port]/path, " +
	"unix:/socket[:/path]")

// parseTarget never quotes the URL: it may hold a password.
func parseTarget(text string) (target, error) {
	if rest, ok := strings.CutPrefix(text, "unix:"); ok {
		socket, path, found := strings.Cut(rest, ":")
		if !found {
			path = "/"
		}
		u, err := url.Parse("http://localhost" + path)
		if err != nil || !filepath.IsAbs(socket) || !strings.HasPrefix(path, "/") {
			return target{}, errURL
		}
		return target{name: "unix:" + socket, url: u, socket: socket}, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https":
		return target{}, errURL
	case u.User != nil:
		return target{}, errors.New("auth http: the URL holds a user name: give the header Authorization instead")
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port is the usual one
	return target{name: u.Scheme + "://" + u.Host, url: u}, nil
}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerText = regexp.MustCompile(`^[^\x00-\x08\x0A-\x1F\x7F]*$`)

	// everyQuestion are the protocol's headers that each question has.
	everyQuestion = []string{
		"Auth-Method", "Auth-User", "Auth-Pass", "Auth-Protocol", "Auth-Login-Attempt", "Client-Ip", "Client-Port",
	}
	// someQuestions are those of some: of CRAM-MD5, of TLS, of certificates, of PROXY.
	someQuestions = []string{
		"Auth-Salt", "Auth-Ssl", "Auth-Ssl-Protocol", "Auth-Ssl-Cipher", "Auth-Ssl-Verify", "Auth-Ssl-Subject",
		"Auth-Ssl-Issuer", "Auth-Ssl-Serial", "Auth-Ssl-Fingerprint", "Auth-Ssl-Cert", "Proxy-Protocol-Addr",
		"Proxy-Protocol-Port", "Proxy-Protocol-Server-Addr", "Proxy-Protocol-Server-Port",
	}
	// httpHeaders are net/http's.
	httpHeaders = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade", "Te"}
)

// Sent is whether a question has a header without being told to.
type Sent int

// The values of Sent.
const (
	NotSent   Sent = iota // free for Options.Header
	Always                // the protocol's, in each question
	Sometimes             // the protocol's, where it applies
	ByHTTP                // HTTP's own
)

// Sends returns whether questions have a header of that name, in whatever letters.
func Sends(name string) Sent {
	name = http.CanonicalHeaderKey(name)
	switch {
	case slices.Contains(everyQuestion, name):
		return Always
	case slices.Contains(someQuestions, name):
		return Sometimes
	case slices.Contains(httpHeaders, name):
		return ByHTTP
	}
	return NotSent
}

// CheckHeader returns what is wrong with a further header of every question, nil
// for nothing. It never quotes a value: it may be a shared secret.
func CheckHeader(name string, values ...string) error {
	switch {
	case !headerName.MatchString(name):
		return fmt.Errorf("auth http: %.80q is no header's name: a name has letters, digits and -", name)
	case Sends(name) != NotSent:
		return fmt.Errorf("auth http: the header %.80s is the protocol's own: choose another name", name)
	case slices.ContainsFunc(values, func(v string) bool { return !headerText.MatchString(v) }):
		return fmt.Errorf("auth http: the value of the header %.80s holds a control byte: remove it", name)
	}
	return nil
}
