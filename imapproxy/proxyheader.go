package imapproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"imapproxy/auth"
	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
)

// ProxyHeader says what a listener makes of PROXY protocol headers, which a
// load balancer in front sends to tell who its client is
// (https://www.haproxy.org/download/3.4/doc/proxy-protocol.txt).
type ProxyHeader struct {
	Required    bool           // every connection begins with one; else none does
	Trusted     []netip.Prefix // whose headers are believed
	TrustedUnix bool           // so are those of peers on a Unix socket
	Ignore      bool           // let others in as well, without believing their headers
}

// trusts reports whether a peer may say who its client is.
func (p *ProxyHeader) trusts(peer *client) bool {
	if peer.onUnix {
		return p.TrustedUnix
	}
	return slices.ContainsFunc(p.Trusted, func(n netip.Prefix) bool { return n.Contains(peer.addr().Addr()) })
}

// proxyHeaderLimit is how long the header may take. It is the first thing on
// the connection, sent by a machine nearby: the time is for a lost packet.
const proxyHeaderLimit = 4 * time.Second

// Bounds of a header in bytes, and of what stands in front of its length.
const (
	shortestV1 = 15 // PROXY UNKNOWN and CRLF; nothing of either version is shorter
	longestV1  = 107
	fixedV2    = 16
	longestV2  = fixedV2 + 4096
)

var (
	errUntrusted     = errors.New("the peer is not in proxy_trusted: it may not say who its client is")
	errNoHeader      = errors.New("no PROXY header, and the listener requires one")
	errHeaderTooLong = errors.New("the PROXY header is too long")
	errNoStream      = errors.New("the PROXY header is for datagrams")
)

// readProxyHeader reads the PROXY header where the listener requires one. Until it is
// read and believed not a byte goes out.
func (s *session) readProxyHeader() error {
	p := &s.listener.Proxy
	if !p.Required {
		return nil
	}
	s.enter(phaseProxy)
	fault.Point("session.proxy")
	trusted := p.trusts(&s.client)
	if !trusted && !p.Ignore {
		return s.fail(endProxyHeader, errUntrusted)
	}
	limit := loop.Timer{Name: timerProxyHeader, Do: loop.Func(func() { s.timeout(endProxyHeader, errNoHeader) })}
	s.loop.Set(&limit, s.loop.In(proxyHeaderLimit))
	defer s.loop.Stop(&limit)
	told, err := readProxyHeader(s.client.conn)
	switch {
	case err == nil:
	case isWoken(err):
		return errEnded
	case errors.Is(err, errBadHeader):
		return s.fail(endProxyHeader, err)
	default:
		return s.fail(clientReason(err), err)
	}
	if told.from.IsValid() && told.to.IsValid() {
		s.client.proxied = &auth.Proxied{Client: told.from, Server: told.to}
	}
	if trusted {
		s.client.frontTLS = told.tls
	}
	if trusted && s.client.proxied != nil {
		s.client.remote = !s.client.isLocal()
		s.client.onUnix = false
		s.status.set(func(*statusSnapshot) { s.client.believed = true })
	}
	return nil
}

// told is what a PROXY header says. The addresses are not valid when it names
// none (LOCAL, UNKNOWN, sockets that are not TCP).
type told struct {
	from, to netip.AddrPort
	tls      bool // the client speaks TLS to the balancer: PP2_CLIENT_SSL of PP2_TYPE_SSL
}

// errBadHeader marks headers that are none, unlike errors of the socket.
var errBadHeader = errors.New("bad PROXY header")

// readProxyHeader reads a header of version 1 or 2 and not a byte beyond it:
// what follows is TLS's or the dialogue's. Errors that are errBadHeader tell of
// the header, others of the reading.
func readProxyHeader(r io.Reader) (t told, err error) {
	text := make([]byte, shortestV1, longestV1)
	if err := readWhole(r, text); err != nil {
		return t, err
	}
	switch {
	case bytes.HasPrefix(text, proxyproto.SIGV1):
		text, err = readV1(r, text)
	case bytes.HasPrefix(text, proxyproto.SIGV2):
		text, err = readV2(r, text)
	default:
		err = fmt.Errorf("%w: %w", errBadHeader, errNoHeader)
	}
	if err != nil {
		return t, err
	}
	// The library takes a header only in one piece; here it is.
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(text), len(text)))
	if err != nil {
		return t, fmt.Errorf("%w: %w", errBadHeader, err)
	}
	return origin(h)
}

// readWhole fills p; an end in the middle is an end like any other.
func readWhole(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// readV1 reads to the end of the line, byte by byte, so that nothing after it
// is read.
func readV1(r io.Reader, text []byte) ([]byte, error) {
	for text[len(text)-1] != '\n' {
		if len(text) == longestV1 {
			return nil, fmt.Errorf("%w: %w", errBadHeader, errHeaderTooLong)
		}
		text = append(text, 0)
		if err := readWhole(r, text[len(text)-1:]); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// readV2 reads as much as the header says it is long.
func readV2(r io.Reader, text []byte) ([]byte, error) {
	text = append(text, make([]byte, fixedV2-len(text))...)
	if err := readWhole(r, text[shortestV1:]); err != nil {
		return nil, err
	}
	whole := fixedV2 + int(binary.BigEndian.Uint16(text[fixedV2-2:]))
	if whole > longestV2 {
		return nil, fmt.Errorf("%w: %w", errBadHeader, errHeaderTooLong)
	}
	text = append(text, make([]byte, whole-fixedV2)...)
	return text, readWhole(r, text[fixedV2:])
}

// origin returns what a header says of a client.
func origin(h *proxyproto.Header) (t told, err error) {
	if h.Command == proxyproto.LOCAL || h.TransportProtocol.IsUnspec() {
		return t, nil
	}
	if h.TransportProtocol.IsDatagram() {
		return t, fmt.Errorf("%w: %w", errBadHeader, errNoStream)
	}
	source, isTCP := h.SourceAddr.(*net.TCPAddr)
	if isTCP {
		t.from, t.to = addrPort(source), addrPort(h.DestinationAddr)
	}
	t.tls = endedTLS(h)
	return t, nil
}

// endedTLS reports whether the client has TLS, by the header's PP2_TYPE_SSL
// (section 2.2.6 of the specification). TLVs that can't be read say nothing.
func endedTLS(h *proxyproto.Header) bool {
	tlvs, err := h.TLVs()
	if err != nil {
		return false
	}
	ssl, found := tlvparse.FindSSL(tlvs)
	return found && ssl.ClientSSL()
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
