package logging

import (
	"fmt"
	"io"
	"os"
	"sync"

	"imapproxy/cmd/imapproxy/config"
)

// Open opens the places that the configuration names: files, syslog servers,
// both, or what the program was given, which is standard error.
func Open(c config.Log, stderr io.Writer) (*Outputs, error) {
	o := &Outputs{}
	base := func(place config.LogOutput) error {
		place.Format = c.Format
		out, err := o.add(place, stderr)
		if err == nil {
			out.level = &o.base
		}
		return err
	}
	o.base.Store(int32(levelOf(c.Level)))
	var err error
	if c.Syslog != "" {
		if err = base(config.LogOutput{Syslog: c.Syslog}); err != nil {
			return nil, fmt.Errorf("log.syslog: %w", err)
		}
	}
	if c.File != "" {
		if err = base(config.LogOutput{File: c.File}); err != nil {
			o.Close()
			return nil, fmt.Errorf("log.file: %w", err)
		}
	}
	all := len(o.list) > 0 // some place takes the lines that no other does
	for _, output := range c.Outputs {
		all = all || len(output.Listeners) == 0
		if _, err = o.add(output, stderr); err != nil {
			o.Close()
			return nil, fmt.Errorf("log.output: %w", err)
		}
	}
	if !all {
		err = base(config.LogOutput{Stderr: true})
	}
	return o, err
}

// file is a file that can be opened again while lines are written.
type file struct {
	name string
	mu   sync.Mutex // protects file; a write under it may wait for the disk, never a session
	file *os.File
}

// reopen leaves the old file in place when it fails.
func (l *file) reopen() error {
	f, err := os.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // every line was written when Write returned
	}
	l.file = f
	return nil
}

// Write implements io.Writer.
func (l *file) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, os.ErrClosed
	}
	return l.file.Write(line)
}

func (l *file) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
	l.file = nil
}
