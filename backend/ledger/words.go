package ledger

// kind says what a command's replies mean to the ledger.
type kind uint8

const (
	kindPlain        kind = iota
	kindSelect            // OK: a mailbox is selected; NO: none is (RFC 3501 section 6.3.1)
	kindClose             // OK: no mailbox is selected
	kindIdle              // "+", then DONE, then the reply (RFC 2177)
	kindLogout            // the end
	kindCompress          // OK: compressed from the next byte (RFC 4978)
	kindStartTLS          // OK: TLS from the next byte
	kindAuthenticate      // continuations of any number; OK may bring a security layer
)

// taint is a set of what a client did to a connection that can't be undone.
type taint uint16

const (
	taintEnable taint = 1 << iota
	taintCompress
	taintNotify
	taintLanguage
	taintComparator
	taintCondstore
	taintContext
	taintLogin
	taintUnknown
)

// taintNames are metric labels, in the order of the taints.
var taintNames = [...]string{
	"enable", "compress", "notify", "language", "comparator", "condstore", "context", "login", "unknown",
}

// name returns the label of the first taint in a set that is not empty.
func (t taint) name() string {
	for i := range taintNames {
		if t&(1<<i) != 0 {
			return taintNames[i]
		}
	}
	return ""
}

// doubt is the reason why the ledger stopped following.
type doubt uint8

const (
	noDoubt           doubt = iota
	doubtLine               // a client's line without a tag or a command, or with CR or NUL in it
	doubtDuplicate          // a tag used again before its reply
	doubtFlood              // more outstanding commands than are tracked
	doubtLiteral            // something that one peer may take for a literal and the other not
	doubtEarly              // client bytes where the backend's word was to be awaited
	doubtIdle               // IDLE ended otherwise than by DONE
	doubtAuthenticate       // AUTHENTICATE after login
	doubtStartTLS           // STARTTLS accepted after login
	doubtContinuation       // "+" that nothing waits for
	doubtReply              // a reply to nothing, or out of turn
	doubtRefused            // BAD where it is open what the backend took for commands, see Ledger.Offers
	doubtGarbage            // a backend's line that is none of IMAP's
	doubtSkip               // SkipClientLiteral or SkipBackendLiteral beyond the literal
)

// doubtNames are metric labels, in the order of the doubts.
var doubtNames = [...]string{
	"", "line", "duplicate", "flood", "literal", "early", "idle", "authenticate", "starttls",
	"continuation", "reply", "refused", "garbage", "skip",
}

// command is what the ledger knows about a command by its name.
type command struct {
	name   string
	kind   kind
	taint  taint
	bare   bool // takes no argument: some backends never read a literal after it
	search bool // takes RETURN (UPDATE) or (CONTEXT), RFC 5267
	writes bool // changes mail, mailboxes or the account
	stores bool // brings messages in literals
	// capabilities that say nothing to a client that may not use the command; one that ends in "=" stands for all
	// that begin so
	offered string
}

const (
	noCommand    = 0 // index in commands: none was sent
	otherCommand = 1 // index in commands: a name that is not in the table
	maxName      = 14
)

