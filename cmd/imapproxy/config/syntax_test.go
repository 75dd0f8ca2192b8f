package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// findingOn loads a configuration that ends in a line and returns what is said of it.
func findingOn(t *testing.T, section, line string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.toml")
	mustWrite(t, name, section+"\n"+line+"\n")
	_, r := Load(name)
	last := 1 + strings.Count(section, "\n") + 1 + strings.Count(line, "\n")
	for _, f := range r.Of(Error) {
		if f.Line == last && !strings.HasPrefix(f.Text, "missing") {
			return strings.TrimPrefix(f.String()[len(name):], ":"+strconv.Itoa(last)+": error: ")
		}
	}
	return ""
}

// TestTypicalSyntax: what people write who don't know TOML is recognized, and what they read is
// the line as it has to be.
func TestTypicalSyntax(t *testing.T) {
	const rest = "; nothing else has been checked"
	for line, want := range map[string]string{
		`tls = implicit`:                `TOML: text without quotes; write tls = "implicit"` + rest,
		`tls = starttls # as before`:    `TOML: text without quotes; write tls = "starttls"` + rest,
		`addresses = [127.0.0.1:143]`:   `TOML: text without quotes; write addresses = ["127.0.0.1:143"]` + rest,
		`addresses = [a:1, [::1]:2]`:    `TOML: text without quotes; write addresses = ["a:1", "[::1]:2"]` + rest,
		`addresses = one.example:143`:   `TOML: text without quotes; write addresses = ["one.example:143"]` + rest,
		"addresses = [\n  a.example:1,": `TOML: text without quotes; write "a.example:1"` + rest,
		`connect_timeout = 30s`:         `TOML: text without quotes; write connect_timeout = "30s"` + rest,
		`ca = /etc/ca.pem`:              `TOML: text without quotes; write ca = "/etc/ca.pem"` + rest,
		`ca = C:\ca.pem`:                `TOML: text without quotes; write ca = 'C:\ca.pem'` + rest,
		`ca = "C:\ca.pem"`:              `TOML: a "\" in double quotes begins an escape; write ca = 'C:\ca.pem'` + rest,
		`verify = yes`:                  `TOML: true is not written so; write verify = true` + rest,
		`verify = False`:                `TOML: false is not written so; write verify = false` + rest,
		`tls = off`:                     `TOML: text without quotes; write tls = "off"` + rest,
		`tls: "off"`:                    `TOML: there is no "=" after the key; write tls = "off"` + rest,
		`tls off;`:                      `TOML: there is no "=" after the key; write tls = "off"` + rest,
		`tls = "off";`:                  `TOML: a ";" at the end; write tls = "off"` + rest,
		`tls = “off”`:                   `TOML: quotes that are not straight; write tls = "off"` + rest,
		`tls = "off`:                    `TOML: text without its closing quotes; write tls = "off"` + rest,
		`tls =`:                         `TOML: there is no value; write one after tls =` + rest,
		`x-auth-key = c4nary`:           `TOML: text without quotes; write x-auth-key = "..."` + rest,
		`tls_min = 1.2`: `target.tls_min: is a number with a point, not a string; write tls_min = ` +
			`"1.2"`,
		`tls_min = 2`:   `target.tls_min: is a number, not a string; write text in quotes`,
		`verify = "no"`: `target.verify: is a string, not true or false; write verify = false`,
		`addresses = "a.example:1"`: `target.addresses: is a string, not a list of strings; write addresses = ` +
			`["a.example:1"]`,
		`pool.max_idle = "5"`: `target.pool.max_idle: is a string, not a number; write max_idle = 5`,
		`pool.max_idle = "a"`: `target.pool.max_idle: is a string, not a number; write a whole number, ` +
			`such as 1000`,
		`ssl_certificate = "x"`: `target.ssl_certificate: unknown key; did you mean certificate? It ` +
			`belongs in [[listener]] or [[listener.certificates]]`,
		`server = "a.example"`: `target.server: unknown key; did you mean addresses?`,
		`login_trusted_networks = "x"`: `target.login_trusted_networks: unknown key; ` +
			`` + elsewhere["login_trusted_networks"],
		`SSL_CA = "x"`:             `target.SSL_CA: unknown key; did you mean ca?`,
		`adresses = ["a.example"]`: `target.adresses: unknown key; did you mean addresses?`,
		`max_idle = 5`:             `target.max_idle: unknown key; it belongs in [route.backend.pool] or [target.pool]`,
	} {
		if got := findingOn(t, "[[target]]", line); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
	for line, want := range map[string]string{
		`[[server]]`:    `server: unknown key; did you mean [[listener]]?`,
		`[[upstream]]`:  `upstream: unknown key; did you mean [[target]]?`,
		`[[listeners]]`: `listeners: unknown key; did you mean listener?`,
	} {
		if got := findingOn(t, "hostname = \"x.example\"", line); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// TestForeignWords: each word leads to a key or a section that there is.
func TestForeignWords(t *testing.T) {
	known := func(name string) bool {
		return len(homesOf(name)) > 0 || name == "hostname" ||
			slices.ContainsFunc(sections(), func(s sectionSchema) bool { return s.Name == name })
	}
	for word, names := range foreignWords {
		for _, name := range names {
			if !known(name) {
				t.Errorf("%s: there is no %s", word, name)
			}
		}
		if meant(word, nil) == "" {
			t.Errorf("%s: no suggestion", word)
		}
	}
}
