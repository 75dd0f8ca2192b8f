package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rules are what a policy adds to what is always refused.
type Rules struct {
	Deny         []string // commands by name; "COPY" stands for UID COPY as well
	ReadOnly     bool     // EXAMINE for SELECT, and no command that writes
	AppendLimit  int64    // bytes of a message that is stored; 0 is no limit, else CATENATE is refused
	PassCompress bool     // COMPRESS goes to the backend; the ledger is blind from then on
}

// Policy says what a client may not do after its login, and how that is refused.
// It is immutable, and many ledgers may share one.
type Policy struct {
	mechanisms  []*mechanism
	deny        []string
	known       [len(commands)]refusal // of the commands in the table
	hidden      []string               // capabilities; one that ends in "=" stands for all that begin so
	appendLimit int64
	readOnly    bool
	strict      bool // more is refused than what always is
}

// refusal is the way in which a command is refused: an index in refusals.
type refusal uint8

const (
	notRefused refusal = iota
	refusedInvalid
	refusedUnauthenticate
	refusedCompress
	refusedStartTLS
	refusedLogin
	refusedDenied
	refusedReadOnly
	refusedTooBig
)

// refusals are the answers, after the tag.
var refusals = [...]string{
	refusedInvalid:        " BAD Invalid command\r\n",
	refusedUnauthenticate: " NO [CANNOT] Log out and connect again to log in as another user\r\n",
	refusedCompress:       " NO [CANNOT] Compression is not available\r\n",
	refusedStartTLS:       " BAD TLS begins before the login\r\n",
	refusedLogin:          " BAD Logged in already\r\n",
	refusedDenied:         " NO [NOPERM] This command is not permitted here\r\n",
	refusedReadOnly:       " NO [NOPERM] Only reading is permitted here\r\n",
	refusedTooBig:         " NO [TOOBIG] The message is larger than is permitted here\r\n",
}

// rules name the refusals, as labels of metrics.
var rules = [...]string{
	refusedInvalid:        "invalid",
	refusedUnauthenticate: "unauthenticate",
	refusedCompress:       "compress",
	refusedStartTLS:       "starttls",
	refusedLogin:          "login",
	refusedDenied:         "deny",
	refusedReadOnly:       "read_only",
	refusedTooBig:         "append_limit",
}

// RuleNames returns the names of all rules by which commands are refused.
func RuleNames() []string { return slices.Clone(rules[refusedInvalid:]) }

// TakeRefused reports how many commands each rule has refused since the last call.
func (l *Ledger) TakeRefused(each func(rule string, n int)) {
	f := l.filter
	if f == nil || !f.counted {
		return
	}
	for why, n := range f.counts {
		if n > 0 {
			each(rules[why], int(n))
		}
	}
	f.counts, f.counted = [len(refusals)]uint32{}, false
}

// count notes that a command is refused.
func (f *filter) count(why refusal) {
	f.counts[why]++
	f.counted = true
}

// mechanism is a row of the table of policies: what it refuses, and how.
type mechanism struct {
	says   refusal
	on     func(*Rules) bool                   // nil: always
	covers func(p *Policy, name string) bool   // by the command's name, in upper case
	hides  func(p *Policy, name string) string // capabilities of a command that it covers; nil hides none
}

// mechanisms is the table; the first row that covers a command decides.
var mechanisms = [...]mechanism{
	{says: refusedUnauthenticate, covers: only("UNAUTHENTICATE"), hides: offered},
	{says: refusedStartTLS, covers: only("STARTTLS"), hides: offered},
	{says: refusedLogin, covers: only("AUTHENTICATE", "LOGIN"), hides: offered},
	{says: refusedCompress, covers: only("COMPRESS"), hides: offered,
		on: func(r *Rules) bool { return !r.PassCompress }},
	{says: refusedDenied, covers: (*Policy).denies, hides: offered,
		on: func(r *Rules) bool { return len(r.Deny) > 0 }},
	{says: refusedReadOnly, covers: writes, on: func(r *Rules) bool { return r.ReadOnly }},
}

// referralCapabilities would lead past the proxy.
const referralCapabilities = "LOGIN-REFERRALS MAILBOX-REFERRALS"

// limitCapabilities are hidden where messages are limited: the parts of CATENATE
// can't be measured, and the backend's limit is not the one in force.
const limitCapabilities = "CATENATE APPENDLIMIT APPENDLIMIT="

