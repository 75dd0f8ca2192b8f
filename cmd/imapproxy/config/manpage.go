package config

import (
	"strings"

	"imapproxy/cmd/roff"
)

// Manual is imapproxy.toml(5), of a version of imapproxy.
func Manual(version string) string {
	p := roff.New("imapproxy.toml", "5", version, "configuration of imapproxy")
	p.Section("Description")
	p.Text(examplePreface)
	for _, s := range describedSections() {
		if s.Name == "" {
			p.Section("At the top, before any section")
		} else {
			p.Section(s.Header)
			p.Text(s.Field.Doc)
		}
		for _, f := range s.Fields {
			if f.isSection() {
				continue
			}
			text := f.Doc + " Takes: " + strings.ReplaceAll(takes(f), "`", "") + "."
			if f.Required {
				text += " Must be written."
			} else if f.Default != "" {
				text += " Default: " + f.literal(f.Default) + "."
			}
			p.Item(f.Key, text)
		}
	}
	p.Section("See also")
	p.Text("imapproxy(8), imapproxy-users(5), imapproxy-map(5)")
	return p.String()
}
