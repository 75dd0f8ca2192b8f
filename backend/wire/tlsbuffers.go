package wire

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// tlsFields are the places of the buffers within a tls.Conn.
type tlsFields struct {
	rawInput, hand, input uintptr
	known                 bool
}

var tlsBuffers = func() tlsFields {
	raw, isRaw := tlsField("rawInput", reflect.TypeFor[bytes.Buffer]())
	hand, isHand := tlsField("hand", reflect.TypeFor[bytes.Buffer]())
	input, isInput := tlsField("input", reflect.TypeFor[bytes.Reader]())
	return tlsFields{raw, hand, input, isRaw && isHand && isInput}
}()

func tlsField(name string, as reflect.Type) (at uintptr, found bool) {
	f, found := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, found && f.Type == as
}

// ReleaseTLSBuffers gives back the memory that a TLS connection has read into, unless something is left in
// it, and reports whether it has. No call may be under way on the connection.
//
// crypto/tls has no function for that, and keeps the memory as long as the connection lives: 1 KiB for the
// handshake, 20 KiB after a large record. Its fields are found by their names and types; in a version of Go that
// has others nothing is given back, and a test fails.
func ReleaseTLSBuffers(c *tls.Conn) (released bool) {
	if !tlsBuffers.known {
		return true // and will never do more
	}
	at := unsafe.Pointer(c)
	raw := (*bytes.Buffer)(unsafe.Add(at, tlsBuffers.rawInput))
	input := (*bytes.Reader)(unsafe.Add(at, tlsBuffers.input)) // reads from raw's memory
	hand := (*bytes.Buffer)(unsafe.Add(at, tlsBuffers.hand))
	if raw.Len() != 0 || input.Len() != 0 || hand.Len() != 0 {
		return false
	}
	*raw, *input, *hand = bytes.Buffer{}, bytes.Reader{}, bytes.Buffer{}
	return true
}
