package config

import (
	"fmt"
	"strings"
)

// reference prints the schema as Markdown, for docs/configuration.md.
func reference() string {
	var b strings.Builder
	for _, s := range describedSections() {
		referenceSection(&b, s)
	}
	return b.String()
}

func referenceSection(b *strings.Builder, s sectionSchema) {
	title := "At the top, before any section"
	if s.Name != "" {
		title = "`" + s.Header + "`"
	}
	fmt.Fprintf(b, "\n### %s\n", title)
	if s.Field.Doc != "" {
		fmt.Fprintf(b, "\n%s\n", s.Field.Doc)
	}
	if s.Parent || len(s.Fields) == 0 {
		return
	}
	b.WriteString("\n| key | takes | default | meaning |\n|---|---|---|---|\n")
	for _, f := range s.Fields {
		if !f.isSection() {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Key, takes(f), defaultCell(f), cell(f.Doc))
		}
	}
}

// takes returns what values a key has.
func takes(f field) string {
	if len(f.Enum) > 0 {
		return "`" + strings.Join(quotedWords(f.Enum), "`, `") + "`"
	}
	text := kindWords[f.Kind]
	if bounds := f.bounds(); bounds != "" {
		text += ", " + bounds
	}
	return text
}

func defaultCell(f field) string {
	switch {
	case f.Required:
		return "must be written"
	case f.Default != "":
		return "`" + f.literal(f.Default) + "`"
	}
	return ""
}

// cell keeps a text inside its cell of the table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
