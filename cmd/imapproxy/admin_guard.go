package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend/printable"
	"imapproxy/cmd/imapproxy/config"
)

// tokenSum is compared in place of the token: sums have one length, so that the
// time taken tells nothing of the token's.
type tokenSum [sha256.Size]byte

func (l *adminListener) setToken(token auth.Secret) {
	sum := tokenSum(sha256.Sum256([]byte(token)))
	l.token.Store(&sum)
}

// ServeHTTP turns away whoever may not ask, before any answer is looked for.
func (l *adminListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.ContentLength != 0 {
		// The server would wait for a body that is not read.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(adminHeaderLimit))
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusBadRequest,
			"requests have no body: parameters stand in the address, as in /kick?session=ID")
		return
	}
	if status, why := l.objection(r); why != "" {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="imapproxy"`)
		}
		refuse(w, status, why)
		return
	}
	l.answers.ServeHTTP(w, r)
}

// objection returns why a request is turned away, "" when it is not. A Unix
// socket has asked the kernel already. A port can be reached by a browser, for
// a page that has a name resolve to 127.0.0.1: such a request names that host,
// or the page it comes from.
func (l *adminListener) objection(r *http.Request) (status int, why string) {
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		if _, sent := r.Header[name]; sent {
			return http.StatusForbidden, "requests from web pages are not answered"
		}
	}
	switch {
	case l.network == "unix":
		return 0, ""
	case !config.IsLoopback(r.Host):
		return http.StatusForbidden, "the Host header has to name this machine: localhost, 127.0.0.1 or [::1]"
	case !l.authorised(r):
		return http.StatusUnauthorized, "the header Authorization: Bearer TOKEN is missing or wrong"
	}
	return 0, ""
}

// authorised compares the token (RFC 6750 section 2.1).
func (l *adminListener) authorised(r *http.Request) bool {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	sum := sha256.Sum256([]byte(token))
	same := subtle.ConstantTimeCompare(sum[:], l.token.Load()[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer")
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

// answer writes a value as JSON. Users choose some of the texts in it, so that
// nothing unprintable goes out as it is: JSON has escapes for it.
func answer(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, `{"error":"the answer can't be written as JSON"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(printable.Escape(string(text))), '\n'))
}

// maxErrorLine bounds a line of net/http's own log.
const maxErrorLine = 256

// adminErrors takes net/http's own log.
type adminErrors struct{ log zerolog.Logger }

// Write implements io.Writer.
func (e adminErrors) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line[:min(len(line), maxErrorLine)]))
	e.log.Warn().Str("detail", text).Msg("admin listener: error")
	return len(line), nil
}

func adminErrorLog(to zerolog.Logger) *log.Logger { return log.New(adminErrors{to}, "", 0) }
