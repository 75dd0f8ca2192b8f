package main

import (
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"text/template"

	"imapproxy/auth"
	"imapproxy/cmd/imapproxy/config"
)

func demoCommand() command {
	return command{
		name:    "demo",
		summary: "runs the proxy in front of two backends in memory, to try it out",
		details: `
Nothing is installed and nothing is kept: the backends, their mail, the users,
the certificate and the configuration are made at the start, in a temporary
folder that is removed at the end. Ctrl-C ends it.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := demoOptions{}
			fs.StringVar(&o.plain, "plain", "127.0.0.1:1143", "`HOST:PORT` for STARTTLS")
			fs.StringVar(&o.tls, "tls", "127.0.0.1:1993", "`HOST:PORT` for TLS")
			return func(p *program, _ []string) int { return p.demo(o) }
		},
	}
}

type demoOptions struct{ plain, tls string }

// demoUser is a user who can log in. The password is the demo's, for all to
// read.
type demoUser struct {
	name, password, backend string
}

func demoUsers() []demoUser {
	return []demoUser{
		{"alice", "wonderland", "one"},
		{"bob", "builder", "two"},
	}
}

func (p *program) demo(o demoOptions) (code int) {
	reserveProcessor()
	dir, err := os.MkdirTemp("", "imapproxy-demo-")
	if err != nil {
		return p.failure("%v", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			code = p.failure("%v", err)
		}
	}()
	backends, err := startDemoBackends(demoUsers())
	if err != nil {
		return p.failure("%v", err)
	}
	defer backends.close()
	file, err := writeDemo(dir, o, backends)
	if err != nil {
		return p.failure("%v", err)
	}
	load := func() (*generation, *config.Report) { return loadGeneration(file) }
	g, r := load()
	r.Print(p.stderr)
	if r.Failed() {
		return exitFailed
	}
	return p.runDaemon(g, load, func(d *daemon) { p.demoWelcome(file, d) })
}

// demoConfig is what a person would write for two backends on one machine.
var demoConfig = template.Must(template.New("demo").Parse(`hostname = "demo.example"

[[listener]]
name = "imap"
address = "{{.Plain}}"
tls = "starttls"
certificate = "cert.pem"
key = "key.pem"

[[listener]]
name = "imaps"
address = "{{.TLS}}"
tls = "implicit"
certificate = "cert.pem"
key = "key.pem"

[limits]
drain_timeout = "1s"
bye_timeout = "300ms"
sessions = 1000
{{if .Admin}}
[admin]
address = "unix:admin.sock"
{{end}}
[auth]
type = "file"
file = "users"

[route]
type = "map"
file = "map"
{{range $name, $address := .Backends}}
[[target]]
name = "{{$name}}"
addresses = ["{{$address}}"]
tls = "off"

[target.pool]
mode = "on"
listeners = ["imaps"]
{{end}}`))

// writeDemo writes a configuration with its files and returns its name.
func writeDemo(dir string, o demoOptions, b *demoBackends) (string, error) {
	var users, routes string
	for _, u := range demoUsers() {
		hash, err := auth.HashPassword(auth.Secret(u.password), "argon2id")
		if err != nil {
			return "", err
		}
		users += u.name + ":" + hash + "\n"
		routes += u.name + " " + u.backend + "\n"
	}
	cert, key, err := selfSigned("localhost", net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "imapproxy.toml")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = demoConfig.Execute(f, map[string]any{"Plain": o.plain, "TLS": o.tls, "Backends": b.addresses,
		"Admin": len(filepath.Join(dir, "admin.sock")) <= config.MaxSocketPath})
	err = errors.Join(err, f.Close())
	for name, text := range map[string]string{"users": users, "map": routes, "cert.pem": string(cert),
		"key.pem": string(key)} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return file, err
}
