// Package logging writes the lines of the log: each to the places that want it, in their format, without making a
// session wait.
package logging

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"imapproxy/cmd/imapproxy/config"
)

// queue is how many lines wait for a slow reader; at about 600 bytes a line
// that is 2.5 MB.
const queue = 4096

// New makes the log that the configuration asks for. The writer must be
// closed at the end, so that the last lines get out.
func New(c config.Log, out io.Writer) (zerolog.Logger, *Writer) {
	return NewTo(c, format(c.Format, out))
}

// NewTo is New for what takes lines of JSON.
func NewTo(c config.Log, out io.Writer) (zerolog.Logger, *Writer) {
	w := NewWriter(out, queue)
	w.outputs, _ = out.(*Outputs) // nil for a writer that takes what log.level says
	w.SetLevel(c.Level)
	return zerolog.New(w).Hook(stamp{}).Sample(w), w
}

// SetLevel puts the least level that is written in force; a reload may change
// it.
func (w *Writer) SetLevel(name string) {
	level := levelOf(name)
	if w.outputs != nil {
		w.outputs.base.Store(int32(level))
		level = w.outputs.least()
	}
	w.level.Store(int32(level))
}

// Sample implements zerolog.Sampler: it reports whether lines of a level are written, so that those which are not are
// not made either.
func (w *Writer) Sample(level zerolog.Level) bool {
	return level == zerolog.NoLevel || int32(level) >= w.level.Load()
}

// levelOf returns the level of that name.
func levelOf(name string) zerolog.Level {
	level, err := zerolog.ParseLevel(name)
	if err != nil || name == "" {
		return zerolog.InfoLevel
	}
	return level
}

// WriteLevel implements zerolog.LevelWriter.
func (w *Writer) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if !w.Sample(level) {
		return len(line), nil
	}
	w.enqueue(entry{level, append([]byte(nil), line...)}) // zerolog uses its buffer again
	return len(line), nil
}

// format puts the format for people in front of a terminal. It stands after
// the queue, so that a slow terminal costs the sessions nothing.
func format(format string, out io.Writer) io.Writer {
	if format == "nginx" {
		return nginxLines{out}
	}
	onTerminal := isTerminal(out)
	if format == "json" || (format != "console" && !onTerminal) {
		return out
	}
	return zerolog.ConsoleWriter{Out: out, NoColor: !onTerminal, TimeFormat: "15:04:05.000"}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// stamp stamps each line; zerolog's own stamp has a format that is global.
type stamp struct{}

const logTimeFormat = "2006-01-02T15:04:05.000Z07:00"

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(logTimeFormat))
}

// Writer never blocks: a log reader that is stuck must not stall a session.
// What does not fit into the queue is dropped, counted, and reported in a line
// of its own as soon as there is room. It is safe for concurrent use.
type Writer struct {
	out     zerolog.LevelWriter
	outputs *Outputs // out, where the configuration names places
	lines   chan entry
	stop    chan struct{}
	stopped chan struct{}
	level   atomic.Int32 // the least zerolog.Level that is written
	Dropped atomic.Int64 // not yet reported
	Lost    atomic.Int64 // ever dropped
	closed  atomic.Bool
}

// entry is one line of JSON on its way to the log's reader.
type entry struct {
	level zerolog.Level
	text  []byte
}

// levelWriter is a writer that is told the level of each line; one that takes
// no levels is not.
func levelWriter(out io.Writer) zerolog.LevelWriter {
	if w, ok := out.(zerolog.LevelWriter); ok {
		return w
	}
	return zerolog.LevelWriterAdapter{Writer: out}
}

// NewWriter returns a Writer to out that keeps at most queue lines while out is slow.
// Close ends its goroutine.
func NewWriter(out io.Writer, queue int) *Writer {
	w := &Writer{out: levelWriter(out), lines: make(chan entry, queue), stop: make(chan struct{}),
		stopped: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line without a level; it never fails and never waits.
func (w *Writer) Write(line []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, line) }

func (w *Writer) enqueue(line entry) {
	if w.closed.Load() {
		w.drop()
		return
	}
	select {
	case w.lines <- line:
	default:
		w.drop()
	}
}

func (w *Writer) drop() {
	w.Dropped.Add(1)
	w.Lost.Add(1)
}

// Close writes what is queued and ends the writer's goroutine. It gives up
// after limit, when the reader takes nothing; then the error says how many
// lines are lost.
func (w *Writer) Close(limit time.Duration) error {
	if !w.closed.Swap(true) {
		close(w.stop)
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-w.stopped:
		return nil
	case <-t.C:
		return fmt.Errorf("the log's reader takes nothing: %d lines are lost", int64(len(w.lines))+w.Dropped.Load())
	}
}

func (w *Writer) run() {
	defer close(w.stopped)
	for {
		select {
		case line := <-w.lines:
			w.write(line)
		case <-w.stop:
			w.flush()
			return
		}
	}
}

// flush writes what is queued when the end has come.
func (w *Writer) flush() {
	for {
		select {
		case line := <-w.lines:
			w.write(line)
		default:
			w.reportDropped()
			return
		}
	}
}

// write hands a line on. An error has no place to go but the log itself.
func (w *Writer) write(line entry) {
	w.reportDropped()
	_, _ = w.out.WriteLevel(line.level, line.text)
}

func (w *Writer) reportDropped() {
	if n := w.Dropped.Swap(0); n > 0 {
		report := fmt.Appendf(nil, `{"level":"warn","dropped":%d,"time":%q,`+
			`"message":"log lines were dropped: the log's reader is too slow"}`+"\n",
			n, time.Now().UTC().Format(logTimeFormat))
		_, _ = w.out.WriteLevel(zerolog.WarnLevel, report)
	}
}
