package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imapproxy/backend"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/convert"
)

// compareUsers prints, for each user of a file, where perdition sends the user
// by its rules and where the result does.
func (p *program) compareUsers(result *convert.Result, file string) int {
	text, err := config.ReadLimited(file, maxUsersBytes)
	if err != nil {
		return p.failure("%s can't be read: %v", file, config.PlainPathError(err))
	}
	route, err := routesOf(result)
	if err != nil {
		return p.failure("the result can't be compared: %v", err)
	}
	table := newTable(p.stdout, "USER", "PERDITION", "IMAPPROXY", "RESULT")
	users, differences := 0, 0
	for line := range strings.Lines(text) {
		user := strings.TrimRight(line, "\r\n")
		if user == "" {
			continue
		}
		users++
		before, after, verdict := result.Old(user), route(user), "same"
		if !sameAnswer(before, after) {
			verdict = "DIFFERS"
			differences++
		}
		table.row(user, answerText(before), answerText(after), verdict)
	}
	table.end()
	_, _ = fmt.Fprintf(p.stdout, "%s, %d of them with a difference\n", counted(users, "user"), differences)
	if differences > 0 {
		return exitFailed
	}
	return exitOK
}

// maxUsersBytes bounds a list of users: a million names of 64 bytes.
const maxUsersBytes = 64 << 20

// routesOf makes the router of a conversion, in a folder of its own. What the
// listeners say does not matter here.
func routesOf(result *convert.Result) (func(user string) convert.Answer, error) {
	folder, err := os.MkdirTemp("", "imapproxy-convert")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	files := append([]convert.File{{Name: "imapproxy.toml", Text: result.Config}}, result.Maps...)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.Name), []byte(f.Text), 0o600); err != nil {
			return nil, err
		}
	}
	c, _ := config.Load(filepath.Join(folder, "imapproxy.toml"))
	r := &config.Report{}
	for i := range c.Targets {
		c.Targets[i].CA = "" // it is not dialled
	}
	c.Route.Backend.CA = ""
	named, template := buildBackends(c, r)
	router, _ := buildRouter(c, named, template, r)
	if r.Failed() {
		return nil, fmt.Errorf("%s", r.Of(config.Error)[0].Text)
	}
	name := rewriteOf(c.Rewrite.Auth)
	return func(user string) convert.Answer {
		route, err := router.Route(context.Background(), backend.Query{User: name.Apply(user)})
		if err != nil {
			return convert.Answer{Refused: err.Error()}
		}
		return convert.Answer{Backends: route.Target.Addresses, User: route.User}
	}, nil
}

// sameAnswer compares two answers; several backends are the same in any order.
func sameAnswer(a, b convert.Answer) bool {
	if a.Refused != "" || b.Refused != "" {
		return a.Refused != "" && b.Refused != ""
	}
	x, y := slices.Clone(a.Backends), slices.Clone(b.Backends)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y) && a.User == b.User
}

// answerText writes an answer into a cell.
func answerText(a convert.Answer) string {
	if a.Refused != "" {
		return "none"
	}
	return a.User + " at " + strings.Join(a.Backends, ", ")
}
