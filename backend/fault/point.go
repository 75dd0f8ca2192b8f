//go:build !faultpoints

package fault

// Point is a place where tests make the program panic. Without the build
// tag faultpoints it is nothing, and the compiler removes the call.
func Point(string) {}
