package config

import (
	"reflect"
	"slices"
	"strings"

	"imapproxy/auth"
)

// The mechanisms that package auth gives no name.
const plain, login = "PLAIN", "LOGIN"

// Source is what the schema knows of a value of auth.type: what it needs and
// what it can do. Package main knows how it is made.
type Source struct {
	Name       string   // the value of auth.type
	Key        string   // the key or section of [auth] that only it uses, "" for none
	Mechanisms []string // the SASL mechanisms that it can serve

	BackendJudges   bool // the backend's login judges the password; there is no answer but that
	BackendPassword bool // its answer may hold the password for the backend
	Certificates    bool // it can say whose a client's certificate is
	PerListener     bool // a listener may have its own, in [listener.auth]
	Caches          bool // the passwords that it has found right are remembered ([auth.cache])

	check func(*Auth, *Report) // of its own keys; nil when there are none
}

// Sources returns what auth.type may be, in the order of the reference.
func Sources() []Source {
	return []Source{
		{Name: "file", Key: "file", Mechanisms: []string{plain, login, auth.External}, Caches: true,
			check: checkUserFile},
		{Name: "passthrough", Mechanisms: []string{plain, login, auth.XOAuth2, auth.OAuthBearer}, BackendJudges: true},
		{
			Name: "http", Key: "http", Mechanisms: saslMechanisms(),
			BackendPassword: true, Certificates: true, PerListener: true,
			check: func(a *Auth, r *Report) { checkHTTP(&a.HTTP, r) },
		},
	}
}

// saslMechanisms are those that there are.
func saslMechanisms() []string {
	return []string{plain, login, auth.CramMD5, auth.External, auth.XOAuth2, auth.OAuthBearer}
}

// source is the one of auth.type; the zero Source when that is missing or
// unknown, which the decoding has reported.
func (a *Auth) source() Source {
	for _, s := range Sources() {
		if s.Name == a.Type {
			return s
		}
	}
	return Source{}
}

// known reports whether auth.type says which source it is.
func (s Source) known() bool { return s.Name != "" }

// serves reports whether the source can serve a mechanism.
func (s Source) serves(mechanism string) bool { return slices.Contains(s.Mechanisms, mechanism) }

func sourceNames(fits func(Source) bool) []string {
	var names []string
	for _, s := range Sources() {
		if fits(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// anySource fits each.
func anySource(Source) bool { return true }

// writeType is a remedy: the values of auth.type that fit.
func writeType(fits func(Source) bool) string {
	names := quotedWords(sourceNames(fits))
	slices.Sort(names)
	return "write auth.type = " + strings.Join(names, " or ")
}

func checkAuth(a *Auth, r *Report) {
	s := a.source()
	if !s.known() {
		return // reported already
	}
	checkExternal(&a.External, s, r)
	if a.Place.Has("cache") && !s.Caches {
		r.Errorf(a.Place, "cache", "remove the section, or "+writeType(func(s Source) bool { return s.Caches }),
			"not used with type = %q", a.Type)
	}
	for _, other := range Sources() {
		if other.Key != "" && other.Name != s.Name && a.Place.Has(other.Key) {
			r.Errorf(a.Place, other.Key, "remove "+pronoun(other.Key)+`, or write type = "`+other.Name+`"`,
				"not used with type = %q", a.Type)
		}
	}
	if s.check != nil {
		s.check(a, r)
	}
}

// pronoun stands for a key of [auth] in a remedy.
func pronoun(key string) string {
	for _, f := range fieldsOf(reflect.TypeFor[Auth]()) {
		if f.Key == key && f.isSection() {
			return "the section"
		}
	}
	return "it"
}

func checkUserFile(a *Auth, r *Report) {
	if a.File == "" {
		r.Errorf(a.Place, "file", `name the file of users, or write another type`, `missing, and type is %q`, a.Type)
	}
}

// checkExternal: a certificate proves to the proxy who the client is, not to the
// backend.
func checkExternal(e *External, s Source, r *Report) {
	switch {
	case e.From == "off" && e.Place.Has("file"):
		r.Errorf(e.Place, "file", `write from, for example from = "email"`, "not used without from")
	case e.From == "off":
	case s.BackendJudges:
		r.Errorf(e.Place, "from", `write another auth.type`,
			`not possible with auth.type = %q: there is no password that the backend could judge`, s.Name)
	case e.File == "" && (e.From == "subject" || e.From == "fingerprint"):
		r.Errorf(e.Place, "file", "name the file that says whose certificates they are",
			"missing, and from is %q", e.From)
	}
}

// checkMasters looks at the master logins of targets: with one, only the proxy
// judges passwords.
func checkMasters(c *File, r *Report) {
	s := c.Auth.source()
	for _, t := range c.backends() {
		if t.MasterUser != "" && s.BackendJudges {
			r.Errorf(t.Place, "master_user", "remove it, or write another auth.type",
				`auth.type is %q, and this would let everybody in with any password`, s.Name)
		}
		if t.MasterUser == "" && s.known() && !s.BackendJudges && !s.BackendPassword && c.Auth.External.From != "off" {
			r.Warnf(t.Place, "master_user", "write master_user and master_password_file",
				"%s has none, so that no user can log in there by a certificate", t.who())
		}
	}
}
