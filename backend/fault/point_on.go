//go:build faultpoints

// Package fault has the places at which tests make the program panic.
package fault

import "sync/atomic"

// Handler is called at each fault point with its name, when it is set; tests
// panic in it.
var Handler atomic.Pointer[func(name string)]

// Point is a place where tests make the program panic.
func Point(name string) {
	if f := Handler.Load(); f != nil {
		(*f)(name)
	}
}