// usual is the policy of the zero Rules, which make sense.
var usual = func() *Policy {
	p, _ := NewPolicy(Rules{})
	return p
}()

// UsualPolicy refuses only what is always refused.
func UsualPolicy() *Policy { return usual }

// NewPolicy makes a policy of rules; an error names what makes no sense.
func NewPolicy(r Rules) (*Policy, error) {
	p := &Policy{appendLimit: r.AppendLimit, readOnly: r.ReadOnly,
		strict: len(r.Deny) > 0 || r.ReadOnly || r.AppendLimit > 0}
	if p.strict && r.PassCompress {
		return nil, ErrCompressed
	}
	for _, name := range r.Deny {
		if err := CheckDeny(name); err != nil {
			return nil, err
		}
		p.deny = append(p.deny, strings.ToUpper(name))
	}
	for i := range mechanisms {
		if m := &mechanisms[i]; m.on == nil || m.on(&r) {
			p.mechanisms = append(p.mechanisms, m)
		}
	}
	p.hide(referralCapabilities)
	if p.appendLimit > 0 {
		p.hide(limitCapabilities)
	}
	for i := otherCommand + 1; i < len(commands); i++ {
		p.known[i] = p.judge(commands[i].name)
	}
	for _, name := range p.deny {
		p.judge(name)
	}
	return p, nil
}

// judge says how a command is refused, and hides the capabilities that it makes void.
func (p *Policy) judge(name string) refusal {
	for _, m := range p.mechanisms {
		if !m.covers(p, name) {
			continue
		}
		if m.hides != nil {
			p.hide(m.hides(p, name))
		}
		return m.says
	}
	return notRefused
}

func (p *Policy) hide(names string) {
	for _, name := range strings.Fields(names) {
		if !slices.Contains(p.hidden, name) {
			p.hidden = append(p.hidden, name)
		}
	}
}

// Hides reports whether clients may not read a capability. That of nil is the
// usual policy's.
func (p *Policy) Hides(capability string) bool { return p.hides([]byte(capability)) }

func (p *Policy) hides(name []byte) bool {
	if p == nil {
		p = usual
	}
	for _, h := range p.hidden {
		n := len(name)
		if h[len(h)-1] == '=' {
			n = min(n, len(h))
		}
		if foldEqual(name[:n], h) {
			return true
		}
	}
	return false
}

// refusal says how the policy refuses a command, by its index in commands and its
// name as the client has spelt it.
func (p *Policy) refusal(index uint8, name []byte) refusal {
	if index != otherCommand {
		return p.known[index]
	}
	upper := strings.ToUpper(string(name))
	for _, m := range p.mechanisms {
		if m.covers(p, upper) {
			return m.says
		}
	}
	return notRefused
}

// only covers commands by their names, and what a backend might take for them.
func only(names ...string) func(*Policy, string) bool {
	return func(_ *Policy, name string) bool { return slices.Contains(names, strings.TrimPrefix(name, uidPrefix)) }
}

const uidPrefix = "UID "

// denies covers the commands of the rules; UID without another word stands for all UID commands.
func (p *Policy) denies(name string) bool {
	base, isUID := strings.CutPrefix(name, uidPrefix)
	return slices.Contains(p.deny, name) || slices.Contains(p.deny, base) || isUID && slices.Contains(p.deny, "UID")
}

// writes covers the commands that change something, and those of which that is not known.
func writes(_ *Policy, name string) bool {
	c := findCommand([]byte(name))
	return c == otherCommand || commands[c].writes
}

// offered are the capabilities that go with a command; of an unknown one, those
// that have its name.
func offered(_ *Policy, name string) string {
	if c := findCommand([]byte(name)); c != otherCommand {
		return commands[c].offered
	}
	return name
}

// ErrCompressed says that rules contradict each other.
var ErrCompressed = errors.New("what a client does can't be seen any more once COMPRESS has passed")

// CheckDeny says why a name can't be denied.
func CheckDeny(name string) error {
	word := strings.TrimPrefix(strings.ToUpper(name), uidPrefix)
	odd := func(r rune) bool { return r > 0x7f || !atomByte(byte(r)) }
	if word == "" || len(word) > maxWord || strings.ContainsFunc(word, odd) {
		return fmt.Errorf("%q is no name of a command", name)
	}
	switch word {
	case "LOGOUT", "CAPABILITY", "NOOP":
		return fmt.Errorf("every client needs %s", word)
	case "DONE":
		return fmt.Errorf("DONE is no command; deny IDLE")
	}
	return nil
}
