//go:build !linux || goroutines

package imapproxy

// atWork can't be told from a goroutine that waits in a write.
func atWork(*relay) bool { return false }
