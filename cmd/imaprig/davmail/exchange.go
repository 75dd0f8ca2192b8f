package davmail

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	servicePath   = "/ews/exchange.asmx" // by which DavMail knows that it needs no web mail
	requestBytes  = 64 << 20             // of a request: an APPEND with base64
	headerLimit   = 10 * time.Second
	closeLimit    = 10 * time.Second
	wrongPassword = "wrong" // every other is right
)

// Request is a kind of request that DavMail makes of Exchange.
type Request string

// The kinds of requests, by what a mail client does when DavMail makes them.
const (
	Connects Request = "connects" // DavMail asks before it greets
	Logins   Request = "logins"   // the first login of a user and password; DavMail keeps what it learns
	Selects  Request = "selects"  // SELECT, EXAMINE, STATUS and SEARCH, and NOOP after the mailbox has changed
	Fetches  Request = "fetches"  // FETCH of a message that DavMail does not have yet
	Appends  Request = "appends"  // APPEND, after the literal
	Others   Request = "others"   // DavMail makes some of them before every command
)

// Requests are all kinds.
func Requests() []Request { return []Request{Connects, Logins, Selects, Fetches, Appends, Others} }

// Stats is what Exchange was asked for since it started.
type Stats struct {
	Requests    map[Request]int64
	Refused     int64 // logins with the wrong password
	Stored      int64 // messages
	StoredBytes int64
	Hanging     int // requests that wait for Release
}

// Exchange stands in for Exchange Web Services: as much as DavMail asks for so that mail clients can log in, list,
// select, fetch, search, store flags, append, idle and log out. Every user exists.
type Exchange struct {
	server   *http.Server
	listener net.Listener
	done     chan struct{}  // closed when the server takes no more connections
	conns    sync.WaitGroup // those that it has taken
	sizes    []int
	limit    int64         // bytes of a request
	patience time.Duration // with answers that are being sent when it is closed

	mu        sync.Mutex // protects what follows
	hangs     map[Request]bool
	release   chan struct{} // closed by Release
	stats     Stats
	mailboxes map[string]*mailbox // by user
	kept      int                 // bytes of appended messages
}

// startExchange serves on a free port of loopback.
func startExchange(sizes []int) (*Exchange, error) {
	if len(sizes) == 0 {
		sizes = []int{2000}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for DavMail's requests: %w", err)
	}
	x := &Exchange{
		listener: ln, done: make(chan struct{}), sizes: sizes, limit: requestBytes, patience: closeLimit,
		hangs: map[Request]bool{}, release: make(chan struct{}), stats: Stats{Requests: map[Request]int64{}},
		mailboxes: map[string]*mailbox{},
	}
	x.server = &http.Server{Handler: http.HandlerFunc(x.serve), ReadHeaderTimeout: headerLimit, ConnState: x.count}
	go func() {
		defer close(x.done)
		_ = x.server.Serve(ln) // it ends when close is called
	}()
	return x, nil
}

func (x *Exchange) url() string { return "http://" + x.listener.Addr().String() + servicePath }

// count counts the connections that are not over, with what serves them.
func (x *Exchange) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		x.conns.Add(1)
	case http.StateClosed:
		x.conns.Done()
	}
}

// close waits for answers that are being sent, x.patience at most, then closes their connections. No answer is being
// made when it returns.
func (x *Exchange) close() error {
	x.Release()
	ctx, cancel := context.WithTimeout(context.Background(), x.patience)
	defer cancel()
	err := x.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = x.server.Close()
	}
	<-x.done
	x.conns.Wait()
	if err != nil {
		return fmt.Errorf("end the stand-in for Exchange: %w", err)
	}
	return nil
}

// Hang leaves requests of these kinds without an answer from now on; without a kind, all of them.
func (x *Exchange) Hang(kinds ...Request) {
	if len(kinds) == 0 {
		kinds = Requests()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range kinds {
		x.hangs[k] = true
	}
}

// Resume answers requests from now on. What hangs goes on hanging.
func (x *Exchange) Resume() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.hangs)
}

// Release answers what hangs, and lets nothing hang any more.
func (x *Exchange) Release() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.hangs)
	close(x.release)
	x.release = make(chan struct{})
}

// Stats returns the counters.
func (x *Exchange) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.stats
	s.Requests = maps.Clone(s.Requests)
	return s
}

// serve answers a request. DavMail sends each without a password first. Every other connection is used once, so that
// DavMail holds no descriptors of connections to Exchange while nothing is asked.
func (x *Exchange) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, x.limit))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	user, password, given := r.BasicAuth()
	if r.Method == http.MethodPost && !given {
		unauthorized(w)
		return
	}
	w.Header().Set("Connection", "close")
	if r.Method != http.MethodPost {
		if x.await(r.Context(), Connects) {
			unauthorized(w)
		}
		return
	}
	if password == wrongPassword {
		x.refuse()
		unauthorized(w)
		return
	}
	var e envelope
	if err := xml.Unmarshal(body, &e); err != nil {
		http.Error(w, "no SOAP request: "+err.Error(), http.StatusBadRequest)
		return
	}
	if !x.await(r.Context(), e.Body.Call.kind()) {
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8") // DavMail wants it to the letter
	var text bytes.Buffer
	if err := x.answer(&text, user, e.Body.Call); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(text.Bytes()) // DavMail may have gone
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Exchange"`)
	w.WriteHeader(http.StatusUnauthorized)
}

func (x *Exchange) refuse() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stats.Refused++
}

// await counts a request and waits while its kind hangs. It reports whether the client still waits for the answer.
func (x *Exchange) await(ctx context.Context, kind Request) bool {
	release := x.enter(kind)
	if release == nil {
		return true
	}
	defer x.leave()
	select {
	case <-release:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// enter returns what to wait for, nil when this kind does not hang.
func (x *Exchange) enter(kind Request) <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stats.Requests[kind]++
	if !x.hangs[kind] {
		return nil
	}
	x.stats.Hanging++
	return x.release
}

func (x *Exchange) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stats.Hanging--
}
