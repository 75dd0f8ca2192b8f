//go:build linux && !goroutines

package imapproxy

// atWork tells whether the relay's loop is inside a step: what is busy then may
// be merely slow.
func atWork(r *relay) bool { return r.handling.Load() }
