package config

import (
	_ "embed"
	"fmt"
	"strings"
)

// keysText describes each section and each key for people: a line with the
// section's name in brackets or with the key, then the description, indented.
// The keys at the top come first. The order is that of the structs.
//
//go:embed keys.txt
var keysText string

// ownSections is sections without the keys and sections that are another's: see
// the tag "like".
func ownSections() []sectionSchema {
	var list []sectionSchema
	borrowed := "" // the last section with keys of another's, and a dot
	for _, s := range sections() {
		if borrowed != "" && strings.HasPrefix(s.Name, borrowed) {
			continue
		}
		if s.Field.Like != "" {
			s.Fields, borrowed = nil, s.Name+"."
		}
		list = append(list, s)
	}
	return list
}

// describedSections is ownSections with what keys.txt says about them.
func describedSections() []sectionSchema {
	described, _ := parseDescriptions(keysText) // TestDescriptions has seen that there is none
	list := ownSections()
	for i := range list {
		s := &list[i]
		s.Field.Doc = described[s.Name]
		for k := range s.Fields {
			s.Fields[k].Doc = described[(Place{Name: s.Name}).key(s.Fields[k].Key)]
		}
	}
	return list
}

// parseDescriptions returns the descriptions by the full names of sections and
// keys, each in one line.
func parseDescriptions(text string) (map[string]string, error) {
	described := map[string]string{}
	section, name, line := "", "", 0
	for raw := range strings.Lines(text) {
		line++
		trimmed := strings.TrimSpace(raw)
		indented := strings.HasPrefix(raw, " ")
		switch {
		case trimmed == "":
			continue
		case indented && name == "":
			return nil, fmt.Errorf("keys.txt:%d: a description of nothing", line)
		case indented:
			described[name] = strings.TrimSpace(described[name] + " " + trimmed)
			continue
		case strings.HasPrefix(trimmed, "["):
			section = strings.Trim(trimmed, "[]")
			name = section
		default:
			name = (Place{Name: section}).key(trimmed)
		}
		if _, twice := described[name]; twice {
			return nil, fmt.Errorf("keys.txt:%d: %s is described twice", line, name)
		}
		described[name] = ""
	}
	return described, nil
}
