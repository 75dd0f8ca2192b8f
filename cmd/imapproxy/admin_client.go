package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"imapproxy/backend/printable"
	"imapproxy/cmd/imapproxy/config"
)

// adminOptions are the flags of every command that speaks to a running proxy.
type adminOptions struct {
	config, address, tokenFile string
	json                       bool
}

func adminFlags(fs *flag.FlagSet) *adminOptions {
	o := &adminOptions{}
	fs.StringVar(&o.config, "config", defaultConfig, "the configuration `FILE`, for its section [admin]")
	fs.StringVar(&o.address, "admin", "",
		"the admin listener's `ADDRESS`, unix:/path or host:port, instead of the configuration's")
	fs.StringVar(&o.tokenFile, "token-file", "",
		"the `FILE` with the token for host:port, instead of the configuration's")
	fs.BoolVar(&o.json, "json", false, "print the answer as JSON")
	return o
}

// access finds out where the admin listener is, and gives the token for it.
func (p *program) access(o *adminOptions) (adminAccess, error) {
	a := adminAt(o.address)
	if problem, remedy := config.AdminAddressProblem(o.address); problem != "" {
		return a, fmt.Errorf("--admin %s: %s; %s", quote(o.address), problem, remedy)
	}
	if o.address == "" {
		var err error
		if a, err = p.configuredAccess(o); err != nil {
			return a, err
		}
	}
	if a.Network == "tcp" && o.tokenFile != "" {
		token, err := passwordFile(o.tokenFile)
		if err != nil {
			return a, fmt.Errorf("--token-file %s: %w", o.tokenFile, config.PlainPathError(err))
		}
		a.Token = token
	}
	if a.Network == "tcp" && a.Token == "" {
		return a, fmt.Errorf("%s needs a token: name its file with --token-file", a.Address)
	}
	return a, nil
}

// configuredAccess reads only the section [admin]: a running proxy can be
// asked while the rest of its file is being changed.
func (p *program) configuredAccess(o *adminOptions) (adminAccess, error) {
	c, r := config.Load(o.config)
	var a adminAccess
	if c.Place.File != "" {
		if o.tokenFile != "" {
			c.Admin.TokenFile = "" // not to be read
		}
		a = buildAdmin(&c.Admin, r)
	}
	bad := false
	for _, f := range r.Of(config.Error) {
		missing := f.Key == "admin.token_file" && o.tokenFile != ""
		if c.Place.File == "" {
			return a, fmt.Errorf("%s; or name the admin listener with --admin", printable.Escape(f.String()))
		}
		if strings.HasPrefix(f.Key+".", "admin.") && !missing {
			_, _ = fmt.Fprintln(p.stderr, printable.Escape(f.String()))
			bad = true
		}
	}
	switch {
	case bad:
		return a, fmt.Errorf("%s does not say where the admin listener is; name it with --admin", o.config)
	case a.Network == "":
		return a, fmt.Errorf("%s has no admin listener: write a section [admin] with an address and restart or "+
			"reload, or name one with --admin", o.config)
	}
	return a, nil
}

// Bounds of an answer: 10,000 sessions are about 4 MB.
const (
	adminAnswerLimit = 30 * time.Second
	adminAnswerBytes = 512 << 20
)

// ask sends one request and gives the body of its answer.
func (a adminAccess) ask(method, path string, q url.Values) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, a.Network, a.Address)
		}}
	client := &http.Client{Transport: transport, Timeout: adminAnswerLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	host := "localhost"
	if a.Network == "tcp" {
		host = a.Address
	}
	where := url.URL{Scheme: "http", Host: host, Path: path, RawQuery: q.Encode()}
	request, err := http.NewRequest(method, where.String(), nil)
	if err != nil {
		return nil, err
	}
	if a.Token != "" {
		request.Header.Set("Authorization", "Bearer "+string(a.Token))
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, a.noAnswer(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, adminAnswerBytes+1))
	switch {
	case err != nil:
		return nil, a.noAnswer(err)
	case len(body) > adminAnswerBytes:
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", a.name(), adminAnswerBytes)
	case response.StatusCode/100 != 2:
		return nil, a.refused(response.StatusCode, body)
	}
	return body, nil
}

// noAnswer returns why there was none, and what to do.
func (a adminAccess) noAnswer(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is the proxy running, and has it read this address? (%w)", a.name(),
			plainNet(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be used by the user %s: be the proxy's user, or root, as with sudo (%w)",
			a.name(), config.ProcessUser(), plainNet(err))
	case isNet && timeout.Timeout():
		return fmt.Errorf("%s did not answer within %v", a.name(), adminAnswerLimit)
	}
	return fmt.Errorf("no answer from %s: %w", a.name(), plainNet(err))
}

// refused returns the error that an answer holds.
func (a adminAccess) refused(status int, body []byte) error {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil || e.Error == "" {
		return fmt.Errorf("%s answers %d %s: is it an admin listener of imapproxy?", a.name(), status,
			http.StatusText(status))
	}
	if status == http.StatusUnauthorized {
		e.Error += "; the token is not that of the running proxy"
	}
	return fmt.Errorf("%s: %s", a.name(), e.Error)
}

// answerOf asks, and decodes the answer; raw is the answer as it came.
func answerOf[T any](p *program, o *adminOptions, method, path string, q url.Values) (value T, raw []byte, err error) {
	a, err := p.access(o)
	if err != nil {
		return value, nil, err
	}
	raw, err = a.ask(method, path, q)
	if err != nil {
		return value, nil, err
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, nil, fmt.Errorf("the answer of %s can't be read: %w", a.name(), err)
	}
	return value, raw, nil
}
