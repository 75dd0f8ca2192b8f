package imapproxy

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"
)

const (
	v1Header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 993\r\n"
	v2Start  = "\r\n\r\n\x00\r\nQUIT\n"
	v2Header = v2Start + "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x03\xe1"
	v2IPv6   = v2Start + "\x21\x21\x00\x24" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x12\x67\x03\xe1"
)

// sslTLV says that the client speaks TLS 1.3 to the balancer, without a
// certificate, as HAProxy's send-proxy-v2-ssl does.
const sslTLV = "\x20\x00\x0f\x01\x00\x00\x00\x01\x21\x00\x07TLSv1.3"

// withTLVs is a header of version 2 with n bytes after the addresses.
func withTLVs(n int, tlvs string) string {
	length := 12 + n
	return v2Start + "\x21\x11" + string([]byte{byte(length >> 8), byte(length)}) + v2Header[16:] +
		tlvs + strings.Repeat("\x00", n-len(tlvs))
}

var headers = []struct {
	name, text, from, to string
	want                 error // of the header; nil for a good one
}{
	{"v1", v1Header, "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v1 IPv6", "PROXY TCP6 2001:db8::7 2001:db8::8 4711 993\r\n", "[2001:db8::7]:4711", "[2001:db8::8]:993", nil},
	{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::8 4711 993\r\n", "192.0.2.7:4711", "[2001:db8::8]:993", nil},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "", "", nil},
	{"v1 unknown, longest", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", "", "", nil},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n", "", "", errHeaderTooLong},
	{"v1 without CR", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 993\n", "", "", proxyproto.ErrLineMustEndWithCrlf},
	{"v1 bad port", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 70000\r\n", "", "", proxyproto.ErrInvalidPortNumber},
	{"v1 bad address", "PROXY TCP4 192.0.2.256 198.51.100.1 4711 993\r\n", "", "", proxyproto.ErrInvalidAddress},
	{"v1 other family", "PROXY TCP5 192.0.2.7 198.51.100.1 4711 993\r\n", "", "",
		proxyproto.ErrCantReadAddressFamilyAndProtocol},
	{"v1 small letters", "proxy TCP4 192.0.2.7 198.51.100.1 4711 993\r\n", "", "", errNoHeader},
	{"v1 other word", "PROXYTCP4 192.0.2.7 198.51.100.1 4711 993\r\n", "", "", proxyproto.ErrCantReadVersion1Header},
	{"v1 cut", "PROXY TCP4 192.0.2.7 198", "", "", io.EOF},
	{"v2", v2Header, "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v2 IPv6", v2IPv6, "[2001:db8::7]:4711", "[2001:db8::8]:993", nil},
	{"v2 local", v2Start + "\x20\x00\x00\x00", "", "", nil},
	{"v2 local with addresses", v2Start + "\x20" + v2Header[13:], "", "", nil},
	{"v2 unix", v2Start + "\x21\x31\x00\xd8/client" + strings.Repeat("\x00", 209), "", "", nil},
	{"v2 with NUL in a TLV", withTLVs(8, "\x02\x00\x05a\x00b\x00c"), "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v2 with the client's TLS", withTLVs(len(sslTLV), sslTLV), "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v2 with a client's certificate and no TLS", withTLVs(8, "\x20\x00\x05\x06\x00\x00\x00\x01"), "192.0.2.7:4711",
		"198.51.100.1:993", nil},
	{"v2 with TLVs cut short", withTLVs(4, "\x20\x00\x05\x01"), "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v2 local with a TLV of TLS", v2Start + "\x20" + withTLVs(len(sslTLV), sslTLV)[13:], "", "", nil},
	{"v2 longest", withTLVs(4084, ""), "192.0.2.7:4711", "198.51.100.1:993", nil},
	{"v2 too long", withTLVs(4085, ""), "", "", errHeaderTooLong},
	{"v2 datagrams", v2Start + "\x21\x12" + v2Header[14:], "", "", errNoStream},
	{"v2 unknown family", v2Start + "\x21\x41" + v2Header[14:], "", "",
		proxyproto.ErrUnsupportedAddressFamilyAndProtocol},
	{"v2 unspecified family", v2Start + "\x21\x00\x00\x00", "", "", proxyproto.ErrUnsupportedAddressFamilyAndProtocol},
	{"v2 unknown command", v2Start + "\x22" + v2Header[13:], "", "",
		proxyproto.ErrUnsupportedProtocolVersionAndCommand},
	{"v2 too short for addresses", v2Start + "\x21\x11\x00\x0b" + v2Header[16:], "", "", proxyproto.ErrInvalidLength},
	{"v2 cut", v2Header[:20], "", "", io.EOF},
	{"IMAP", "a LOGIN joe secret\r\n", "", "", errNoHeader},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaa", "", "", errNoHeader},
}

// TestReadProxyHeader reads each header whole, byte by byte, and with more
// after it, of which nothing may be taken.
func TestReadProxyHeader(t *testing.T) {
	const behind = "PROXY and what follows\r\n"
	for _, test := range headers {
		for how, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r },
			"in bytes": iotest.OneByteReader} {
			t.Run(test.name+" "+how, func(t *testing.T) {
				text := test.text
				if test.want == nil {
					text += behind
				}
				source := strings.NewReader(text)
				got, err := readProxyHeader(wrap(source))
				if test.want != nil {
					if !errors.Is(err, test.want) || errors.Is(err, errBadHeader) == (test.want == io.EOF) {
						t.Errorf("error %v, want %v", err, test.want)
					}
					return
				}
				want := told{address(test.from), address(test.to), strings.Contains(test.name, "client's TLS")}
				if err != nil || got != want {
					t.Errorf("%+v, error %v; want %+v", got, err, want)
				}
				if rest, _ := io.ReadAll(source); string(rest) != behind {
					t.Errorf("left is %q, want %q", rest, behind)
				}
			})
		}
	}
}

// address parses an address; "" is none.
func address(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

// TestSilentPeers tells a socket that ends or fails from a bad header.
func TestSilentPeers(t *testing.T) {
	if _, err := readProxyHeader(strings.NewReader("")); !errors.Is(err, io.EOF) || errors.Is(err, errBadHeader) {
		t.Errorf("nothing at all gives %v", err)
	}
	broken := io.MultiReader(strings.NewReader(v1Header[:20]), iotest.ErrReader(errDirectory))
	if _, err := readProxyHeader(broken); !errors.Is(err, errDirectory) || errors.Is(err, errBadHeader) {
		t.Errorf("a broken socket gives %v", err)
	}
}

// FuzzReadProxyHeader: no panic, nothing read after the header, and the same
// answer in one piece and in bytes.
func FuzzReadProxyHeader(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := bytes.NewReader(text)
		got, err := readProxyHeader(whole)
		taken := len(text) - whole.Len()
		if taken > longestV2 {
			t.Fatalf("%d bytes taken", taken)
		}
		bytewise := bytes.NewReader(text)
		got2, err2 := readProxyHeader(iotest.OneByteReader(bytewise))
		if got != got2 || (err == nil) != (err2 == nil) || whole.Len() != bytewise.Len() {
			t.Fatalf("%+v %v in one piece, %+v %v in bytes", got, err, got2, err2)
		}
		if err == nil && got.from.IsValid() != got.to.IsValid() {
			t.Fatalf("from %v to %v", got.from, got.to)
		}
	})
}
