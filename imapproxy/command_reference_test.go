package imapproxy

import (
	"bytes"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// reference splits a client's bytes into commands, slowly and by other means
// than the reader: all the bytes are there from the start.
func reference(input []byte, private bool) []string {
	var out []string
	for len(out) < maxCommands {
		said, rest, state := referenceCommand(input, private)
		out = append(out, said)
		if state == refEnd {
			break
		}
		input = rest
	}
	return out
}

type refState int

const (
	refGoOn refState = iota
	refEnd
)

const refGone = "end client_closed"

var (
	refTag     = regexp.MustCompile(`^[!#$&',\-./0-9:;<=>?@A-Z\[\]^_` + "`" + `a-z|}~]{1,64}$`)
	refLiteral = regexp.MustCompile(`(?s)(?:^|[ (])\{([^{]*)\}$`)
	refNumber  = regexp.MustCompile(`^[0-9]{1,18}$`)
	refHTTP    = regexp.MustCompile(
		`(?is)^(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) (/|.*(?-i:HTTP/))`)
)

// referenceLine takes the first line; found is false when it has no end.
func referenceLine(input []byte) (line, rest []byte, raw int, found bool) {
	line, rest, found = bytes.Cut(input, []byte("\n"))
	raw = len(line)
	return bytes.TrimSuffix(line, []byte("\r")), rest, raw, found
}

func referenceCommand(input []byte, private bool) (said string, rest []byte, state refState) {
	line, rest, raw, found := referenceLine(input)
	tag, name, arguments, valid := referenceHead(line)
	limit := maxLine
	if headTag, headName, _, ok := referenceHead(input[:min(len(input), 128)]); ok && headTag != "" &&
		headName == "ID" && raw > maxLine {
		limit = maxIDCommand
	}
	switch {
	case raw > limit:
		return "BAD * true", nil, refEnd
	case !found:
		return refGone, nil, refEnd
	case refHTTP.Match(line):
		return "end client_protocol", nil, refEnd
	}
	p := refParser{tag: tag, name: name, valid: valid, rest: rest,
		takes: valid && (name == "ID" || name == "LOGIN" && !private), total: maxLine * 3}
	if name == "ID" {
		p.total = maxIDCommand
	}
	if valid {
		p.add(arguments)
	}
	return p.pieces(line)
}

// referenceHead splits tag and name off; a name has at most 32 bytes.
func referenceHead(line []byte) (tag, name string, arguments []byte, valid bool) {
	words := bytes.SplitN(line, []byte(" "), 2)
	tag = string(words[0])
	if !refTag.MatchString(tag) {
		return "*", "", nil, false
	}
	if len(words) < 2 {
		return tag, "", nil, false
	}
	behind := bytes.TrimLeft(words[1], " ")
	end := slices.Index(behind, ' ')
	if end < 0 {
		end = len(behind)
	}
	name = strings.ToUpper(string(behind[:end]))
	return tag, name, behind[end:], end > 0 && end <= 32
}

// refParser reads the literals of one command.
type refParser struct {
	tag, name    string
	valid, takes bool
	rest         []byte
	total, held  int
	parts, lits  [][]byte
}

func (p *refParser) add(part []byte) {
	p.parts = append(p.parts, part)
	p.held += len(part)
}

func (p *refParser) pieces(line []byte) (string, []byte, refState) {
	for {
		m := refLiteral.FindSubmatch(line)
		if m == nil {
			return p.complete()
		}
		inner := string(m[1])
		waits := !strings.HasSuffix(inner, "+") && !strings.HasSuffix(inner, "-")
		digits := inner
		if !waits {
			digits = inner[:len(inner)-1]
		}
		if waits && p.valid && !p.takes {
			return p.complete()
		}
		n, fits := new(big.Int), refNumber.MatchString(digits)
		n.SetString("0"+digits, 10)
		if !fits || n.Cmp(big.NewInt(maxLine)) > 0 || p.held+int(n.Int64()) > p.total || waits && !p.takes ||
			len(p.lits) >= maxLiteralCount {
			return p.refuse(!waits)
		}
		size := int(n.Int64())
		if len(p.rest) < size {
			return refGone, nil, refEnd
		}
		p.lits = append(p.lits, p.rest[:size])
		p.held += size
		next, rest, raw, found := referenceLine(p.rest[size:])
		switch {
		case raw > p.total-p.held:
			return p.refuse(true)
		case !found:
			return refGone, nil, refEnd
		}
		p.add(next)
		line, p.rest = next, rest
	}
}

func (p *refParser) complete() (string, []byte, refState) {
	if !p.valid {
		return p.refuse(false)
	}
	return describe(p.tag, p.name, p.parts, p.lits), p.rest, refGoOn
}

func (p *refParser) refuse(fatal bool) (string, []byte, refState) {
	if fatal {
		return "BAD " + p.tag + " true", nil, refEnd
	}
	return "BAD " + p.tag + " false", p.rest, refGoOn
}
