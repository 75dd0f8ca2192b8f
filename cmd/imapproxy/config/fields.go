package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Path is the name of a file; a relative one is meant from the folder of
// the configuration file.
type Path string

// kind is the sort of value that a key takes.
type kind int

const (
	kindText kind = iota
	kindFlag
	kindCount
	kindSpan
	kindFile
	kindList
	kindDict
	kindTable
	kindTables
)

// words names the kinds for people.
var kindWords = map[kind]string{
	kindText: "string", kindFlag: "true or false", kindCount: "number", kindSpan: "duration", kindFile: "file name",
	kindList: "list of strings", kindDict: "table of strings", kindTable: "section", kindTables: "list of sections",
}

// field is one key of the schema.
type field struct {
	Index    []int // of reflect's FieldByIndex
	Key      string
	Doc      string // what it is for, of describedSections only
	Default  string
	Min, Max string
	Enum     []string
	Required bool
	Example  string
	Printed  bool   // `imapproxy config` prints it as a setting, not as a comment
	Like     string // the section whose keys this one takes, "" for its own
	Kind     kind
}

// fieldsOf reads the schema of a section from the tags of its struct and of
// those embedded in it.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		key := f.Tag.Get("key")
		if key == "" {
			continue
		}
		out := field{
			Index: f.Index, Key: key, Default: f.Tag.Get("default"),
			Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Required: f.Tag.Get("required") == "yes",
			Example: f.Tag.Get("example"), Printed: f.Tag.Get("print") != "no", Kind: kindOf(f.Type),
			Like: f.Tag.Get("like"),
		}
		switch enum := f.Tag.Get("enum"); enum {
		case "":
		case "sources":
			out.Enum = sourceNames(anySource)
		default:
			out.Enum = strings.Split(enum, "|")
		}
		if out.Kind == kindList && out.Example != "" {
			out.Example = "[" + quoteAll(strings.Split(out.Example, "|")) + "]"
		}
		fields = append(fields, out)
	}
	return fields
}

func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return kindSpan
	case reflect.TypeFor[Path]():
		return kindFile
	case reflect.TypeFor[[]string]():
		return kindList
	case reflect.TypeFor[map[string]string]():
		return kindDict
	}
	switch t.Kind() {
	case reflect.Bool:
		return kindFlag
	case reflect.Int:
		return kindCount
	case reflect.Struct:
		return kindTable
	case reflect.Slice:
		return kindTables
	}
	return kindText
}

// isSection reports whether the key holds keys of its own.
func (f field) isSection() bool { return f.Kind == kindTable || f.Kind == kindTables }

// literal returns a value of the schema's tags as TOML.
func (f field) literal(value string) string {
	switch f.Kind {
	case kindFlag, kindCount, kindList, kindDict:
		return value
	}
	return strconv.Quote(value)
}

// parse turns a value of the schema's tags, or the text of a duration, into the
// Go value of the field.
func (f field) parse(value string) (any, error) {
	switch f.Kind {
	case kindFlag:
		return strconv.ParseBool(value)
	case kindCount:
		return strconv.Atoi(value)
	case kindSpan:
		return time.ParseDuration(value)
	case kindText:
		return value, nil
	case kindFile:
		return Path(value), nil
	}
	return nil, fmt.Errorf("a %s has no default", kindWords[f.Kind])
}

// bounds returns which values are allowed, in words; "" for any.
func (f field) bounds() string {
	switch {
	case len(f.Enum) > 0:
		return "one of " + quoteAll(f.Enum)
	case f.Min != "" && f.Max != "":
		return f.literal(f.Min) + " to " + f.literal(f.Max)
	}
	return ""
}

func quoteAll(words []string) string { return strings.Join(quotedWords(words), ", ") }

func quotedWords(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return quoted
}
