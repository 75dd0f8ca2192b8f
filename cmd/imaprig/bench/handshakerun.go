package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

const (
	handshakesPerSecond = 500
	handshakesLead      = time.Second // they begin so long before the measurement, and end so long after it
	noopBefore          = "NOOP before"
)

// duringHandshakes runs a load twice, the second time while another process makes TLS handshakes. The result is the
// second one's, with what the first one and the handshakes took added as operations.
func (b *run) duringHandshakes(ctx context.Context, o *load.Options, what string, p *rig.Proxy) (*load.Result, error) {
	before, err := b.load(ctx, o, what)
	if err != nil {
		return before, err
	}
	var all sync.WaitGroup
	var handshakes *load.Result
	var handshakesErr error
	lead := min(handshakesLead, o.Duration)
	all.Go(func() { handshakes, handshakesErr = makeHandshakes(ctx, p, lead+o.Duration+lead) })
	err = rig.Sleep(ctx, lead)
	var result *load.Result
	if err == nil {
		result, err = b.load(ctx, o, what)
	}
	all.Wait()
	if err := errors.Join(err, handshakesErr); err != nil {
		return result, err
	}
	first := before.First()
	first.Name = noopBefore
	result.Operations = append(append(result.Operations, first), handshakes.Operations...)
	result.Errors = append(append(result.Errors, before.Errors...), handshakes.Errors...)
	return result, nil
}

// makeHandshakes runs imaprig load handshakes in a process of its own, so that what its clients compute does not stand
// in the way of those that are measured.
func makeHandshakes(ctx context.Context, p *rig.Proxy, duration time.Duration) (_ *load.Result, err error) {
	dir, err := os.MkdirTemp("", "imaprig-handshakes-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "result.json")
	runErr := rig.RunOwn(ctx, "load", "handshakes", "--proxy", p.Outside.String(), "--tls", "implicit", "--rate",
		strconv.Itoa(handshakesPerSecond), "--duration", duration.String(), "--limit", answerLimit.String(), "--json",
		file)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	var result load.Result
	if err := json.Unmarshal(text, &result); err != nil { // with errors of the load the file is there too
		return nil, errors.Join(runErr, fmt.Errorf("read the result of imaprig load handshakes: %w", err))
	}
	return &result, nil
}
