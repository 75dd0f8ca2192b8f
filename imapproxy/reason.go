package imapproxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// endReason says in one word why a session ended. The log line and the metric
// use the same word; the first cause wins.
type endReason string

// The closed set.
const (
	endLogout       endReason = "logout"        // the client said LOGOUT
	endClientClosed endReason = "client_closed" // the client closed its side in order
	// the client reset the connection, or cut TLS without close_notify
	endClientAborted     endReason = "client_aborted"
	endClientVanished    endReason = "client_vanished"    // no packet came back from the client
	endClientProtocol    endReason = "client_protocol"    // too many bad commands, or a bound was passed
	endClientTLS         endReason = "client_tls"         // no TLS handshake with the client
	endClientCertificate endReason = "client_certificate" // none, or one that is not accepted
	// no PROXY header where one is required, a bad one, or from a peer that is not trusted
	endProxyHeader     endReason = "proxy_header"
	endTooManyFailures endReason = "too_many_failures"  // refused logins
	endLoginFailed     endReason = "login_failed"       // one login came to nothing; nginx closes then
	endBackendClosed   endReason = "backend_closed"     // the backend closed its side
	endBackendAborted  endReason = "backend_aborted"    // the backend reset the connection
	endBackendVanished endReason = "backend_vanished"   // no packet came back from the backend
	endBackendProtocol endReason = "backend_protocol"   // the backend said what does not fit the client's commands
	endLoginTimeout    endReason = "login_timeout"      // not logged in within the limit
	endIdleTimeout     endReason = "idle_timeout"       // nothing moved for too long
	endHalfClose       endReason = "half_close_timeout" // one side closed, the other did not finish
	endKicked          endReason = "kicked"             // by an administrator
	endShutdown        endReason = "shutdown"           // the proxy is ending
	endOverload        endReason = "overload"           // over the limit of sessions
	endLeak            endReason = "leak_reclaimed"     // the leak detector took the backend connection back
	endPanic           endReason = "panic"              // a fault of ours, only in this session
)

// errTLSCut is TLS data that ends without close_notify (RFC 8446 section 6.1).
var errTLSCut = errors.New("TLS ended without close_notify")

// clientReason returns the reason for an error on the client's socket.
func clientReason(err error) endReason {
	switch {
	case errors.Is(err, errTLSCut), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return endClientAborted
	case isVanished(err):
		return endClientVanished
	case errors.Is(err, io.EOF):
		return endClientClosed
	}
	return endClientAborted
}

// backendReason returns the reason for an error on the backend's socket.
func backendReason(err error) endReason {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return endBackendAborted
	case isVanished(err):
		return endBackendVanished
	case errors.Is(err, io.EOF):
		return endBackendClosed
	}
	return endBackendAborted
}

// isVanished distinguishes the kernel's own time-outs (keep-alive, TCP_USER_TIMEOUT)
// and unreachable peers from deadlines, which are ours.
func isVanished(err error) bool {
	for _, e := range []error{syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isWoken reports whether a cut has ended the read or write.
func isWoken(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed)
}

// byeText is what a client that is still there reads, "" for no BYE.
func (r endReason) byeText() string {
	switch r {
	case endClientProtocol:
		return "[CLIENTBUG] Too many bad commands, or one that is too long or can't be told apart"
	case endClientCertificate:
		return "[CONTACTADMIN] A client certificate is required, and there is none that this server accepts"
	case endTooManyFailures:
		return "[UNAVAILABLE] Too many refused logins; connect again later"
	case endBackendClosed, endBackendAborted, endBackendVanished:
		return "[UNAVAILABLE] The mail server closed the connection; connect again"
	case endBackendProtocol:
		return "[UNAVAILABLE] The mail server's answers do not fit; connect again"
	case endLoginTimeout:
		return "Not logged in within the time allowed"
	case endIdleTimeout, endHalfClose:
		return "Autologout: nothing has been said for too long"
	case endKicked:
		return "[UNAVAILABLE] Disconnected by an administrator"
	case endShutdown:
		return "[UNAVAILABLE] The server is shutting down; connect again"
	case endOverload:
		return "[UNAVAILABLE] Too many connections; try again later"
	case endLeak:
		return "[UNAVAILABLE] The mail server does not answer; connect again"
	case endPanic:
		return "[UNAVAILABLE] Internal error; connect again"
	}
	return ""
}
