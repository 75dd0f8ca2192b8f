package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
)

// stuckWriter takes nothing until it is released.
type stuckWriter struct {
	release chan struct{}
	mu      sync.Mutex // protects text
	text    bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *stuckWriter) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Split(strings.TrimSuffix(w.text.String(), "\n"), "\n")
}

// TestStuckLogReader: nothing waits for the reader, what does not fit is
// counted, and the count is written once there is room.
func TestStuckLogReader(t *testing.T) {
	out := &stuckWriter{release: make(chan struct{})}
	w := NewWriter(out, 4)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 100 {
			if n, err := w.Write([]byte("line\n")); n != 5 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
	}()
	select {
	case <-written:
	case <-time.After(patience):
		close(out.release)
		t.Fatal("the log waits for its reader")
	}
	if err := w.Close(10 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "lines are lost") {
		t.Errorf("Close: %v", err)
	}
	close(out.release)
	if err := w.Close(patience); err != nil {
		t.Fatal(err)
	}
	taken, dropped := 0, 0
	for _, line := range out.lines() {
		if line == "line" {
			taken++
			continue
		}
		var report struct {
			Level   string
			Dropped int
			Time    time.Time
		}
		if err := json.Unmarshal([]byte(line), &report); err != nil || report.Level != "warn" || report.Time.IsZero() {
			t.Errorf("%q: %v", line, err)
		}
		dropped += report.Dropped
	}
	if taken < 4 || taken > 5 || taken+dropped != 100 {
		t.Errorf("%d taken, %d dropped", taken, dropped)
	}
}

// TestLogCloseFlushes: what is queued at the end is written, and the writer's
// buffer may be used again at once.
func TestLogCloseFlushes(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, 1000)
	line := []byte("x\n")
	for i := range 500 {
		line[0] = byte('a' + i%26)
		_, _ = w.Write(line)
	}
	if err := w.Close(patience); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 1000 || !strings.HasPrefix(out.String(), "a\nb\nc\n") {
		t.Errorf("%d bytes: %.20q", out.Len(), out.String())
	}
	if _, err := w.Write(line); err != nil || out.Len() != 1000 {
		t.Error("a line after the end was written or failed")
	}
}

func TestLogFormat(t *testing.T) {
	tests := []struct {
		format string
		json   bool
	}{{"auto", true}, {"json", true}, {"console", false}}
	for _, tt := range tests {
		var out bytes.Buffer
		log, w := New(config.Log{Level: "info", Format: tt.format}, &out)
		log.Debug().Msg("not seen")
		log.Info().Str("user", "eve\x1b[31m\n{}").Err(errors.New("e")).Msg("session")
		if err := w.Close(patience); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if strings.Count(text, "\n") != 1 || strings.Contains(text, "\x1b") || strings.Contains(text, "not seen") {
			t.Errorf("%s: %q", tt.format, text)
		}
		var fields map[string]any
		if err := json.Unmarshal(out.Bytes(), &fields); (err == nil) != tt.json {
			t.Errorf("%s: %q: %v", tt.format, text, err)
		}
		if !tt.json {
			continue
		}
		if _, err := time.Parse(logTimeFormat, fields["time"].(string)); err != nil || fields["message"] != "session" ||
			fields["level"] != "info" {
			t.Errorf("%v, %v", fields, err)
		}
	}
}

func TestLogLevelChanges(t *testing.T) {
	var out bytes.Buffer
	log, w := New(config.Log{Level: "warn", Format: "json"}, &out)
	log.Info().Msg("one")
	if log.Info().Enabled() || log.WithLevel(zerolog.InfoLevel).Enabled() || !log.Warn().Enabled() {
		t.Error("a line that is not written is made, or one that is written is not")
	}
	w.SetLevel("debug")
	log.Debug().Msg("two")
	w.SetLevel("error")
	log.Warn().Msg("three")
	if err := w.Close(patience); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, "one") || !strings.Contains(text, "two") ||
		strings.Contains(text, "three") {
		t.Errorf("%q", text)
	}
}
