package config

import (
	"fmt"
	"strings"
)

// commentWidth is where the comments of the example are wrapped.
const commentWidth = 96

// furtherSections follow the section of that name in the example, to show that
// it may be written more than once.
var furtherSections = map[string]string{
	"listener": `[[listener]]
name = "imaps"
address = ":993"
tls = "implicit"
certificate = "tls/imap.crt"
key = "tls/imap.key"
`,
}

const examplePreface = `A complete configuration of imapproxy. Every key is here: one that is commented out shows its
default, or what only some need. Relative file names are meant from the folder of this file.
"imapproxy check --config FILE" says whether it is good; SIGHUP lets a running proxy read it again.`

// Example prints the schema as a configuration file that passes check.
func Example() string {
	var b strings.Builder
	comment(&b, examplePreface)
	for _, s := range describedSections() {
		exampleSection(&b, s)
	}
	return b.String()
}

func exampleSection(b *strings.Builder, s sectionSchema) {
	off := "" // what switches a line off
	if s.Name != "" {
		b.WriteString("\n\n")
		comment(b, s.Field.Doc)
		if !s.Field.Printed {
			off = "#"
		}
		if !s.Parent {
			b.WriteString(off + s.Header + "\n")
		}
	}
	for _, f := range s.Fields {
		if !f.isSection() {
			b.WriteString("\n")
			exampleKey(b, f, off)
		}
	}
	if more := furtherSections[s.Name]; more != "" {
		b.WriteString("\n" + more)
	}
}

// exampleKey prints a key with its comment. A key with a default, or that only
// some need, is a comment itself.
func exampleKey(b *strings.Builder, f field, off string) {
	doc := f.Doc
	if bounds := f.bounds(); bounds != "" {
		doc += " " + strings.ToUpper(bounds[:1]) + bounds[1:] + "."
	}
	if f.Default != "" {
		doc += " Default: " + f.literal(f.Default) + "."
	}
	comment(b, doc)
	value := f.Example
	if value == "" {
		value, off = f.Default, "#"
	}
	if !f.Printed {
		off = "#"
	}
	fmt.Fprintf(b, "%s%s = %s\n", off, f.Key, f.literal(value))
}

// comment writes a text as comment lines.
func comment(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > commentWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
