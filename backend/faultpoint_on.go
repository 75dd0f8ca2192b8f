//go:build faultpoints

package backend

import "sync/atomic"

// Fault is called at each fault point with its name, when it is set; tests
// panic in it.
var Fault atomic.Pointer[func(name string)]

// FaultPoint is a place where tests make the program panic.
func FaultPoint(name string) {
	if f := Fault.Load(); f != nil {
		(*f)(name)
	}
}
