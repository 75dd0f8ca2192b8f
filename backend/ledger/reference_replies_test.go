package ledger

import (
	"strings"
)

func (r *reference) readBackend() bool {
	if takeLiteral(&r.fromBackend, &r.backendLiteral) {
		return true
	}
	whole, ok := takeLine(&r.fromBackend)
	if !ok {
		return false
	}
	line := strings.TrimSuffix(whole, "\r")
	if r.inData {
		r.readData(whole)
		return true
	}
	if text, ok := strings.CutPrefix(line, "* "); ok && text != "" {
		switch refWord(text) {
		case "OK", "NO":
		case "BYE":
			r.bye = true
		case "BAD":
			open := r.offer == "" || r.offer == "none"
			for _, c := range r.open {
				open = open || c.plus
			}
			if open {
				r.doubtful("refused")
			}
		case "PREAUTH":
			r.lost("garbage")
		default:
			r.readData(whole)
		}
		return true
	}
	if line == "+" || strings.HasPrefix(line, "+ ") {
		r.readPlus()
		return true
	}
	m := refTagged.FindStringSubmatch(line)
	if m == nil || !listed("OK NO BAD", refWord(m[2])) {
		r.lost("garbage")
		return true
	}
	r.readReply(m[1], refWord(m[2]))
	return true
}

func refWord(text string) string {
	if m := refStatus.FindStringSubmatch(text); m != nil {
		return asciiUpper(m[1])
	}
	return ""
}

func (r *reference) readData(whole string) {
	n, kind := announced(whole)
	if kind == "bad" {
		r.lost("literal")
	}
	r.backendLiteral, r.inData = n, kind != "no"
}

func (r *reference) readPlus() {
	switch {
	case r.why != "":
	case r.pending == "literal":
		r.pending = ""
	case r.pending == "idle":
		r.pending = "done"
	default:
		r.doubtful("continuation")
	}
}

func (r *reference) readReply(tag, status string) {
	at := -1
	for i, c := range r.open {
		if c.tag == tag {
			at = i
		}
	}
	if at < 0 {
		r.lost("reply")
		return
	}
	c, before := r.open[at], r.open[:at]
	newest := at == len(r.open)-1
	r.open = append(append([]*refCommand{}, before...), r.open[at+1:]...)
	if status == "OK" {
		switch c.name {
		case "COMPRESS":
			r.packed = true
		case "STARTTLS", "AUTHENTICATE":
			r.lost(strings.ToLower(c.name))
		}
	}
	switch {
	case r.why != "":
	case status == "BAD" && c.plus:
		r.doubtful("refused")
	case c == r.writing:
		r.replyWhileWriting(status)
	case newest && r.pending != "":
		r.replyWhilePending(status)
	default:
		r.replyDone(c, before, status)
	}
}

func (r *reference) replyWhileWriting(status string) {
	switch {
	case r.pending == "literal" && status != "OK":
		r.pending, r.clientLiteral, r.writing = "", 0, nil
	case r.pending == "" && status == "NO" && (!r.sync || r.clientLiteral == 0):
		r.refused = true
	case r.pending == "" && status == "BAD" && !r.sync: // of a literal that is on offer
		r.refused = true
	default:
		r.doubtful("reply")
	}
}

func (r *reference) replyWhilePending(status string) {
	if r.pending == "reply" || r.pending == "idle" && status != "OK" {
		r.pending = ""
		return
	}
	r.doubtful("idle")
}

func (r *reference) replyDone(c *refCommand, before []*refCommand, status string) {
	const mailboxes = "SELECT EXAMINE CLOSE UNSELECT"
	if !listed(mailboxes, c.name) {
		return
	}
	for _, b := range before {
		if listed(mailboxes, b.name) {
			r.doubtful("reply")
			return
		}
	}
	switch opens := listed("SELECT EXAMINE", c.name); {
	case status == "OK":
		r.chosen, r.unsure = opens, false
	case status == "NO" && opens:
		r.unsure = r.chosen
	}
}
