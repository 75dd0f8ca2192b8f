package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"imapproxy/cmd/imapproxy/logging"
	"imapproxy/imapproxy"
)

// routes are the paths of the admin listener; the methods are checked by the
// patterns.
func (a *admin) routes(lines *logging.Writer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsHandler(lines))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { sayPlain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /sessions", a.sessions)
	mux.HandleFunc("GET /sockets", a.sockets)
	mux.HandleFunc("GET /pool", a.pool)
	mux.HandleFunc("POST /kick", a.kick)
	mux.HandleFunc("POST /drain", a.askDrain)
	mux.HandleFunc("GET /debug/pprof/", bounded(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", bounded(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/profile", bounded(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", bounded(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", bounded(pprof.Trace))
	return mux
}

func sayPlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) {
	switch a.phase.Load() {
	case phaseServing:
		sayPlain(w, http.StatusOK, "ready")
	case phaseDraining:
		sayPlain(w, http.StatusServiceUnavailable, "draining")
	default:
		sayPlain(w, http.StatusServiceUnavailable, "starting")
	}
}

// choice is which sessions are meant. An empty field means any.
type choice struct{ id, user, backend string }

// chosen reports whether a session is meant. A backend goes by its target's name
// or its address.
func (c choice) chosen(i imapproxy.SessionInfo) bool {
	return (c.id == "" || i.ID == c.id) && (c.user == "" || i.User == c.user) &&
		(c.backend == "" || i.Target == c.backend || i.Backend == c.backend)
}

// query reads the parameters of a request. A parameter that is not known must
// not mean "any": a slip would kick everybody.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("the parameters can't be read")
	}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("there is no parameter %q; there are %s", shortName(name), strings.Join(known, ", "))
		case len(values) != 1 || values[0] == "":
			return nil, fmt.Errorf("give %s one value", name)
		}
	}
	return q, nil
}

func (a *admin) sessions(w http.ResponseWriter, r *http.Request) {
	q, err := query(r, "id", "user", "backend")
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	c := choice{q.Get("id"), q.Get("user"), q.Get("backend")}
	list := []imapproxy.SessionInfo{} // never null
	for _, i := range a.proxy.List() {
		if c.chosen(i) {
			list = append(list, i)
		}
	}
	answer(w, http.StatusOK, list)
}

func (a *admin) sockets(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	list := append([]imapproxy.SocketInfo{}, a.proxy.Sockets()...)
	slices.SortFunc(list, func(x, y imapproxy.SocketInfo) int {
		return cmp.Or(strings.Compare(string(x.State), string(y.State)), x.Since.Compare(y.Since),
			strings.Compare(x.Session, y.Session), strings.Compare(x.Side, y.Side))
	})
	answer(w, http.StatusOK, list)
}

func (a *admin) pool(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, http.StatusOK, a.proxy.Pools())
}

// kicked is the answer of /kick.
type kicked struct {
	Kicked int `json:"kicked"`
}

func (a *admin) kick(w http.ResponseWriter, r *http.Request) {
	q, err := query(r, "session", "user", "backend")
	if err == nil && len(q) != 1 {
		err = errors.New("give exactly one of session, user and backend")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	c := choice{q.Get("session"), q.Get("user"), q.Get("backend")}
	n := a.proxy.Kick(c.chosen)
	line := a.log.Info().Int("kicked", n)
	for name, values := range q {
		line.Str(name, shortName(values[0]))
	}
	line.Msg("admin: sessions kicked")
	answer(w, http.StatusOK, kicked{n})
}

// draining is the answer of /drain.
type draining struct {
	Draining bool `json:"draining"`
	Sessions int  `json:"sessions"`
}

// askDrain asks the daemon to drain. Asking again changes nothing.
func (a *admin) askDrain(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case a.drain <- struct{}{}:
	default: // asked already
	}
	answer(w, http.StatusAccepted, draining{true, a.proxy.Sessions()})
}

// maxProfile bounds how long a profile may be taken, in seconds.
const maxProfile = 60

// bounded refuses a profile that would take too long.
func bounded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := r.FormValue("seconds")
		if n, err := strconv.ParseFloat(text, 64); text != "" && (err != nil || !(n > 0 && n <= maxProfile)) {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("seconds is a number up to %d", maxProfile))
			return
		}
		h(w, r)
	}
}
