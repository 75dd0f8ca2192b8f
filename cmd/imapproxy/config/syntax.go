package config

import (
	"regexp"
	"slices"
	"strings"
)

// Lines as people write them who don't know TOML: a key, then "=", ":" or nothing.
var (
	keyLine = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+)(\s*=\s*|\s*:\s+|\s+)(.*?)\s*$`)
	bare    = regexp.MustCompile(`^[^\s"'\[\]{}#=,;]+$`) // one word, which lacks its quotes
	item    = regexp.MustCompile(`^\s*([A-Za-z0-9./:_*-]+)\s*,?\s*\]?\s*$`)
)

// mend returns what is wrong with a line that the TOML parser does not accept, and what to
// write; "" where that is not known. The value of a key that is no key of the schema is not
// repeated: it may be a secret.
func mend(line string) (text, remedy string) {
	line, _, _ = strings.Cut(line, " #")
	parts := keyLine.FindStringSubmatch(line)
	if parts == nil {
		if i := item.FindStringSubmatch(line); i != nil {
			return "text without quotes", "write \"" + i[1] + "\""
		}
		return "", ""
	}
	key, sign, value := parts[1], strings.TrimSpace(parts[2]), parts[3]
	fields := fieldsNamed(key)
	if value == "" && sign == "=" {
		return "there is no value", "write one after " + key + " ="
	}
	right, what := inTOML(value, fields)
	if right == "" || sign != "=" && len(fields) == 0 {
		return "", ""
	}
	if len(fields) == 0 {
		right = `"..."`
	}
	if sign != "=" {
		what = "there is no \"=\" after the key"
	}
	return what, "write " + key + " = " + right
}

// fieldsNamed returns the fields of all sections that have a key.
func fieldsNamed(key string) []field {
	var list []field
	for _, s := range sections() {
		for _, f := range s.Fields {
			if f.Key == key && !f.isSection() {
				list = append(list, f)
			}
		}
	}
	return list
}

// straight makes quotes of a word processor those of TOML.
var straight = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'")

// inTOML returns a value as TOML has it, and what is wrong with the one given; "" where
// that is not known.
func inTOML(value string, fields []field) (right, what string) {
	is := func(k kind) bool { return slices.ContainsFunc(fields, func(f field) bool { return f.Kind == k }) }
	if plain := strings.TrimSpace(strings.TrimSuffix(value, ";")); plain != value {
		if right, _ = inTOML(plain, fields); right != "" {
			return right, `a ";" at the end`
		}
	}
	list, isList := strings.CutPrefix(value, "[")
	switch lower := strings.ToLower(value); {
	case value == "":
		return "", ""
	case strings.ContainsRune(`"'`, rune(value[0])) && strings.Count(value, value[:1]) == 1:
		return value + value[:1], "text without its closing quotes"
	case straight.Replace(value) != value:
		return straight.Replace(value), "quotes that are not straight"
	case is(kindFlag) && slices.Contains([]string{"yes", "on", "true", "1"}, lower):
		return "true", "true is not written so"
	case is(kindFlag) && slices.Contains([]string{"no", "off", "false", "0"}, lower):
		return "false", "false is not written so"
	case isList && !strings.ContainsAny(value, `"'`):
		var items []string
		for word := range strings.FieldsFuncSeq(strings.TrimSuffix(list, "]"), func(r rune) bool {
			return r == ',' || r == ' '
		}) {
			items = append(items, `"`+word+`"`)
		}
		return "[" + strings.Join(items, ", ") + "]", "text without quotes"
	case bare.MatchString(value) && is(kindList):
		return `["` + value + `"]`, "text without quotes"
	case bare.MatchString(value) && strings.Contains(value, `\`):
		return "'" + value + "'", "text without quotes"
	case bare.MatchString(value):
		return `"` + value + `"`, "text without quotes"
	case len(value) > 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]:
		if strings.Contains(value, `\`) && value[0] == '"' {
			return "'" + value[1:len(value)-1] + "'", `a "\" in double quotes begins an escape`
		}
		return value, ""
	}
	return "", ""
}
