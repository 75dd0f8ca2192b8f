package backend

import (
	"slices"
	"strings"

	"imapproxy/backend/ledger"
)

// capabilities is a backend's list as it gave it, or nothing.
type capabilities struct {
	list     []string
	untagged bool // said in a line of its own, unasked
}

// known reports whether the backend has said what it offers.
func (c capabilities) known() bool { return c.list != nil }

func (c *capabilities) set(s string) { *c = capabilities{list: strings.Fields(printableList(s))} }

func (c *capabilities) forget() { *c = capabilities{} }

// learn takes the list from a response, if it carries one.
func (c *capabilities) learn(r answer) {
	if r.tag == "*" && r.word == "CAPABILITY" {
		c.set(r.text)
		c.untagged = true
		return
	}
	word, list, ok := strings.Cut(r.code, " ")
	if ok && strings.EqualFold(word, "CAPABILITY") {
		c.set(list)
	}
}

func (c capabilities) has(name string) bool {
	for _, s := range c.list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// nonSync is what the backend says of non-synchronising literals.
func (c capabilities) nonSync() ledger.NonSync {
	switch {
	case c.has("LITERAL+"):
		return ledger.NonSyncAny
	case c.has("LITERAL-"), c.has("IMAP4rev2"):
		return ledger.NonSyncShort
	}
	return ledger.NonSyncNone
}

// forClient is the list without what the policy hides.
func (c capabilities) forClient(p *ledger.Policy) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(c.list), p.Hides), " ")
}

// printableList keeps a hostile list from breaking the line it goes into: the
// bytes that may not stand in a response code end an item.
func printableList(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= 0x20 || r >= 0x7f || r == ']' || r == '[' {
			return ' '
		}
		return r
	}, s)
}
