package ledger

import (
	"math"
	"math/big"
	"regexp"
	"strings"
)

// reference is the ledger again, slow and plain: it keeps all bytes that are not
// a whole line yet, and reads whole lines with regular expressions.
type reference struct {
	offer string // "any" {n+} literal is read by the backend whatever it answers, the "short" ones are, or none

	fromClient, fromBackend       string // not read yet
	clientLiteral, backendLiteral int64

	open    []*refCommand // sent, without reply
	writing *refCommand   // the command whose first line has come, but not its last
	refused bool          // writing has its reply already
	sync    bool          // the last literal of writing was a synchronising one
	pending string        // "literal", "idle", "done", "reply": what has to come first
	inData  bool

	why                                       string
	deaf, packed, chosen, unsure, bye, logout bool
	last                                      string
	taints                                    map[string]bool
}

type refCommand struct {
	tag, name string
	plus      bool // it has a {n+} literal that is not on offer
}

const (
	refPlain = `APPEND CANCELUPDATE CAPABILITY CHECK CLOSE CONVERSIONS CONVERT COPY CREATE DELETE DELETEACL ESEARCH
		EXAMINE EXPUNGE FETCH GENURLAUTH GETACL GETANNOTATION GETJMAPACCESS GETMETADATA GETQUOTA GETQUOTAROOT ID
		IDLE LIST LISTRIGHTS LOGOUT LSUB MOVE MYRIGHTS NAMESPACE NOOP RENAME REPLACE RESETKEY RLIST RLSUB SEARCH
		SELECT SETACL SETANNOTATION SETMETADATA SETQUOTA SORT STATUS STORE SUBSCRIBE THREAD UID_CONVERT UID_COPY
		UID_EXPUNGE UID_FETCH UID_MOVE UID_REPLACE UID_SEARCH UID_SORT UID_STORE UID_THREAD UNSELECT UNSUBSCRIBE
		URLFETCH XLIST`
	refBare = `CAPABILITY CHECK CLOSE EXPUNGE GETJMAPACCESS IDLE LOGOUT NAMESPACE NOOP STARTTLS
		UNAUTHENTICATE UNSELECT`
	refSearches = `SEARCH SORT ESEARCH UID_SEARCH UID_SORT`
)

var (
	refTaints = map[string]string{
		"AUTHENTICATE": "login", "COMPARATOR": "comparator", "COMPRESS": "compress", "ENABLE": "enable",
		"LANGUAGE": "language", "LOGIN": "login", "NOTIFY": "notify", "STARTTLS": "login", "UNAUTHENTICATE": "login",
	}
	refTagged  = regexp.MustCompile("(?s)^([!#$&',\\-./0-9:;<=>?@A-Z\\[\\]^_`a-z|}~]{1,64}) (.+)$")
	refLiteral = regexp.MustCompile(`(?s)[ (]~?\{([0-9]{1,19})(\+?)\}$`)
	refQuoted  = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"`)
	refStatus  = regexp.MustCompile(`(?s)^([A-Za-z]+)(?: .*)?$`)
	refDigits  = regexp.MustCompile(`^[-+0-9]*\}$`)
)

func listed(list, name string) bool {
	for _, w := range strings.Fields(list) {
		if strings.ReplaceAll(w, "_", " ") == name {
			return true
		}
	}
	return false
}

func asciiUpper(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 32
		}
		return r
	}, s)
}

func (r *reference) feed(who byte, s string) {
	if who == 'C' {
		r.fromClient += s
		for r.why == "" && !r.packed && r.readClient() {
		}
		return
	}
	r.fromBackend += s
	for !r.deaf && !r.packed && r.readBackend() {
	}
}

func (r *reference) doubtful(why string) {
	if r.why == "" {
		r.why = why
	}
}

func (r *reference) lost(why string) {
	r.doubtful(why)
	r.deaf = true
}

// takeLiteral moves what there is of a literal out of a buffer.
func takeLiteral(buffer *string, literal *int64) bool {
	n := min(int64(len(*buffer)), *literal)
	*buffer, *literal = (*buffer)[n:], *literal-n
	return n > 0
}

// takeLine moves a line out of a buffer.
func takeLine(buffer *string) (string, bool) {
	line, rest, ok := strings.Cut(*buffer, "\n")
	if ok {
		*buffer = rest
	}
	return line, ok
}

// announced reads a literal's announcement at a line's end: "no", "bad", "sync" or "plus".
func announced(line string) (int64, string) {
	end := strings.TrimSuffix(line[max(0, len(line)-32):], "\r")
	if trimmed := strings.TrimRight(end, " \t\r"); trimmed != end {
		braced := strings.HasSuffix(trimmed, "}") && strings.Contains(trimmed, "{")
		if braced || trimmed == "" && len(line) > 32 {
			return 0, "bad"
		}
		return 0, "no"
	}
	if !strings.HasSuffix(end, "}") {
		return 0, "no"
	}
	m := refLiteral.FindStringSubmatch(end)
	if m == nil {
		if strings.Contains(end, "{") || refDigits.MatchString(end) && len(line) > 32 {
			return 0, "bad"
		}
		return 0, "no"
	}
	n, _ := new(big.Int).SetString(m[1], 10)
	if n.Cmp(big.NewInt(math.MaxInt64)) > 0 {
		return 0, "bad"
	}
	if m[2] == "+" {
		return n.Int64(), "plus"
	}
	return n.Int64(), "sync"
}

