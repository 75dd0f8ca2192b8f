package config

import (
	"reflect"
	"slices"
	"strings"

	"imapproxy/cmd/cli"
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
	if near := cli.Nearest(key, names); near != "" {
		return "did you mean " + near + "?"
	}
	if homes := homesOf(key); len(homes) > 0 {
		return "it belongs in " + strings.Join(homes, " or ")
	}
	return "remove it, or write one of " + strings.Join(names, ", ")
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
