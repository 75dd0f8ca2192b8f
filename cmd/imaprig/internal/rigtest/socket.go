package rigtest

import (
	"imapproxy/backend/wire"
)

// CloseWait returns a server's socket in CLOSE_WAIT.
func CloseWait(recvQ, sendQ, inode uint64) wire.TableEntry {
	return wire.TableEntry{Local: Addr("127.0.0.1:143"), Remote: Addr("127.0.0.1:50000"), State: wire.StateCloseWait,
		RecvQ: recvQ, SendQ: sendQ, Inode: inode}
}
