package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSources wants each key of a source in the schema, each mechanism known,
// and each source able to judge or to hand on a password.
func TestSources(t *testing.T) {
	keys := fieldsOf(reflect.TypeFor[Auth]())
	for _, s := range Sources() {
		if s.Key != "" && !slices.ContainsFunc(keys, func(f field) bool { return f.Key == s.Key }) {
			t.Errorf("%s: [auth] has no key %s", s.Name, s.Key)
		}
		for _, m := range s.Mechanisms {
			if !slices.Contains(saslMechanisms(), m) {
				t.Errorf("%s: there is no mechanism %s", s.Name, m)
			}
		}
		if !s.serves(plain) || !s.serves(login) {
			t.Errorf("%s does not serve PLAIN and LOGIN", s.Name)
		}
	}
}

// TestCacheOfSources takes [auth.cache] only where there is something to remember.
func TestCacheOfSources(t *testing.T) {
	for _, s := range Sources() {
		a := &Auth{Place: Place{Name: "auth", Lines: map[string]int{"type": 1, "cache": 2}}, Type: s.Name}
		r := &Report{}
		checkAuth(a, r)
		refused := strings.Contains(fmt.Sprint(r.Of(Error)), "auth.cache")
		if refused == s.Caches {
			t.Errorf("type %q: %v", s.Name, r.Of(Error))
		}
	}
}
