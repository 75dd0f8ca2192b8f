package config

import (
	"reflect"
	"slices"
	"strings"
)

// suggest returns what may have been meant by an unknown key: a key of the same
// section that is written nearly the same, or the section it belongs to.
func suggest(key string, fields []field) string {
	if text := meant(key, fields); text != "" {
		return text
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Key
	}
	if near := Nearest(key, names); near != "" {
		return "did you mean " + near + "?"
	}
	if homes := homesOf(key); len(homes) > 0 {
		return "it belongs in " + strings.Join(homes, " or ")
	}
	return "remove it, or write one of " + strings.Join(names, ", ")
}

// Nearest returns the word that is written nearly as the one given, "" where there is none.
func Nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := editDistance(strings.ToLower(word), k); n < distance {
			best, distance = k, n
		}
	}
	return best
}

// homesOf lists the sections of the schema that have a key.
func homesOf(key string) []string {
	var homes []string
	for _, s := range sections() {
		if s.Name != "" && slices.ContainsFunc(s.Fields, func(f field) bool { return f.Key == key && !f.isSection() }) {
			homes = append(homes, s.Header)
		}
	}
	return homes
}

// sectionSchema is one section of the file.
type sectionSchema struct {
	Name   string // dotted, "" for the top
	Header string // as it is written, "" for the top
	Field  field  // what its parent says about it
	Fields []field
	Parent bool // it holds nothing but sections
}

// sections lists the schema in the order of the structs, parents first.
func sections() []sectionSchema {
	list := []sectionSchema{{}}
	types := []reflect.Type{reflect.TypeFor[File]()}
	for i := 0; i < len(list); i++ {
		t := types[i]
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		list[i].Fields = fieldsOf(t)
		list[i].Parent = !slices.ContainsFunc(list[i].Fields, func(f field) bool { return !f.isSection() })
		at := i
		for _, f := range list[i].Fields {
			if !f.isSection() {
				continue
			}
			name := (Place{Name: list[i].Name}).key(f.Key)
			if list[i].Field.Kind == kindTable && !list[i].Field.Printed {
				f.Printed = false
			}
			at++
			list = slices.Insert(list, at, sectionSchema{Name: name, Header: header(f, name), Field: f})
			types = slices.Insert(types, at, t.FieldByIndex(f.Index).Type)
		}
	}
	return list
}

// editDistance is Levenshtein's: how many letters have to be changed.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
