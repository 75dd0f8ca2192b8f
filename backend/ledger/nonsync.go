package ledger

// NonSync says which non-synchronising literals, {n+}, a backend has announced to
// read (RFC 7888). The zero value is none.
type NonSync uint8

// The announcements.
const (
	NonSyncNone  NonSync = iota
	NonSyncShort         // up to 4096 bytes: LITERAL-, and IMAP4rev2 with it
	NonSyncAny           // LITERAL+
)

// maxNonSyncShort is the longest literal of NonSyncShort (RFC 7888 section 5).
const maxNonSyncShort = 4096

// Offers tells the ledger what the backend offers, before any bytes. What it offers
// it reads whatever it answers, or it closes (RFC 7888 section 4); with any other
// literal a BAD leaves open whether its bytes were taken for commands.
func (l *Ledger) Offers(n NonSync) { l.nonSync = n }

// covers reports whether the backend has announced to read a literal of n bytes.
func (o NonSync) covers(n int64) bool {
	return o == NonSyncAny || o == NonSyncShort && n <= maxNonSyncShort
}
