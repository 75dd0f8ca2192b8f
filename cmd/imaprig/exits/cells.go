package exits

import (
	"fmt"
	"slices"
	"strings"
)

// cell is a fault of the backend and an ending of the client.
type cell struct {
	Mode   string `json:"mode"`
	Ending string `json:"ending"`
}

func (c cell) String() string { return c.Mode + "/" + c.Ending }

// modeEndings returns the pairs that make sense, in the order in which they are run. A mode that is left by every
// client in the same way has one ending only. What fills the accept queue comes last: it is never emptied.
func modeEndings() []modeOf {
	leaving := []string{"idle", "in-idle", "mid-fetch", "mid-fetch-small", "mid-append", "mid-append-large",
		"rst", "logout", "half-close", "vanish"}
	refused := []string{"login-refused"}
	return []modeOf{
		{"good", append([]string{"before-login", "login-refused"}, leaving...)},
		{"no-close-without-logout", leaving},
		{"no-close-on-eof", leaving},
		{"poll-available", []string{"idle", "in-idle", "mid-append", "mid-append-large", "rst", "logout", "vanish"}},
		{"stuck-worker", []string{"idle", "unanswered", "rst", "logout", "half-close", "vanish"}},
		{"stuck-fetch", []string{"mid-fetch", "mid-fetch-small", "stalled-fetch"}},
		{"auth-fail", refused},
		{"auth-fail-noclose", refused},
		{"auth-fail-poll", refused},
		{"server-closes-first", []string{"backend-closes-vanished", "backend-closes-unread"}},
		{"bye-no-close", []string{"backend-says-bye"}},
		{"server-rst", []string{"backend-resets"}},
		{"login-delay=20000", []string{"mid-login"}},
		{"slow-greeting", []string{"backend-never-greets"}},
		{"never-accepts", []string{"backend-never-greets"}},
	}
}

// modeOf is a mode of a backend with the endings that it is run with.
type modeOf struct {
	mode    string
	endings []string
}

// modesOf returns the modes of a kind of backend. One with faults of its own has few that can be set.
func modesOf(kind string) []modeOf {
	if kind == kindJava {
		return modeEndings()
	}
	modes := []modeOf{{modeAsIs, []string{"before-login", "login-refused", "idle", "in-idle", "mid-fetch",
		"mid-fetch-small", "mid-append", "mid-append-large", "rst", "logout", "half-close", "vanish"}}}
	if kind == kindDavMail {
		modes = append(modes,
			modeOf{modeHanging, []string{"idle", "in-idle", "rst", "logout", "half-close", "vanish"}},
			modeOf{modeHangingFetch, []string{"unanswered"}},
			modeOf{modeHangingLogin, []string{"mid-login"}},
			modeOf{modeHangingConnect, []string{"backend-never-greets"}})
	}
	return modes
}

// chooseCells returns the pairs of these modes and endings that a kind of backend can be run with; none named means
// all. A name that does not exist, and a choice that leaves no pair, is an error that lists what there is.
func chooseCells(kind string, modes, endings []string) ([]cell, error) {
	all := modesOf(kind)
	var known []string
	for _, me := range all {
		known = append(known, me.mode)
	}
	var names []string
	for _, w := range allEndings() {
		names = append(names, w.name)
	}
	if err := checkNames("mode", modes, known); err != nil {
		return nil, err
	}
	if err := checkNames("ending", endings, names); err != nil {
		return nil, err
	}
	var cells []cell
	for _, me := range all {
		for _, e := range me.endings {
			if (len(modes) == 0 || slices.Contains(modes, me.mode)) &&
				(len(endings) == 0 || slices.Contains(endings, e)) {
				cells = append(cells, cell{me.mode, e})
			}
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no pair of these modes and endings makes sense; see imaprig exits --help")
	}
	return cells, nil
}

func checkNames(what string, names, known []string) error {
	for _, n := range names {
		if !slices.Contains(known, n) {
			return fmt.Errorf("no %s %q; there are %s", what, n, strings.Join(known, ", "))
		}
	}
	return nil
}

// endingOf returns the ending of a cell; chooseCells has made sure that there is one.
func endingOf(c cell) ending {
	all := allEndings()
	return all[slices.IndexFunc(all, func(w ending) bool { return w.name == c.Ending })]
}

// cellsHelp returns a list of the modes with their endings, and the endings in words.
func cellsHelp() string {
	var b strings.Builder
	for _, of := range []struct{ what, kind string }{{"the Java program", kindJava}, {"--backend davmail", kindDavMail},
		{"--server", kindServer}} {
		fmt.Fprintf(&b, "Modes of %s, with the endings that each is run with:\n", of.what)
		for _, me := range modesOf(of.kind) {
			fmt.Fprintf(&b, "  %-24s %s\n", me.mode, strings.Join(me.endings, ", "))
		}
		b.WriteString("\n")
	}
	b.WriteString("Endings:\n")
	for _, w := range allEndings() {
		fmt.Fprintf(&b, "  %-24s %s\n", w.name, w.text)
	}
	return b.String()
}