func (r *reference) readClient() bool {
	if r.fromClient == "" {
		return false
	}
	if r.pending != "" && r.pending != "done" {
		r.doubtful("early")
		return false
	}
	if takeLiteral(&r.fromClient, &r.clientLiteral) {
		return true
	}
	whole, ok := takeLine(&r.fromClient)
	if !ok {
		return false
	}
	line := strings.TrimSuffix(whole, "\r")
	if strings.ContainsAny(line, "\r\x00") {
		r.doubtful("line")
		return true
	}
	if r.pending == "done" {
		r.pending = ""
		if asciiUpper(line) != "DONE" {
			r.doubtful("idle")
		}
		return true
	}
	if r.writing == nil && !r.begun(line) {
		return true
	}
	r.taint(line)
	n, kind := announced(whole)
	quoteOpen := strings.Contains(refQuoted.ReplaceAllString(line, ""), `"`)
	switch {
	case kind == "no":
		r.finished()
	case kind == "bad" || quoteOpen || listed(refBare, r.writing.name):
		r.doubtful("literal")
	case kind == "sync" && r.refused:
		r.doubtful("reply")
	default:
		r.clientLiteral, r.sync = n, kind == "sync"
		if r.sync {
			r.pending = "literal"
		} else if !r.offered(n) {
			r.writing.plus = true
		}
	}
	return true
}

func (r *reference) offered(n int64) bool { return r.offer == "any" || r.offer == "short" && n < 4097 }

// begun reads the first line of a command.
func (r *reference) begun(line string) bool {
	m := refTagged.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[2], " ") {
		r.doubtful("line")
		return false
	}
	words := strings.SplitN(asciiUpper(m[2]), " ", 3)
	name := words[0]
	if name == "UID" && len(words) > 1 {
		name += " " + words[1]
	}
	if _, tainting := refTaints[name]; !tainting && !listed(refPlain, name) {
		name = "other"
	}
	r.last = name
	r.writing, r.refused = &refCommand{tag: m[1], name: name}, false
	for _, c := range r.open {
		if c.tag == m[1] {
			r.lost("duplicate")
			return false
		}
	}
	if len(r.open) == 1000 {
		r.doubtful("flood")
		return false
	}
	r.open = append(r.open, r.writing)
	if name == "AUTHENTICATE" {
		r.doubtful("authenticate")
	}
	return r.why == ""
}

func (r *reference) taint(line string) {
	if r.taints == nil {
		r.taints = map[string]bool{}
	}
	if r.last == "other" {
		r.taints["unknown"] = true
	}
	if t := refTaints[r.last]; t != "" {
		r.taints[t] = true
	}
	for _, w := range strings.FieldsFunc(asciiUpper(line), func(c rune) bool { return c < 'A' || c > 'Z' }) {
		for _, bad := range []string{"MODSEQ", "CHANGEDSINCE", "CONDSTORE", "QRESYNC"} {
			if strings.HasSuffix(w, bad) {
				r.taints["condstore"] = true
			}
		}
		if (strings.HasSuffix(w, "UPDATE") || strings.HasSuffix(w, "CONTEXT")) && listed(refSearches, r.last) {
			r.taints["context"] = true
		}
	}
}

// finished: the last line of a command has come.
func (r *reference) finished() {
	if !r.refused {
		switch r.writing.name {
		case "IDLE":
			r.pending = "idle"
		case "COMPRESS", "STARTTLS":
			r.pending = "reply"
		case "LOGOUT":
			r.logout = true
		}
	}
	r.writing, r.refused = nil, false
}

func (r *reference) verdict() verdict {
	sure := r.why == "" && !r.packed
	between := r.writing == nil && r.fromClient == "" && (r.pending == "" || r.pending == "done")
	a := verdict{
		Bye:         !r.deaf && !r.packed && !r.inData && r.fromBackend == "",
		InIdle:      r.why == "" && r.pending == "done",
		ByeSeen:     r.bye,
		LoggedOut:   r.logout,
		Compressed:  r.packed,
		Doubt:       r.why,
		Last:        r.last,
		Outstanding: len(r.open),
		Logout:      sure && between && !r.logout,
		Selected:    r.chosen || !sure,
		Unsure:      r.unsure,
	}
	if len(r.open) > 0 && !r.deaf && !r.packed {
		a.Now = r.open[0].name
	}
	a.DoneFirst = a.Logout && a.InIdle
	a.Idle = sure && between && a.Bye && (len(r.open) == 0 || a.InIdle && len(r.open) == 1)
	a.Quiet = a.Idle && len(r.open) == 0
	for _, c := range r.open {
		a.Selected = a.Selected || listed("SELECT EXAMINE", c.name)
	}
	if r.why == "" && r.pending == "" {
		a.ClientLiteral = r.clientLiteral
	}
	if !r.deaf {
		a.BackendLiteral = r.backendLiteral
	}
	a.Why = r.whyNot(between, a)
	a.Reusable = a.Why == ""
	return a
}

func (r *reference) whyNot(between bool, a verdict) string {
	for _, no := range []struct {
		is   bool
		word string
	}{{r.why != "", "doubt"}, {r.packed, "compressed"}, {r.logout, "logout"}, {r.bye, "bye"}, {a.InIdle, "idle"}} {
		if no.is {
			return no.word
		}
	}
	for _, t := range strings.Fields("enable compress notify language comparator condstore context login unknown") {
		if r.taints[t] {
			return t
		}
	}
	if !between || !a.Bye {
		return "unfinished"
	}
	if len(r.open) > 0 {
		return "outstanding"
	}
	return ""
}
