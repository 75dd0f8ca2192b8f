package httpauth

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"imapproxy/auth"
)

// answer is the auth server's, taken from its headers and bounded.
type answer struct {
	status string        // "OK", "WAIT" or the refusal's text
	wait   time.Duration // Auth-Wait, at most a minute
	header http.Header
}

// discard reads a small body away so that the connection can be kept. The
// answer is complete without it, so a body that is slow costs the connection,
// not the login.
func discard(r *http.Response, cancel context.CancelFunc) {
	if r.StatusCode != http.StatusSwitchingProtocols { // its body is the connection
		late := time.AfterFunc(drainLimit, cancel)
		_, _ = io.CopyN(io.Discard, r.Body, maxBody+1)
		late.Stop()
	}
	_ = r.Body.Close()
}

// read judges status code and Auth-Status together: a grant and WAIT need 2xx,
// a refusal 2xx or 4xx. nginx takes any status code; but what a script that
// died has set before its 500 is no decision.
func (c *Client) read(r *http.Response) (*answer, error) {
	a := &answer{header: r.Header, status: last(r.Header, "Auth-Status")}
	fine, refusal := r.StatusCode/100 == 2, r.StatusCode/100 == 4
	switch {
	case !fine && !refusal:
		return nil, c.failed("HTTP status %d", r.StatusCode)
	case len(r.Header.Values("Auth-Status")) == 0:
		return nil, c.failed("HTTP status %d without Auth-Status: is this the auth server's URL?", r.StatusCode)
	case refusal && (a.status == "OK" || a.status == "WAIT"):
		return nil, c.failed("HTTP status %d with Auth-Status: %s", r.StatusCode, a.status)
	}
	a.wait = waitOf(last(r.Header, "Auth-Wait"))
	return a, nil
}

// waitOf is what Auth-Wait says; 0 where it says no number.
func waitOf(header string) time.Duration {
	if header == "" { // most often: an error would cost more than the number
		return 0
	}
	seconds, err := strconv.ParseUint(header, 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxWait)
}

// last of several headers of one name counts, as in nginx.
func last(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// decide turns an answer other than WAIT into a grant or a refusal.
func (c *Client) decide(a *answer, r *auth.Request) (*auth.Grant, error) {
	if a.status != "OK" {
		return nil, c.refusal(a, r)
	}
	g := &auth.Grant{User: r.User, Secret: r.Secret}
	if len(a.header.Values("Auth-User")) > 0 {
		g.User = last(a.header, "Auth-User")
	}
	switch {
	case len(a.header.Values("Auth-Pass")) > 0:
		g.Secret = auth.Secret(last(a.header, "Auth-Pass"))
	case auth.IsToken(r.Mechanism):
		g.Token = r.Mechanism
	case r.Mechanism == auth.CramMD5:
		return nil, c.fault(auth.ServiceNoPassword,
			"it did not send Auth-Pass, and CRAM-MD5 has no password that a backend takes")
	}
	judged := g.Secret
	if r.Mechanism == auth.External && judged == "" {
		judged = "unused" // the target may have a master login
	}
	if auth.CheckCredentials(g.User, "", judged) != nil {
		return nil, c.failed("its Auth-User or Auth-Pass is empty, too long or holds a control byte")
	}
	host, port := last(a.header, "Auth-Server"), last(a.header, "Auth-Port")
	if host == "" && port == "" && c.options.ServerOptional {
		return g, nil
	}
	server, err := c.serverAddress(host, port)
	if err != nil {
		return nil, err
	}
	g.Server = server
	return g, nil
}

var serverName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,255}$`)

// serverAddress joins Auth-Server (a name, or an address with or without
// brackets) and Auth-Port (1 to 65535, or none: the target's own).
func (c *Client) serverAddress(host, port string) (string, error) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil &&
		ip.Zone() == "" {
		host = ip.Unmap().String()
		if ip.Unmap().Is6() {
			host = "[" + host + "]"
		}
	} else if host == "" {
		return "", c.fault(auth.ServiceNoServer, "it did not send Auth-Server")
	} else if !serverName.MatchString(host) {
		return "", c.fault(auth.ServiceBadServer,
			"its Auth-Server is neither a name nor an address (a port belongs into Auth-Port)")
	}
	if port == "" {
		return host, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", c.fault(auth.ServiceBadPort, "its Auth-Port is not in 1 to 65535")
	}
	return host + ":" + strconv.FormatUint(n, 10), nil
}
