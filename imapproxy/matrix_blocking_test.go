//go:build !linux || goroutines

package imapproxy

import "time"

// blocked is how long a write makes no step when it is blocked.
const blocked = 100 * time.Millisecond

// atWork can't be told from a goroutine that waits in a write.
func atWork(*relay) bool { return false }

// canSplice says that a large literal may go through the kernel.
const canSplice = false

func openPipes(*Server) int { return 0 }

func dropIdlePipes(*Server) {}

// isSwept tells whether the server's next look at its sessions takes this one in.
func isSwept(s *session) bool { return s.relaying.Load() }
