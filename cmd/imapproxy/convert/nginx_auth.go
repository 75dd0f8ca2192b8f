package convert

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"imapproxy/auth/httpauth"
)

// authService converts auth_http and what belongs to it.
func (c *nginxConverter) authService(s *draft) {
	from := s.one("auth_http")
	if c.zimbraLookup(s) {
		return
	}
	if from == nil {
		c.refuse(s.block, `no "auth_http" is defined for the server`)
		return
	}
	for _, earlier := range s.of("auth_http") {
		if earlier != from {
			c.note(earlier, NotNeeded, "%s comes after it and replaces it", from.place())
		}
	}
	url, remote, why := authURL(from.args[0])
	if why != "" {
		c.refuse(from, "%s", why)
		return
	}
	s.auth = append(s.auth, setting{"url", text(url), from.from()})
	c.note(from, Converted, "url = %s", text(url))
	if remote {
		s.auth = append(s.auth,
			setting{"insecure", "true", "passwords go to another machine in clear, as with nginx; better an https url"})
		c.note(from, Converted,
			"insecure = true: passwords go to another machine in clear, as with nginx; imapproxy also takes an "+
				"https url")
	}
	c.authTimeout(s)
	c.authHeaders(s)
	if from := s.one("auth_http_pass_client_cert"); from != nil {
		if on, good := c.flag(from); good && on {
			s.auth = append(s.auth, setting{"pass_client_certificate", "true", from.from()})
			c.note(from, Converted, "pass_client_certificate = true")
		} else if good {
			c.note(from, Converted, "it is the default")
		}
	}
}

func (c *nginxConverter) authTimeout(s *draft) {
	timeout := setting{"timeout", text("60s"), "nginx's default of auth_http_timeout"}
	if from := s.one("auth_http_timeout"); from != nil {
		d, good := c.span(from, spanBoundsOf("auth.http.timeout"))
		if !good {
			return
		}
		timeout = setting{"timeout", span(d), from.from()}
		c.note(from, Converted, "timeout of auth.http, for the whole question")
	}
	s.auth = append(s.auth, timeout)
}

func (c *nginxConverter) authHeaders(s *draft) {
	all := s.of("auth_http_header")
	var pairs, names []string
	for _, from := range all {
		name, value := from.args[0], from.args[1]
		switch {
		case httpauth.Sends(name) != httpauth.NotSent:
			c.ownHeader(from, name, value)
			continue
		case httpauth.CheckHeader(name, value) != nil:
			c.refuse(from, "%q is no header that could be sent", name)
			return
		case slices.Contains(names, strings.ToLower(name)):
			c.refuse(from, "a second value for the header %q: imapproxy sends each header once", name)
			return
		}
		names = append(names, strings.ToLower(name))
		pairs = append(pairs, bareKey(name)+" = "+text(value))
		c.note(from, Converted, "headers of auth.http")
		if strings.Contains(value, "$") {
			c.note(from, Differs, `nginx has no variables in mail{}: "$" is sent as it stands, by both`)
		}
	}
	if len(pairs) > 0 {
		s.auth = append(s.auth, setting{"headers", "{ " + strings.Join(pairs, ", ") + " }", all[0].from()})
	}
}

// ownHeader names a header that imapproxy sends itself, so that it is not missed.
// nginx sends both, its own and this one.
func (c *nginxConverter) ownHeader(from *statement, name, value string) {
	sent := httpauth.Sends(name)
	switch {
	case strings.EqualFold(name, "Host"):
		c.note(from, Differs, "left out: Host is the host of auth_http; write the wanted name there")
	case sent == httpauth.ByHTTP:
		c.note(from, NotNeeded, "%s belongs to the HTTP connection, which imapproxy takes care of", name)
	case strings.Contains(value, "$"):
		c.note(from, NotNeeded, "imapproxy sends %s itself, with its value; nginx, which has no variables in mail{}, "+
			`sends "$" as it stands`, name)
	case sent == httpauth.Always:
		c.note(from, NotNeeded, "imapproxy sends %s itself, with the value of each login", name)
	default:
		c.note(from, Differs, "left out: imapproxy sends %s itself where it applies, and nothing fixed", name)
	}
}

// authURL turns [http://]host[:port][/uri] or unix:path[:/uri] into the URL
// that imapproxy takes. remote says that it leaves the machine.
func authURL(value string) (url string, remote bool, why string) {
	value = strings.TrimPrefix(value, "http://")
	if path, ok := strings.CutPrefix(value, "unix:"); ok {
		socket, uri, _ := strings.Cut(path, ":")
		if !strings.HasPrefix(socket, "/") {
			return "", false, "the path of the unix socket is not absolute"
		}
		if uri == "" {
			uri = "/"
		}
		return "unix:" + socket + ":" + uri, false, ""
	}
	if strings.HasPrefix(strings.ToLower(value), "https:") {
		return "", false, "nginx has no https here and refuses it as well: write http:// in nginx.conf, and https " +
			"in the result"
	}
	address, uri, found := strings.Cut(value, "/")
	if !found {
		var query string
		if address, query, found = strings.Cut(value, "?"); found {
			uri = "?" + query
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "80"
	}
	if host == "" || strings.ContainsAny(host, " @") {
		return "", false, "invalid host in it"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", false, "invalid port in it"
	}
	where := net.JoinHostPort(host, port)
	if port == "80" {
		where = strings.TrimSuffix(where, ":80")
	}
	addr, err := netip.ParseAddr(host)
	remote = !strings.EqualFold(host, "localhost") && (err != nil || !addr.IsLoopback())
	return "http://" + where + "/" + uri, remote, ""
}