// commands are those whose effect on a connection is known, by name from the
// third on. What is not here is tainting: its effect is not known.
var commands = [...]command{
	{name: ""},
	{name: "other", taint: taintUnknown},
	{name: "APPEND", writes: true, stores: true, offered: "MULTIAPPEND CATENATE APPENDLIMIT APPENDLIMIT="},
	{name: "AUTHENTICATE", kind: kindAuthenticate, taint: taintLogin, offered: "AUTH= SASL-IR"},
	{name: "CANCELUPDATE"}, // RFC 5267
	{name: "CAPABILITY", bare: true},
	{name: "CHECK", bare: true},
	{name: "CLOSE", kind: kindClose, bare: true},
	{name: "COMPARATOR", taint: taintComparator, offered: "I18NLEVEL="},                // RFC 5255
	{name: "COMPRESS", kind: kindCompress, taint: taintCompress, offered: "COMPRESS="}, // RFC 4978
	{name: "CONVERSIONS"},                                                              // RFC 5259
	{name: "CONVERT", offered: "CONVERT"},                                              // RFC 5259
	{name: "COPY", writes: true},
	{name: "CREATE", writes: true},
	{name: "DELETE", writes: true},
	{name: "DELETEACL", writes: true}, // RFC 4314
	// RFC 5161. UTF8=ACCEPT and QRESYNC can be used only after it.
	{name: "ENABLE", taint: taintEnable, offered: "ENABLE UTF8= QRESYNC"},
	{name: "ESEARCH", search: true, offered: "MULTISEARCH"}, // RFC 7377
	{name: "EXAMINE", kind: kindSelect},
	{name: "EXPUNGE", bare: true, writes: true},
	{name: "FETCH"},
	{name: "GENURLAUTH", writes: true, offered: "URLAUTH"},     // RFC 4467
	{name: "GETACL", offered: "ACL"},                           // RFC 4314
	{name: "GETANNOTATION"},                                    // Cyrus
	{name: "GETJMAPACCESS", bare: true, offered: "JMAPACCESS"}, // RFC 9698
	{name: "GETMETADATA", offered: "METADATA METADATA-SERVER"}, // RFC 5464
	{name: "GETQUOTA", offered: "QUOTA QUOTA="},                // RFC 9208
	{name: "GETQUOTAROOT"},                                     // RFC 9208
	{name: "ID", offered: "ID"},                                // RFC 2971: what is logged, no behaviour
	{name: "IDLE", kind: kindIdle, bare: true, offered: "IDLE"},
	{name: "LANGUAGE", taint: taintLanguage, offered: "LANGUAGE"}, // RFC 5255
	{name: "LIST"},
	{name: "LISTRIGHTS"}, // RFC 4314
	{name: "LOGIN", taint: taintLogin, offered: "LOGINDISABLED"},
	{name: "LOGOUT", kind: kindLogout, bare: true},
	{name: "LSUB"},
	{name: "MOVE", writes: true, offered: "MOVE"},
	{name: "MYRIGHTS"}, // RFC 4314
	{name: "NAMESPACE", bare: true, offered: "NAMESPACE"},
	{name: "NOOP", bare: true},
	{name: "NOTIFY", taint: taintNotify, offered: "NOTIFY"}, // RFC 5465
	{name: "RENAME", writes: true},
	{name: "REPLACE", writes: true, stores: true, offered: "REPLACE"}, // RFC 8508
	{name: "RESETKEY", writes: true},                                  // RFC 4467
	{name: "RLIST"},                                                   // RFC 2193
	{name: "RLSUB"},                                                   // RFC 2193
	{name: "SEARCH", search: true},
	{name: "SELECT", kind: kindSelect},
	{name: "SETACL", writes: true, offered: "ACL"},                           // RFC 4314
	{name: "SETANNOTATION", writes: true},                                    // Cyrus
	{name: "SETMETADATA", writes: true, offered: "METADATA METADATA-SERVER"}, // RFC 5464
	{name: "SETQUOTA", writes: true, offered: "QUOTASET"},                    // RFC 9208
	{name: "SORT", search: true, offered: "SORT SORT= ESORT"},                // RFC 5256
	{name: "STARTTLS", kind: kindStartTLS, taint: taintLogin, bare: true, offered: "STARTTLS"},
	{name: "STATUS"},
	{name: "STORE", writes: true},
	{name: "SUBSCRIBE", writes: true},
	{name: "THREAD", offered: "THREAD="}, // RFC 5256
	{name: "UID CONVERT"},                // RFC 5259
	{name: "UID COPY", writes: true},
	{name: "UID EXPUNGE", writes: true}, // RFC 4315
	{name: "UID FETCH"},
	{name: "UID MOVE", writes: true},                  // RFC 6851
	{name: "UID REPLACE", writes: true, stores: true}, // RFC 8508
	{name: "UID SEARCH", search: true},
	{name: "UID SORT", search: true},
	{name: "UID STORE", writes: true},
	{name: "UID THREAD"},
	{name: "UNAUTHENTICATE", taint: taintLogin, bare: true, offered: "UNAUTHENTICATE"}, // RFC 8437
	{name: "UNSELECT", kind: kindClose, bare: true, offered: "UNSELECT"},               // RFC 3691
	{name: "UNSUBSCRIBE", writes: true},
	{name: "URLFETCH", offered: "URLAUTH"}, // RFC 4467
	{name: "XLIST", offered: "XLIST"},      // the forerunner of RFC 6154
}

// findCommand returns the index in commands of the command that a line names
// after its tag; none when there is nothing.
func findCommand(rest []byte) uint8 {
	name := firstWord(rest)
	if len(name) == len("UID") && foldEqual(name, "UID") && len(rest) > len(name) {
		name = rest[:len(name)+1+len(firstWord(rest[len(name)+1:]))]
	}
	if len(name) == 0 {
		return noCommand
	}
	if len(name) > maxName {
		return otherCommand
	}
	var buf [maxName]byte
	upper := buf[:len(name)]
	for i, b := range name {
		upper[i] = upperByte(b)
	}
	lo, hi := otherCommand+1, len(commands)
	for lo < hi {
		if mid := (lo + hi) / 2; commands[mid].name < string(upper) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(commands) && commands[lo].name == string(upper) {
		return uint8(lo)
	}
	return otherCommand
}

func firstWord(p []byte) []byte {
	for i, b := range p {
		if b == ' ' {
			return p[:i]
		}
	}
	return p
}

// foldEqual compares with an upper-case word, without regard to ASCII case.
func foldEqual(p []byte, upper string) bool {
	if len(p) != len(upper) {
		return false
	}
	for i, b := range p {
		if upperByte(b) != upper[i] {
			return false
		}
	}
	return true
}

func upperByte(b byte) byte {
	if b >= 'a' && b <= 'z' {
		return b - ('a' - 'A')
	}
	return b
}
