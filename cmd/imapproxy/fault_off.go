//go:build !faultpoints

package main

// armFaults does nothing without the build tag faultpoints.
func armFaults() {}
