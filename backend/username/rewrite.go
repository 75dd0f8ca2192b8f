// Package username rewrites user names.
package username

import (
	"strconv"
	"strings"
)

// Rewrite changes a user name for one step: authentication, the lookup of the
// backend, or the backend's login. The zero value changes nothing.
type Rewrite struct {
	LowerCase   bool   // A to Z become a to z; other bytes stay
	StripDomain bool   // cut the name at the last delimiter
	AddDomain   string // domain for a name without a delimiter; "" adds none
	Delimiter   string // between name and domain, one or more characters; "" means "@"
}

// Apply rewrites in perdition's order: strip the domain, add the domain,
// lower-case. An empty name stays empty, so that a bare "@domain" can't become
// another domain's nameless user.
func (r Rewrite) Apply(user string) string {
	if r.StripDomain {
		user, _, _ = r.Split(user)
	}
	if r.AddDomain != "" && user != "" && !strings.Contains(user, r.Separator()) {
		user += r.Separator() + r.AddDomain
	}
	if r.LowerCase {
		user = LowerASCII(user)
	}
	return user
}

// String says what Apply does, in its order.
func (r Rewrite) String() string {
	var steps []string
	if r.StripDomain {
		steps = append(steps, "strip the domain")
	}
	if r.AddDomain != "" {
		steps = append(steps, "add the domain "+strconv.Quote(r.AddDomain))
	}
	if r.LowerCase {
		steps = append(steps, "lower-case")
	}
	if len(steps) == 0 {
		return "unchanged"
	}
	if (r.StripDomain || r.AddDomain != "") && r.Separator() != "@" {
		steps = append(steps, "delimiter "+strconv.Quote(r.Delimiter))
	}
	return strings.Join(steps, ", ")
}

// Separator is Delimiter, or "@" where that is empty.
func (r Rewrite) Separator() string {
	if r.Delimiter == "" {
		return "@"
	}
	return r.Delimiter
}

// Split cuts user at the last delimiter; found is false when there is none.
func (r Rewrite) Split(user string) (name, domain string, found bool) {
	i := strings.LastIndex(user, r.Separator())
	if i < 0 {
		return user, "", false
	}
	return user[:i], user[i+len(r.Separator()):], true
}

// LowerASCII lower-cases A to Z only: Unicode's rules make the Kelvin sign a
// "k" and every invalid byte the same character, so two users would be one.
func LowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
