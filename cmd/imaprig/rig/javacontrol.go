package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// JavaCounts is what happened to connections since the last Reset. Logout, EOF, RST and Server say how they ended, as
// the backend saw it first; NeverRead are those whose end it has not seen.
type JavaCounts struct {
	Accepted      int64 `json:"accepted"`
	Closed        int64 `json:"closed"`
	Logout        int64 `json:"logout"`
	EOF           int64 `json:"eof"`
	RST           int64 `json:"rst"`
	Server        int64 `json:"server"` // ended by the backend itself
	NeverRead     int64 `json:"never_read"`
	Authenticated int64 `json:"authenticated"`
	Refused       int64 `json:"refused"`
	Stored        int64 `json:"stored"` // messages whole
	StoredBytes   int64 `json:"stored_bytes"`
	Truncated     int64 `json:"truncated"` // messages that broke off, not kept
	Polluted      int64 `json:"polluted"`  // messages, whole or not, that end in a LOGOUT line
}

// JavaStats is the answer of the backend's control port.
type JavaStats struct {
	JavaCounts
	Mode      string                `json:"mode"` // of connections to come
	Accepting bool                  `json:"accepting"`
	Open      int                   `json:"open"` // descriptors that it holds, from before a Reset included
	FDs       int                   `json:"fds"`  // sockets in its /proc/self/fd, listeners and control port included
	FDLimit   int                   `json:"fd_limit"`
	Busy      int                   `json:"busy"`   // workers
	Queued    int                   `json:"queued"` // connections accepted that wait for a worker
	Modes     map[string]JavaCounts `json:"modes"`
}

// Stats asks for the counters.
func (j *JavaBackend) Stats(ctx context.Context) (JavaStats, error) {
	return j.ask(ctx, http.MethodGet, "/")
}

// SetMode sets the fault mode of connections accepted from now on. An unknown one is an error that lists them.
func (j *JavaBackend) SetMode(ctx context.Context, mode string) error {
	_, err := j.ask(ctx, http.MethodPost, "/mode?name="+url.QueryEscape(mode))
	return err
}

// Reset sets the counters to zero and closes nothing. Connections from before are counted no more, but as open.
func (j *JavaBackend) Reset(ctx context.Context) error {
	_, err := j.ask(ctx, http.MethodPost, "/reset")
	return err
}

// CloseAll makes it close every connection and frees its stuck workers.
func (j *JavaBackend) CloseAll(ctx context.Context) error {
	_, err := j.ask(ctx, http.MethodPost, "/close-all")
	return err
}

func (j *JavaBackend) ask(ctx context.Context, method, path string) (stats JavaStats, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+loopbackAddr(j.control)+path, nil)
	if err != nil {
		return stats, fmt.Errorf("the Java backend's control port: %w", err)
	}
	resp, err := j.client.Do(req)
	if err != nil {
		return stats, fmt.Errorf("the Java backend's control port: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, javaAnswerBytes))
	if err != nil {
		return stats, fmt.Errorf("the Java backend's control port: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return stats, fmt.Errorf("the Java backend: %s %s: %s", method, path, bytes.TrimSpace(body))
	}
	if err := json.Unmarshal(body, &stats); err != nil {
		return stats, fmt.Errorf("the Java backend's answer: %w", err)
	}
	return stats, nil
}
