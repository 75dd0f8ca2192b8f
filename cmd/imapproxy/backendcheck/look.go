package backendcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"imapproxy/backend"
)

// way is how a backend is spoken to.
type way int

// The ways: as the configuration says, and two others that may be meant.
const (
	asWritten   way = iota
	withTLS         // from the first byte
	otherHeader     // with the PROXY header where there is none, and without it where there is one
)

// outcome is what became of one attempt.
type outcome struct {
	way      way
	facts    []string
	problems []Problem
	err      error // of Dial
}

// guessLimit bounds each step of the ways that are only tried.
const guessLimit = 5 * time.Second

// look checks one place. Where the backend says nothing, or not what it should, other
// ways to speak to it are tried: the one that works is what has to be written.
func (c *Checker) look(ctx context.Context, p place) Result {
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait()
	defer cancel()
	ended := make(chan outcome, otherHeader+1)
	running := 0
	start := func(p place, w way) {
		running++
		attempts.Go(func() { ended <- c.attempt(ctx, p, w) })
	}
	var own *outcome
	var others []outcome
	guessing := false
	guess := func(err error) {
		if guessing {
			return
		}
		guessing = true
		for _, w := range p.waysAfter(err) {
			start(p.by(w), w)
		}
	}
	silence := time.NewTimer(c.silence())
	defer silence.Stop()
	for start(p, asWritten); running > 0; {
		select {
		case <-silence.C:
			guess(nil)
			continue
		case o := <-ended:
			running--
			if o.way != asWritten {
				others = append(others, o)
				break
			}
			own = &o
			if o.err == nil {
				return p.result(o)
			}
			guess(o.err)
		}
		if a, found := p.explained(own, others); found {
			return p.result(outcome{problems: []Problem{{Advice: a}}})
		}
	}
	own.problems = append(own.problems, Problem{Advice: backend.AdviceOf(own.err)})
	return p.result(*own)
}

func (c *Checker) silence() time.Duration {
	if c.Silence > 0 {
		return c.Silence
	}
	return defaultSilence
}

func (p place) result(o outcome) Result {
	failed, ok := errors.AsType[*backend.Error](o.err)
	return Result{Target: p.index, Address: p.name, Facts: o.facts, Problems: o.problems,
		unreachable: ok && failed.Phase == "connect"}
}

// waysAfter returns what is tried after an error, or in a silence, where it is nil.
func (p place) waysAfter(err error) []way {
	kind, phase := backend.KindTimeout, ""
	if failed, ok := errors.AsType[*backend.Error](err); ok {
		kind, phase = failed.Kind, failed.Phase
	}
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	wordless := kind == backend.KindClosed || kind == backend.KindTimeout
	var list []way
	if phase == "connect" || isCertificate {
		return nil
	}
	if wordless && p.target.TLS != backend.TLSImplicit {
		list = append(list, withTLS)
	}
	garbled := kind == backend.KindProtocol || kind == backend.KindTLS || kind == backend.KindRefusing
	if wordless || garbled && p.target.Header != backend.ProxyNone {
		list = append(list, otherHeader)
	}
	return list
}

// by returns the place as it is spoken to in another way.
func (p place) by(w way) place {
	t := *p.target
	for _, limit := range []*time.Duration{&t.Limits.Connect, &t.Limits.TLS, &t.Limits.Greeting, &t.Limits.Login} {
		*limit = min(*limit, guessLimit)
	}
	switch {
	case w == withTLS:
		t.TLS = backend.TLSImplicit
		t.TLSConfig = &tls.Config{InsecureSkipVerify: true} // nothing is told to it
	case t.Header == backend.ProxyNone:
		t.Header = backend.ProxyV2
	default:
		t.Header = backend.ProxyNone
	}
	p.target = &t
	return p
}

// explained returns what the other ways have shown; own is nil while the attempt as
// written goes on. No server begins TLS that does not expect it, but one that is slow to
// greet may do without the header, so that own has to have failed for that.
func (p place) explained(own *outcome, others []outcome) (backend.Advice, bool) {
	for _, o := range others {
		failed, isFailed := errors.AsType[*backend.Error](o.err)
		header, isPlain := errors.AsType[tls.RecordHeaderError](o.err)
		switch {
		case o.way == withTLS && (!isFailed || slices.Contains([]string{"greeting", "capability"}, failed.Phase)):
			return backend.Advice{Text: "the server expects TLS from the first byte", Key: "tls",
				Remedy: `write tls = "implicit"`}, true
		case isPlain && !bytes.HasPrefix(header.RecordHeader[:], []byte("* ")):
			return backend.AdviceOf(o.err), true
		case o.way == otherHeader && !isFailed && own != nil && p.target.Header == backend.ProxyNone:
			return backend.Advice{Text: "the server expects the PROXY protocol", Key: "proxy_header",
				Remedy: `write proxy_header = "v2"`}, true
		case o.way == otherHeader && !isFailed && own != nil:
			return backend.Advice{Text: "the server does not expect the PROXY protocol", Key: "proxy_header",
				Remedy: `write proxy_header = "off"`}, true
		}
	}
	return backend.Advice{}, false
}
