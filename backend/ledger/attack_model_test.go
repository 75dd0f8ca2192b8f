package ledger

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
)

// victim is a backend as an attacker would like to have it: slow and plain, and not
// one of the ledger's own parsers. It notes the name of every command that it reads.
type victim struct {
	rng     *rand.Rand
	lenient bool // lines end at CR and NUL too, and white space of all kinds divides words
	forgets bool // what follows a mistake, {n+} or the rest of APPEND, is commands

	in      string
	names   []string // in upper case
	lines   []string
	tag     string // of the command under way, "" between commands
	literal int    // bytes to come
	idles   string // the tag of IDLE
}

var (
	victimLiteral = regexp.MustCompile(`\{([0-9]{1,9})(\+?)\}$`)
	victimMistake = regexp.MustCompile(`(?i)CATENATE \(BAD\)(.*)`)
	victimStrict  = regexp.MustCompile(`^([^(){%*"\\+\x00-\x20\x7f-\xff]+) ([^(){%*"\\\x00-\x20\x7f-\xff]+)(?: (.*))?$`)
)

// hear takes bytes and returns answers.
func (v *victim) hear(p string) (says string) {
	v.in += p
	for {
		if v.literal > 0 {
			n := min(v.literal, len(v.in))
			v.in, v.literal = v.in[n:], v.literal-n
			if v.literal > 0 {
				return says
			}
		}
		ends := "\n"
		if v.lenient {
			ends = "\n\r\x00"
		}
		end := strings.IndexAny(v.in, ends)
		if end < 0 || end == len(v.in)-1 && v.in[end] == '\r' {
			return says
		}
		line, terminator := v.in[:end], v.in[end]
		v.in = v.in[end+1:]
		if terminator == '\r' {
			v.in = strings.TrimPrefix(v.in, "\n")
		}
		says += v.line(strings.TrimSuffix(line, "\r"))
	}
}

func (v *victim) line(line string) string {
	if v.idles != "" {
		tag := v.idles
		v.idles = ""
		if strings.EqualFold(line, "DONE") {
			return tag + " OK done\r\n"
		}
		return tag + " BAD no DONE\r\n" + v.command(line) // some read it as a command
	}
	if v.tag == "" {
		return v.command(line)
	}
	return v.rest(line)
}

func (v *victim) command(line string) string {
	if m := victimStrict.FindStringSubmatch(line); m != nil {
		v.tag = m[1]
		v.note(m[2], m[3])
		return v.rest(line)
	}
	if words := strings.Fields(line); v.lenient && len(words) > 1 {
		v.tag = words[0]
		v.note(strings.Trim(words[1], `"`), strings.Join(words[2:], " "))
		return v.rest(line)
	}
	if line == "" {
		return ""
	}
	return "* BAD what\r\n"
}

func (v *victim) note(name, arguments string) {
	name = strings.ToUpper(name)
	if second := strings.Fields(arguments); name == "UID" && len(second) > 0 {
		name += " " + strings.ToUpper(second[0])
	}
	v.names = append(v.names, name)
	v.lines = append(v.lines, name+" "+arguments)
}

// rest takes a line of the command under way, with its end or up to a literal.
func (v *victim) rest(line string) string {
	if name := v.names[len(v.names)-1]; v.forgets && (name == "APPEND" || strings.HasSuffix(name, "REPLACE")) {
		if after, wrong := afterError(line); wrong {
			tag := v.tag
			v.tag = ""
			return tag + " BAD no\r\n" + v.command(after)
		}
	}
	m := victimLiteral.FindStringSubmatch(line)
	if m == nil {
		return v.done(line)
	}
	n, _ := strconv.Atoi(m[1])
	refuses := v.rng.IntN(4) == 0
	switch {
	case !refuses && m[2] == "":
		v.literal = n
		return "+ go\r\n"
	case !refuses, m[2] == "+" && !v.forgets:
		v.literal = n
		return ""
	}
	tag := v.tag
	v.tag = ""
	return tag + " BAD no\r\n"
}

// afterError returns what stands after the first error in a line of APPEND; Dovecot
// 2.3 reads it as a command.
func afterError(line string) (after string, wrong bool) {
	if m := victimMistake.FindStringSubmatch(line); m != nil {
		return m[1], true
	}
	depth := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			n := strings.IndexByte(line[i+1:], '"')
			if n < 0 {
				return line[i+1:], true
			}
			i += n + 1
		case '(':
			depth++
		case ')':
			depth--
		case '{':
			if !victimLiteral.MatchString(line[i:]) {
				return line[i+1:], true
			}
		}
	}
	return "", depth > 0 && !strings.Contains(strings.ToUpper(line), "CATENATE (")
}

func (v *victim) done(line string) string {
	tag := v.tag
	v.tag = ""
	if v.names[len(v.names)-1] == "IDLE" && v.rng.IntN(4) > 0 {
		v.idles = tag
		return "+ idling\r\n"
	}
	return tag + [...]string{" OK done\r\n", " NO sorry\r\n", " BAD what\r\n"}[v.rng.IntN(3)]
}
