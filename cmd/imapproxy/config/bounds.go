package config

import (
	"slices"
	"time"
)

// Bounds is what a key of the schema takes: from Least to Most, both included.
// Default is the zero value when the key has none.
type Bounds[T int | time.Duration] struct{ Least, Most, Default T }

// BoundsOf returns the bounds of a key by its full name, such as
// "limits.sessions". It panics when the schema has no such key or its values are
// not of type T: the names are constants of the program.
func BoundsOf[T int | time.Duration](key string) Bounds[T] {
	for _, s := range sections() {
		i := slices.IndexFunc(s.Fields, func(f field) bool { return (Place{Name: s.Name}).key(f.Key) == key })
		if i < 0 {
			continue
		}
		f := s.Fields[i]
		value := func(text string) T {
			if text == "" {
				return 0
			}
			parsed, _ := f.parse(text) // TestSchema has parsed them all
			return parsed.(T)
		}
		return Bounds[T]{value(f.Min), value(f.Max), value(f.Default)}
	}
	panic("the schema has no key " + key)
}
