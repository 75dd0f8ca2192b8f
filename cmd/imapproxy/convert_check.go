package main

import (
	"path/filepath"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/convert"
	"imapproxy/imapproxy"
)

// refuseUnusable adds a refusal for each error that check would find in the
// result, with the directive that the line came from. Files are left out: they
// need not be on the machine that converts.
func refuseUnusable(conf string, result *convert.Result) {
	c, r := config.LoadText(filepath.Base(conf), result.Config)
	if c.Place.File != "" { // it is TOML
		s := &imapproxy.Settings{Listeners: map[string]*imapproxy.Listener{}}
		source := sourceOf(&c.Auth)
		s.Auth, _ = source.build(&c.Auth, r)
		for i := range c.Listeners {
			l := &c.Listeners[i]
			if source.own != nil && l.Place.Has("auth") {
				s.Listeners[l.Name] = &imapproxy.Listener{Auth: source.own(l, &c.Auth, r)}
			}
		}
		closeSources(s)
		if c.Route.Type == "auth" { // a map and a target's CA need not be here
			named, template := buildBackends(c, &config.Report{})
			buildRouter(c, named, template, r)
		}
	}
	for _, f := range r.Of(config.Error) {
		if f.Key == "log.file" || f.Key == "log.output.file" {
			continue // its folder may be on another machine
		}
		text := "the result would not pass check: " + f.Key + ": " + f.Text
		if f.Remedy != "" {
			text += "; " + f.Remedy
		}
		result.Findings = append(result.Findings, convert.Finding{File: filepath.Base(conf), Status: convert.Refused,
			Source: result.Origin(f.Line), Text: text})
	}
}
