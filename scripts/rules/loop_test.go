package rules

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// loopEntry is where the thread of an event loop begins its work. It runs the tasks, too.
const loopEntry = "(*imapproxy/backend/loop.Loop).Round"

// logEntry is what every log line goes through, by way of zerolog.
const logEntry = "(*imapproxy/cmd/imapproxy/logging.Writer).WriteLevel"

// loopYields are where a task lets its loop continue with others.
var loopYields = []string{
	"(*imapproxy/backend/loop.Task).GiveWay",
	"(*imapproxy/backend/loop.Task).Outside",
	"(*imapproxy/backend/loop.Task).Pause",
}

// checkLoop: the code that an event loop runs calls nothing that can block, and holds no lock
// where it yields. The rule follows every mention of a function of ours from loopEntry on: a
// method of an interface is that of every type of ours that implements it, and the call of a
// function's value is that of every function of its type that is kept as a value. What runs in
// another goroutine (go, loopHandsOver) is not followed. What belongs to another module must be in
// loopMayCall; it may call the methods of what it is given as an interface, crypto/tls the
// functions of its Config, and zerolog logEntry. A mutex that this code locks makes every function
// that locks it part of this code, since the loop waits for whoever holds it.
func checkLoop(files []*file) []string {
	c := newCodes(files)
	entry := c.named[loopEntry]
	if entry == nil {
		return append(c.problems, fmt.Sprintf("the event loop's entry %s does not exist", loopEntry))
	}
	l := &loopCheck{codes: c, reached: map[*code]bool{}, locked: map[*types.Var]string{}}
	for _, called := range append(c.tlsFunctions(), entry, c.named[logEntry]) {
		if called != nil { // a sample has no log
			l.add(called, nil, "")
		}
	}
	for l.follow(); l.addLockers(); l.follow() {
	}
	for in := range l.reached {
		if slices.Contains(loopWithout, in.name) {
			continue
		}
		for _, found := range in.faults {
			l.problems = append(l.problems, found+in.path())
		}
		l.checkLocks(in)
	}
	slices.Sort(l.problems)
	return slices.Compact(l.problems)
}

// loopCheck has what the event loop reaches.
type loopCheck struct {
	*codes
	reached map[*code]bool
	queue   []*code
	locked  map[*types.Var]string // mutexes that the loop locks, and where
}

// add has a function looked at; from has led to it.
func (l *loopCheck) add(next, from *code, why string) {
	if !l.reached[next] {
		l.reached[next] = true
		next.from, next.why = from, why
		l.queue = append(l.queue, next)
	}
}

// follow looks at all that is reached.
func (l *loopCheck) follow() {
	for len(l.queue) > 0 {
		in := l.queue[0]
		l.queue = l.queue[1:]
		l.look(in)
		next := slices.Concat(in.calls, in.keeps)
		if in.why != "" { // its callers are not the loop's code: a parameter may be anything
			for _, is := range in.parameters {
				next = append(next, l.valuesOf(is)...)
			}
		}
		for _, to := range next {
			l.add(to, in, "")
		}
		for mutex, at := range in.locks {
			if l.locked[mutex] == "" {
				l.locked[mutex] = at
			}
		}
	}
}

// addLockers adds every function that holds a mutex which the loop waits for.
func (l *loopCheck) addLockers() (more bool) {
	for _, in := range slices.AppendSeq(slices.Collect(maps.Values(l.named)), maps.Values(l.literals)) {
		l.look(in)
		for mutex := range in.locks {
			if at := l.locked[mutex]; at != "" {
				l.add(in, nil, fmt.Sprintf("; it locks %s, as the loop does at %s", mutex.Name(), at))
			}
		}
	}
	return len(l.queue) > 0
}

// checkLocks: a function that locks leads to no yield.
func (l *loopCheck) checkLocks(in *code) {
	if len(in.locks) == 0 {
		return
	}
	seen, queue := map[*code]*code{in: nil}, []*code{in}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if slices.Contains(loopYields, at.name) {
			how := shortName(at.name)
			for at = seen[at]; at != nil; at = seen[at] {
				how += " < " + shortName(at.name)
			}
			where := slices.Sorted(maps.Values(in.locks))[0]
			l.problems = append(l.problems, fmt.Sprintf("%s: a lock is held where the task may yield: %s", where, how))
			return
		}
		for _, next := range at.calls {
			if _, known := seen[next]; !known {
				seen[next] = at
				queue = append(queue, next)
			}
		}
	}
}

// path says how the loop comes to a function.
func (c *code) path() string {
	if c.why != "" || c.from == nil {
		return c.why
	}
	names := []string{}
	for at := c; at != nil; at = at.from {
		names = append(names, shortName(at.name)+at.why)
	}
	return "; the loop runs " + strings.Join(names, " < ")
}

// shortName returns a function's name without the module's.
func shortName(name string) string { return strings.ReplaceAll(name, module+"/", "") }
