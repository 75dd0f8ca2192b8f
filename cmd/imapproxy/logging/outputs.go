package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync/atomic"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
)

// output is one place where lines go.
type output struct {
	to        zerolog.LevelWriter
	level     *atomic.Int32 // the least zerolog.Level that is written; one for all of [log], which a reload may change
	listeners [][]byte      // as they stand in lines; nil for all lines but those of others' listeners
}

// Outputs write each line to the places that want it.
type Outputs struct {
	list   []*output
	base   atomic.Int32 // log.level
	named  [][]byte     // the listeners of all outputs that name some
	files  []*file
	closed []func()
}

// add makes one more place. Exactly one of file, syslog and stderr is given.
func (o *Outputs) add(c config.LogOutput, stderr io.Writer) (*output, error) {
	var to zerolog.LevelWriter
	switch {
	case c.Syslog != "":
		w, err := dialSyslog(c.Syslog, c.Format)
		if err != nil {
			return nil, err
		}
		to = w
		o.closed = append(o.closed, func() { _ = w.Close() })
	case c.File != "":
		file := &file{name: string(c.File)}
		if err := file.reopen(); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("%w: let the user %s write into its folder", err, config.ProcessUser())
			}
			return nil, err
		}
		o.files = append(o.files, file)
		to = levelWriter(format(c.Format, file))
	default:
		to = levelWriter(format(c.Format, stderr))
	}
	out := &output{to: to, level: new(atomic.Int32)}
	out.level.Store(int32(levelOf(c.Level)))
	for _, name := range c.Listeners {
		mark := []byte(`,"listener":` + strconv.Quote(name)) // no text of a line holds it: its quotes are escaped
		out.listeners, o.named = append(out.listeners, mark), append(o.named, mark)
	}
	o.list = append(o.list, out)
	return out, nil
}

// least is the least level that any output wants.
func (o *Outputs) least() zerolog.Level {
	least := zerolog.Disabled
	for _, out := range o.list {
		least = min(least, zerolog.Level(out.level.Load()))
	}
	return least
}

// WriteLevel implements zerolog.LevelWriter. It tries every place that wants the line;
// the error joins those that failed.
func (o *Outputs) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var failed error
	named := holdsAny(line, o.named)
	for _, out := range o.list {
		tooLow := level != zerolog.NoLevel && int32(level) < out.level.Load()
		if tooLow || out.listeners == nil && named || out.listeners != nil && !holdsAny(line, out.listeners) {
			continue
		}
		_, err := out.to.WriteLevel(level, line)
		failed = errors.Join(failed, err)
	}
	return len(line), failed
}

// Write takes a line without a level.
func (o *Outputs) Write(line []byte) (int, error) { return o.WriteLevel(zerolog.NoLevel, line) }

func holdsAny(line []byte, marks [][]byte) bool {
	for _, mark := range marks {
		if bytes.Contains(line, mark) {
			return true
		}
	}
	return false
}

// Reopen opens the files by their names again, for programs that rename them
// (logrotate).
func (o *Outputs) Reopen() error {
	var failed error
	for _, file := range o.files {
		failed = errors.Join(failed, file.reopen())
	}
	return failed
}

// Close closes the files and the connections to syslog servers.
func (o *Outputs) Close() {
	for _, stop := range o.closed {
		stop()
	}
	for _, file := range o.files {
		file.close()
	}
}
