package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder carries a parsed TOML text into the structs of the schema and reports
// all that does not fit. It goes on after an error, so that one run tells all.
type decoder struct {
	file   string
	folder string
	lines  lineIndex
	report *Report
}

// section decodes the keys of one table. path is where it stands in the file,
// name how messages call it; absent means that the file does not hold it.
func (d *decoder) section(path []string, name string, in map[string]any, out reflect.Value) {
	at := Place{File: d.file, Name: name, Head: d.lines[joinPath(path...)], Lines: map[string]int{}}
	for key := range in {
		at.Lines[key] = cmp.Or(d.lines[joinPath(extend(path, key)...)], at.Head, 1)
	}
	out.FieldByName("Place").Set(reflect.ValueOf(at))
	fields := fieldsOf(out.Type())
	for _, f := range fields {
		value, written := in[f.Key]
		d.field(f, at, path, value, written, out.FieldByIndex(f.Index))
	}
	d.unknown(at, fields, in)
}

// unknown reports the keys that the schema does not have.
func (d *decoder) unknown(at Place, fields []field, in map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(in)) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.Key == key }) {
			d.report.Errorf(at, key, suggest(key, fields), "unknown key")
		}
	}
}

// field decodes one key of a section, or its default.
func (d *decoder) field(f field, at Place, path []string, value any, written bool, out reflect.Value) {
	if f.isSection() {
		d.nested(f, at, path, value, written, out)
		return
	}
	if f.Default != "" {
		d.put(f, at, f.Default, out) // stays when what is written is wrong
	}
	switch {
	case written:
		d.scalar(f, at, value, out)
	case f.Required:
		d.report.Errorf(at, f.Key, "write, for example, "+f.Key+" = "+f.literal(f.Example), "missing")
	}
}

// nested decodes a table or an array of tables. A table that is not written is
// decoded from nothing, which sets its defaults.
func (d *decoder) nested(f field, at Place, path []string, value any, written bool, out reflect.Value) {
	name := at.key(f.Key)
	if f.Required && !written {
		d.report.Errorf(at, f.Key, "write a section "+header(f, name), "missing")
	}
	path = extend(path, f.Key)
	if f.Kind == kindTable {
		table, ok := value.(map[string]any)
		if written && !ok {
			d.wrongType(f, at, value)
		}
		if !written && f.Required {
			return // one error is enough
		}
		d.section(path, name, table, out)
		return
	}
	if !written {
		return
	}
	tables, ok := tablesOf(value)
	if !ok {
		d.wrongType(f, at, value)
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(tables), len(tables)))
	for i, table := range tables {
		d.section(extend(path, strconv.Itoa(i)), name, table, out.Index(i))
	}
}

