package rules

import "strings"

// badInLoop are sources that break the rule on what an event loop runs.
var badInLoop = []badSource{
	{"loop", "the event loop's entry", []source{{"imapproxy/loop.go", "package imapproxy"}}},
	{"loop", "imapproxy/member.go:6: mentions time.Sleep", inLoop("time", `time.Sleep(1)`)},
	{"loop", "mentions (*sync.WaitGroup).Wait", inLoop("sync", `new(sync.WaitGroup).Wait()`)},
	{"loop", "mentions net.Dial", inLoop("net", `_, _ = net.Dial("tcp", "")`)},
	{"loop", "mentions (*net.Resolver).LookupHost", inLoop("net", `f := net.DefaultResolver.LookupHost; _ = f`)},
	{"loop", "mentions net/http.Get", inLoop("net/http", `_, _ = http.Get("")`)},
	{"loop", "mentions os.ReadFile", inLoop("os", `_, _ = os.ReadFile("")`)},
	{"loop", "uses os.Stderr", inLoop("os", `var _ = os.Stderr`)},
	{"loop", "receives from a channel", inLoop("", `<-l.c`)},
	{"loop", "receives from a channel", inLoop("", `for range l.c { }`)},
	{"loop", "sends to a channel", inLoop("", `l.c <- 1`)},
	{"loop", "selects without default", inLoop("", `select { case <-l.c: }`)},

	// a mutex that another goroutine holds
	{"loop", "sends to a channel; it locks mu, as the loop does at imapproxy/member.go:6", inLoop("sync",
		`l.mu.Lock(); l.mu.Unlock() }
func (l *loop) other() { l.mu.Lock(); defer l.mu.Unlock(); l.c <- 1`)},
	{"loop", "sends to a channel; it locks mu", inLoop("sync", `l.mu.Lock(); l.mu.Unlock() }
func (l *loop) other() { go func() { l.mu.Lock(); defer l.mu.Unlock(); l.c <- 1 }()`)},
	{"loop", "sends to a channel; the loop runs (*imapproxy.loop).other < (*imapproxy.loop).locks; it locks mu",
		inLoop("sync", `l.mu.Lock(); l.mu.Unlock() }
func (l *loop) locks(f func()) { l.mu.Lock(); defer l.mu.Unlock(); f() }
func (l *loop) elsewhere() { l.locks(l.other) }
func (l *loop) other() { l.c <- 1`)},

	// what is called by other ways than its name
	{"loop", "sends to a channel; the loop runs (*imapproxy.loop).method < (*imapproxy.loop).do",
		inLoop("", `run(l.method) }
func run(f func()) { f() }
func (l *loop) method() { l.c <- 1`)},
	{"loop", "sends to a channel; the loop runs (*imapproxy.loop).wake", inLoop("", `var w waker = l; w.wake() }
type waker interface { wake() }
func (l *loop) wake() { l.c <- 1`)},
	{"loop", "sends to a channel; the loop runs (*imapproxy.loop).wake", inLoop("", `holder{l}.wake() }
type waker interface { wake() }
type holder struct { waker }
func (l *loop) wake() { l.c <- 1`)},
	{"loop", "sends to a channel; the loop runs (*imapproxy.loop).Len", inLoop("container/heap", `heap.Init(l) }
func (l *loop) Len() int { l.c <- 1; return 0 }
func (l *loop) Less(int, int) bool { return false }
func (l *loop) Push(any) { }
func (l *loop) Pop() any { return nil }
func (l *loop) Swap(int, int) { `)},
	{"loop", "sends to a channel; the loop runs imapproxy.other:7", inLoop("", `l.f() }
func other(l *loop) { l.f = func() { l.c <- 1 }`)},
	{"loop", "sends to a channel; the loop runs imapproxy.other:8", inLoop("", `new(box[int]).run(1) }
type box[R any] struct { f func(R) }; func (b *box[R]) run(r R) { b.f(r) }
func other(l *loop, b *box[int]) { b.f = func(int) { l.c <- 1 }; keep(func(string) { l.c <- 1 }) }
func keep(f func(string)) { kept = f }
var kept = func(string) { `)},
	{"loop", "sends to a channel; the loop runs imapproxy.other:8", inLoop("", `list[0].Run() }
type funcs func(); func (f funcs) Run() { f() }; var list []interface { Run() }
func other(l *loop) { list = append(list, funcs(func() { l.c <- 1 }), l) }
func more(l *loop) { kept = func() { l.c <- 1 } }
var kept = func() { `)},
	{"loop", "sends to a channel", append(inLoop("", ""), source{"imapproxy/tls.go", `package imapproxy
import "crypto/tls"
func other(c *tls.Config, x chan int) { c.VerifyConnection = func(tls.ConnectionState) error {
	x <- 1; return nil } }`})},
	{"loop", "sends to a channel", append(inLoop("", ""), source{"cmd/imapproxy/logging/a.go", `package logging
type Writer struct { c chan int }
func (w *Writer) WriteLevel() { w.c <- 1 }`})},

	// a lock that is held where the task yields
	{"loop", "imapproxy/member.go:6: a lock is held where the task may yield: (*backend/loop.Task).Pause < " +
		"(*imapproxy.loop).waits < (*imapproxy.loop).do", inLoop("sync", `l.mu.Lock(); defer l.mu.Unlock(); l.waits() }
func (l *loop) waits() { task.Pause() }
var task interface { Pause() } // it is a Task`)},
}

// inLoop is package imapproxy with what a loop runs: statements, which may use the package pkg, "" for
// none.
func inLoop(pkg, statements string) []source {
	imported, mutex := "", ""
	if pkg != "" {
		imported = "import \"" + pkg + "\""
	}
	if pkg == "sync" {
		mutex = "mu sync.Mutex"
	}
	return []source{loopSource, {"imapproxy/member.go", strings.Join([]string{"package imapproxy", imported,
		"type loop struct { c chan int; f func(); " + mutex + " }", "func (l *loop) Run() { l.do() }",
		"func (l *loop) do() {", statements + " }"}, "\n")}}
}

var loopSource = source{"backend/loop/outside.go", `// Package loop is small.
package loop

// Loop is one.
type Loop struct{ r Runner }

// Runner is run.
type Runner interface{ Run() }

// Round runs it.
func (l *Loop) Round() bool { l.r.Run(); return true }

// Task is one.
type Task struct{}

// Pause yields.
func (t *Task) Pause() {}

// Outside hands f over.
func (t *Task) Outside(f func()) { go func() { defer func() { _ = recover() }(); f(); <-make(chan int) }() }
`}

// goodInLoop come close to the rule and keep it.
var goodInLoop = []source{
	loopSource,
	{"backend/loop/loop_test.go", "package loop\nimport \"go.uber.org/goleak\"\nvar f = goleak.VerifyTestMain"},
	{"imapproxy/loop_member.go", `package imapproxy

import (
	"net"
	"sync"

	"imapproxy/backend"
	"imapproxy/backend/loop"
)

type member struct {
	mu   sync.Mutex
	c    chan int
	f    func()
	task *loop.Task
}

// Run is what the loop runs.
func (m *member) Run() {
	m.elsewhere(backend.Target{})
	m.task.Outside(func() { _, _ = net.Dial("tcp", "") })
	m.task.Pause()
	m.later()
	m.f()
	select {
	case m.c <- 1:
	default:
	}
}

func (m *member) later() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.f = func() { m.task.Pause() }
}

func (m *member) elsewhere(backend.Target) {}
`},
}
