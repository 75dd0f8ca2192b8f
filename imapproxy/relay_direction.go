package imapproxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
)

// direction is what the two flows of a relay differ in.
type direction interface {
	// read reads from the near side, write writes to the far one.
	read(*session, []byte) (int, error)
	write(*session, []byte) (int, error)

	// admit tells the ledger what was read, and returns what is to be written.
	admit(*ledger.Ledger, []byte) []byte
	// literal returns the bytes to come of the literal on its way; skip tells the
	// ledger that so many of them go without being looked at.
	literal(*ledger.Ledger) int64
	skip(*ledger.Ledger, int64)

	readFailed(*relay, error)    // takes the end of the near side
	writeFailed(error) endReason // is the reason of a failed write
	written()                    // is the fault point after a write
	counter(*metrics) prometheus.Counter
	// widens reports whether the near socket may hold more once the far side has
	// kept up with a large literal.
	widens() bool
}

type toBackend struct{}

func (toBackend) read(s *session, p []byte) (int, error) {
	fault.Point("relay.up.read")
	return s.client.Read(p)
}

func (toBackend) write(s *session, p []byte) (int, error) { return s.backend.Write(p) }

func (toBackend) admit(l *ledger.Ledger, p []byte) []byte {
	fault.Point("relay.up.write")
	return l.Forward(p)
}

func (toBackend) literal(l *ledger.Ledger) int64        { return l.ClientLiteral() }
func (toBackend) skip(l *ledger.Ledger, n int64)        { l.SkipClientLiteral(n) }
func (toBackend) readFailed(r *relay, err error)        { r.clientRead(err) }
func (toBackend) writeFailed(err error) endReason       { return backendReason(err) }
func (toBackend) written()                              { fault.Point("relay.up.written") }
func (toBackend) counter(m *metrics) prometheus.Counter { return m.bytesIn }
func (toBackend) widens() bool                          { return false }

type toClient struct{}

func (toClient) read(s *session, p []byte) (int, error) {
	fault.Point("relay.down.read")
	return s.backend.Read(p)
}

func (toClient) write(s *session, p []byte) (int, error) { return s.client.conn.Write(p) }

func (toClient) admit(l *ledger.Ledger, p []byte) []byte {
	fault.Point("relay.down.write")
	return l.Deliver(p)
}

func (toClient) literal(l *ledger.Ledger) int64        { return l.BackendLiteral() }
func (toClient) skip(l *ledger.Ledger, n int64)        { l.SkipBackendLiteral(n) }
func (toClient) readFailed(r *relay, err error)        { r.backendRead(err) }
func (toClient) writeFailed(err error) endReason       { return clientReason(err) }
func (toClient) written()                              { fault.Point("relay.down.written") }
func (toClient) counter(m *metrics) prometheus.Counter { return m.bytesOut }
func (toClient) widens() bool                          { return true }
