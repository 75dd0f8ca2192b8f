//go:build !faultpoints

// Package fault has the places at which tests make the program panic. They exist
// only with the build tag faultpoints.
package fault

// Point is a place where tests make the program panic. Without the build
// tag faultpoints it is nothing, and the compiler removes the call.
func Point(string) {}
