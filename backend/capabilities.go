package backend

import (
	"slices"
	"strings"
	"sync"

	"imapproxy/backend/ledger"
)

// capabilities is a backend's list as it gave it, or nothing.
type capabilities struct {
	list     []string
	untagged bool // said in a line of its own, unasked
}

// known reports whether the backend has said what it offers.
func (c capabilities) known() bool { return c.list != nil }

func (c *capabilities) set(s string, all *lists) { *c = capabilities{list: all.of(s)} }

// lists has what backends have offered lately: thousands of connections have the same list, and share it.
// The zero value is ready.
type lists struct {
	mu    sync.Mutex // protects known; nothing blocks under it
	known map[string][]string
}

const (
	maxLists     = 100
	maxListBytes = 4 << 10 // a longer one is not shared
)

// of returns the list that a backend has sent as s. It is not to be changed.
func (l *lists) of(s string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.known[s]; list != nil {
		return list
	}
	list := strings.Fields(printableList(s))
	if len(s) > maxListBytes {
		return list
	}
	if len(l.known) >= maxLists || l.known == nil {
		l.known = map[string][]string{}
	}
	l.known[strings.Clone(s)] = list
	return list
}

func (c *capabilities) forget() { *c = capabilities{} }

// learn takes the list from a response, if it carries one.
func (c *capabilities) learn(r answer, all *lists) {
	if r.tag == "*" && r.word == "CAPABILITY" {
		c.set(r.text, all)
		c.untagged = true
		return
	}
	word, list, ok := strings.Cut(r.code, " ")
	if ok && strings.EqualFold(word, "CAPABILITY") {
		c.set(list, all)
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