// header returns a section's header as it is written.
func header(f field, name string) string {
	if f.Kind == kindTables {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

func tablesOf(value any) ([]map[string]any, bool) {
	if tables, ok := value.([]map[string]any); ok {
		return tables, true
	}
	items, ok := value.([]any)
	if !ok {
		return nil, false
	}
	tables := make([]map[string]any, len(items))
	for i, item := range items {
		if tables[i], ok = item.(map[string]any); !ok {
			return nil, false
		}
	}
	return tables, true
}

// scalar decodes a value that is written in the file.
func (d *decoder) scalar(f field, at Place, value any, out reflect.Value) {
	switch v := value.(type) {
	case bool:
		if f.Kind == kindFlag {
			out.SetBool(v)
			return
		}
	case int64:
		if f.Kind == kindCount {
			d.put(f, at, strconv.FormatInt(v, 10), out)
			return
		}
	case string:
		if f.Kind == kindText || f.Kind == kindSpan || f.Kind == kindFile {
			d.put(f, at, v, out)
			return
		}
	case []any:
		if f.Kind == kindList {
			d.list(f, at, v, out)
			return
		}
	case map[string]any:
		if f.Kind == kindDict {
			d.dict(f, at, v, out)
			return
		}
	}
	d.wrongType(f, at, value)
}

// put checks a value that is given as text and sets it.
func (d *decoder) put(f field, at Place, text string, out reflect.Value) {
	if f.Kind == kindFile {
		if text == "" {
			d.report.Errorf(at, f.Key, "name a file or remove the line", "empty")
			return
		}
		if !filepath.IsAbs(text) {
			text = filepath.Join(d.folder, text)
		}
	}
	if f.Required && text == "" {
		d.report.Errorf(at, f.Key, "write, for example, "+f.Key+" = "+f.literal(f.Example), "empty")
		return
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, text) {
		d.report.Errorf(at, f.Key, "write one of "+quoteAll(f.Enum), "%q is not known", text)
		return
	}
	parsed, err := f.parse(text)
	if err != nil {
		d.report.Errorf(at, f.Key, "write "+kindExample(f), "%q is not %s", text, article(kindWords[f.Kind]))
		return
	}
	if f.outside(parsed) {
		d.report.Errorf(at, f.Key, "write "+f.bounds(), "%s is out of range", text)
		return
	}
	out.Set(reflect.ValueOf(parsed))
}

// outside reports whether a number or a duration breaks the field's bounds.
func (f field) outside(parsed any) bool {
	if f.Min == "" && f.Max == "" {
		return false
	}
	least, _ := f.parse(f.Min)
	most, _ := f.parse(f.Max)
	switch v := parsed.(type) {
	case int:
		return v < least.(int) || v > most.(int)
	case time.Duration:
		return v < least.(time.Duration) || v > most.(time.Duration)
	}
	return false
}

func (d *decoder) list(f field, at Place, in []any, out reflect.Value) {
	list := make([]string, 0, len(in))
	for _, item := range in {
		text, ok := item.(string)
		if !ok {
			d.strayItem(f, at, item)
			return
		}
		list = append(list, text)
	}
	if f.Required && len(list) == 0 {
		d.report.Errorf(at, f.Key, "write, for example, "+f.Key+" = "+f.Example, "empty")
		return
	}
	out.Set(reflect.ValueOf(list))
}

func (d *decoder) dict(f field, at Place, in map[string]any, out reflect.Value) {
	dict := make(map[string]string, len(in))
	for key, item := range in {
		text, ok := item.(string)
		if !ok {
			d.strayItem(f, at, item)
			return
		}
		dict[key] = text
	}
	out.Set(reflect.ValueOf(dict))
}

// strayItem reports an element of a list or table that is no string.
func (d *decoder) strayItem(f field, at Place, item any) {
	d.report.Errorf(at, f.Key, "write "+kindExample(f), "holds %s", article(tomlType(item)))
}

// wrongType reports a value of another type than the key takes.
func (d *decoder) wrongType(f field, at Place, value any) {
	remedy := "write " + kindExample(f)
	if n, ok := value.(int64); ok && f.Kind == kindSpan {
		remedy = fmt.Sprintf("write \"%ds\" if seconds are meant", n)
	}
	if right := f.asMeant(value); right != "" {
		remedy = "write " + f.Key + " = " + right
	}
	if f.isSection() {
		remedy = "write a section " + header(f, at.key(f.Key))
	}
	d.report.Errorf(at, f.Key, remedy, "is %s, not %s", article(tomlType(value)), article(kindWords[f.Kind]))
}

// asMeant returns a value of another type as the field takes it, "" where it can't.
func (f field) asMeant(value any) string {
	switch v := value.(type) {
	case int64, float64:
		if text := fmt.Sprint(v); f.Kind == kindText && (len(f.Enum) == 0 || slices.Contains(f.Enum, text)) {
			return strconv.Quote(text)
		}
	case string:
		switch right, _ := inTOML(v, []field{f}); {
		case f.Kind == kindFlag && (right == "true" || right == "false"):
			return right
		case f.Kind == kindList:
			return "[" + strconv.Quote(v) + "]"
		case f.Kind == kindCount:
			if n, err := strconv.Atoi(v); err == nil {
				return strconv.Itoa(n)
			}
		}
	}
	return ""
}

// kindExample shows how a value of the field's kind is written.
func kindExample(f field) string {
	switch f.Kind {
	case kindFlag:
		return "true or false"
	case kindCount:
		return "a whole number, such as " + cmp.Or(f.Default, "1")
	case kindSpan:
		return `a number with its unit, such as "30s", "35m" or "1h"`
	case kindList:
		return `a list, such as ["a", "b"]`
	case kindDict:
		return `a table, such as { A = "b" }`
	}
	return "text in quotes"
}

func article(words string) string {
	if strings.HasPrefix(words, "true") {
		return words
	}
	return "a " + words
}

// tomlType names the type of a parsed value.
func tomlType(value any) string {
	switch value.(type) {
	case bool:
		return "true or false"
	case int64:
		return "number"
	case float64:
		return "number with a point"
	case string:
		return "string"
	case []any, []map[string]any:
		return "list"
	case map[string]any:
		return "table"
	case time.Time:
		return "date"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", value), "toml.")
}
