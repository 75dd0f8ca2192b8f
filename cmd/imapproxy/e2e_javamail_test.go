package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"imapproxy/backend"
)

// TestJavaMail does with JavaMail what Java mail applications do, past the proxy and through it. The results are the
// same, except for what docs/javamail.md says, and nothing is left afterwards.
func TestJavaMail(t *testing.T) {
	t.Parallel() // most of it is waiting
	newJavaRig(t).exerciseAll(t, false, func(e javaEndpoint) bool { return e.way == asNginx && e.Mode != startTLS })
}

// exerciseAll runs the program at all endpoints but some, and wants each difference that the docs have to be there.
func (j *javaRig) exerciseAll(t *testing.T, jakarta bool, leaveOut func(javaEndpoint) bool) {
	t.Helper()
	seen := j.exercise(t, compileJavaMail(t, jakarta), slices.DeleteFunc(j.endpoints(), leaveOut))
	for d := range j.documented {
		if !seen[d] {
			t.Errorf("docs/javamail.md says %+v; it is not so", d)
		}
	}
	j.usedPool(t)
	for _, p := range []*process{j.own, j.nginx} {
		p.stop(t, syscall.SIGTERM, patience)
	}
}

// exercise runs the program, kills it, compares its results with what the docs say, and looks at what is left. It
// returns the differences that the docs have.
func (j *javaRig) exercise(t *testing.T, m javaMail, endpoints []javaEndpoint) map[difference]bool {
	t.Helper()
	results := m.run(t, j, endpoints, func() {
		if sessions, err := j.sessions(); err != nil || len(sessions) == 0 {
			t.Errorf("the program has %d sessions at the proxy before it is killed, %v", len(sessions), err)
		}
	})
	seen := j.compare(t, endpoints, results)
	j.nothingLeft(t, j.own, j.ownFDs)
	j.nginxRig.nothingLeft(t, j.nginx, j.nginxFDs)
	return seen
}

// usedPool checks that the users of the pool have got connections that others had left.
func (j *javaRig) usedPool(t *testing.T) {
	t.Helper()
	var pools []backend.PoolStats
	try(t, "pools", j.ask(http.MethodGet, "/pool", nil, &pools))
	for _, s := range pools {
		if s.Target == "one-pool" && s.Hits > 0 {
			return
		}
	}
	t.Errorf("no connection was used again: %+v", pools)
}

// difference is one between a check's result past the proxy and through it, on a way. It is comparable.
type difference struct{ check, way, directly, through string }

// compare wants the differences that the docs list and no others, and returns those.
func (j *javaRig) compare(t *testing.T, endpoints []javaEndpoint, results javaResults) map[difference]bool {
	t.Helper()
	seen := map[difference]bool{}
	for _, e := range endpoints {
		got, want := results[e.name], results[fmt.Sprintf("%s/%s", pastProxy, e.Mode)]
		if e.way == pastProxy {
			j.plausible(t, e.name, got)
		}
		all := map[string]string{}
		maps.Copy(all, want)
		maps.Copy(all, got)
		for _, check := range slices.Sorted(maps.Keys(all)) {
			d := difference{check, e.way, result(want, check), result(got, check)}
			if strings.HasPrefix(check, "capabilities ") && d.directly != d.through {
				d.directly, d.through = "", changes(d.directly, d.through)
			}
			switch {
			case d.directly == d.through && !j.differs(d):
			case j.documented[d]:
				seen[d] = true
			default:
				t.Errorf("%s, %s: %q, directly %q; docs/javamail.md says otherwise", e.name, check, d.through,
					d.directly)
			}
		}
	}
	return seen
}

// javaRefused are the checks in which Dovecot itself refuses something, or ends the connection. All others go well.
var javaRefused = []string{"the identity of another user", "proxyauth.user", "no such user", "an empty password",
	"a closed account", "a wrong password twice, then the right one", "a wrong password by the command LOGIN",
	"a certificate of an unknown authority", "no such mailbox", "access rights without ACL", "APPEND over the quota",
	"the server ends a session", "the server ends IDLE", "the operator ends a session", "the operator ends IDLE",
	"closed without LOGOUT"}

// plausible checks that the program has done what it is to do, directly at Dovecot.
func (j *javaRig) plausible(t *testing.T, name string, results map[string]string) {
	t.Helper()
	if len(results) < 60 {
		t.Errorf("%s: %d checks, want 60 or more", name, len(results))
	}
	for check, result := range results {
		if refused := slices.Contains(javaRefused, check); refused != strings.Contains(result, "Exception") {
			t.Errorf("%s, %s: %s, want an exception: %v", name, check, result, refused)
		}
		if strings.HasPrefix(check, "FETCH of 20 MB") && result != sum(j.Big) {
			t.Errorf("%s, %s: %s, want %s", name, check, result, sum(j.Big))
		}
		inClear := strings.HasSuffix(name, "/"+string(plain))
		if want := fmt.Sprint("true, TLS ", !inClear); check == "connect" && result != want {
			t.Errorf("%s, %s: %s, want %s", name, check, result, want)
		}
	}
}

// differs reports whether the docs have a difference of this check on this way: then it is one in each mode.
func (j *javaRig) differs(d difference) bool {
	for listed := range j.documented {
		if listed.check == d.check && listed.way == d.way {
			return true
		}
	}
	return false
}

func result(results map[string]string, check string) string {
	if r, made := results[check]; made {
		return r
	}
	return "no result"
}

// changes says what a list of capabilities has lost and gained.
func changes(directly, through string) string {
	before, after := strings.Fields(directly), strings.Fields(through)
	var text []string
	for _, name := range before {
		if !slices.Contains(after, name) {
			text = append(text, "-"+name)
		}
	}
	for _, name := range after {
		if !slices.Contains(before, name) {
			text = append(text, "+"+name)
		}
	}
	return strings.Join(text, " ")
}

// documentedDifferences reads the tables of docs/javamail.md that have five columns: the check, the ways, what it is
// directly, what it is through the proxy, and why.
func documentedDifferences(t *testing.T) map[difference]bool {
	t.Helper()
	all := map[difference]bool{}
	for row := range strings.Lines(mustRead(t, "../../docs/javamail.md")) {
		cells := strings.Split(row, "|") // the first is empty, and so is the last
		if len(cells) != 7 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		for way := range strings.SplitSeq(cells[2], ",") {
			all[difference{code(cells[1]), strings.TrimSpace(way), code(cells[3]), code(cells[4])}] = true
		}
	}
	return all
}

// code is what stands between backquotes.
func code(cell string) string {
	_, rest, _ := strings.Cut(cell, "`")
	text, _, _ := strings.Cut(rest, "`")
	return text
}
