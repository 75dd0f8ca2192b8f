package route

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/backend/username"
)

// The bounds of a map file.
const (
	maxMapBytes   = 64 << 20
	maxMapLine    = 4096      // bytes, without the line's end
	maxMapRules   = 1_000_000 // of all kinds
	maxMapRegexps = 10_000    // each login tries them one by one
	maxMapErrors  = 50        // printed; the rest is counted
)

// mapParser reads one map file and gathers its mistakes.
type mapParser struct {
	path    string
	resolve Resolver
	lookup  username.Rewrite
	table   *mapTable
	line    int
	rules   int
	errs    []error
	unsaid  int // mistakes beyond maxMapErrors
	warn    mapWarnings
}

func readMapFile(path string, resolve Resolver, lookup username.Rewrite) (*mapTable, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("map file: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("map file %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("map file: %w", err)
	}
	table, err := parseMap(f, path, resolve, lookup)
	return table, errors.Join(err, f.Close())
}

// parseMap reads rules from r; path is for messages. The error holds every
// mistake, the first maxMapErrors of them in words.
func parseMap(r io.Reader, path string, resolve Resolver, lookup username.Rewrite) (*mapTable, error) {
	p := &mapParser{path: path, resolve: resolve, lookup: lookup,
		table: &mapTable{exact: make(map[string]mapRule), domains: make(map[string]mapRule)},
		warn:  mapWarnings{path: path, domains: make(map[string]bool), ruled: make(map[string]bool)}}
	limited := &io.LimitedReader{R: r, N: maxMapBytes + 1}
	if err := p.readLines(bufio.NewReaderSize(limited, maxMapLine+len("\r\n"))); err != nil {
		p.fail(err)
	}
	if limited.N == 0 {
		p.fail(fmt.Errorf("the file is larger than %d MiB: split its users by domain or use regular expressions",
			maxMapBytes>>20))
	}
	if p.rules == 0 && len(p.errs) == 0 {
		p.fail(errors.New(`the file has no rule: write at least "* backend"`))
	}
	if p.unsaid > 0 {
		p.errs = append(p.errs, fmt.Errorf("%s: and %d more errors", path, p.unsaid))
	}
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	p.table.warnings = p.warn.finish(p.table.fallback != nil)
	return p.table, nil
}

// readLines returns an error when reading can't go on.
func (p *mapParser) readLines(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			p.line++
		}
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read: %w", err)
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		switch {
		case tooLong || len(text) > maxMapLine:
			p.fail(fmt.Errorf("the line is longer than %d bytes: shorten or split it", maxMapLine))
		default:
			if lineErr := p.parseLine(text); lineErr != nil {
				p.fail(lineErr)
			}
		}
		if p.rules > maxMapRules {
			return fmt.Errorf("more than %d rules: use domains or regular expressions", maxMapRules)
		}
		if err == io.EOF {
			return nil
		}
	}
}

func (p *mapParser) fail(err error) {
	if len(p.errs) >= maxMapErrors {
		p.unsaid++
		return
	}
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", p.path, p.line, err))
}

// parseLine adds the rule of one line, if it holds one.
func (p *mapParser) parseLine(line string) error {
	if p.line == 1 {
		line = strings.TrimPrefix(line, "\uFEFF")
	}
	line = strings.Trim(line, " \t")
	if line == "" || line[0] == '#' {
		return nil
	}
	if err := checkMapText(line); err != nil {
		return err
	}
	p.rules++
	key, rest, err := cutMapKey(line)
	if err != nil {
		return err
	}
	rest = strings.TrimLeft(rest, " \t")
	bare := !strings.HasPrefix(rest, `"`)
	result, rest, err := cutMapField(rest)
	if err != nil {
		return err
	}
	if result == "" {
		return fmt.Errorf(`no result after %s: write a backend there, as in "alice imap1"`, printable.Quote(key.text))
	}
	if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != '#' {
		return fmt.Errorf(
			`text after the result: %s: a rule is one key and one result; `+
				`put names with spaces in "double quotes", a "#" before a comment`,
			printable.Quote(rest))
	}
	if err := p.add(key, result); err != nil {
		return err
	}
	p.warn.rule(p.line, key, p.lookup)
	if bare {
		p.warn.result(p.line, result)
	}
	return nil
}

// add puts a rule into the table.
func (p *mapParser) add(key mapKey, result string) error {
	if key.kind == mapPattern {
		return p.addRegexp(key.text, result)
	}
	rule, err := p.staticRule(result)
	if err != nil {
		return err
	}
	switch key.kind {
	case mapDefault:
		if p.table.fallback != nil {
			return fmt.Errorf(`"*" again: line %d has it already; remove one`, p.table.fallback.line)
		}
		p.table.fallback = &rule
		return nil
	case mapDomain:
		return p.addDomain(key.text, rule)
	}
	name := key.text
	if p.lookup.LowerCase {
		name = username.LowerASCII(name)
	}
	if err := checkLoginName(name); err != nil {
		return fmt.Errorf("name %s: %w", printable.Quote(name), err)
	}
	return addMapRule(p.table.exact, name, rule)
}

func (p *mapParser) addDomain(domain string, rule mapRule) error {
	if strings.Trim(domain, ".") == "" {
		return errors.New("no domain after the @: write @example.com")
	}
	if strings.Contains(domain, p.lookup.Separator()) {
		return fmt.Errorf("domain %s holds the delimiter %q and can't match: a domain begins after the last one",
			printable.Quote(domain), p.lookup.Separator())
	}
	return addMapRule(p.table.domains, username.LowerASCII(domain), rule)
}

func addMapRule(rules map[string]mapRule, key string, rule mapRule) error {
	if earlier, ok := rules[key]; ok {
		return fmt.Errorf("%s again: line %d has it already; remove one", printable.Quote(key), earlier.line)
	}
	rules[key] = rule
	return nil
}

// staticRule reads a result without groups and resolves it.
func (p *mapParser) staticRule(result string) (mapRule, error) {
	r, err := p.parseResult(result, -1)
	if err != nil {
		return mapRule{}, err
	}
	user, _ := r.user.literal()
	return mapRule{line: p.line, user: user, target: r.target}, nil
}

func (p *mapParser) addRegexp(pattern, result string) error {
	if len(p.table.regexps) >= maxMapRegexps {
		return fmt.Errorf("more than %d regular expressions: each login tries them one by one; use names and domains",
			maxMapRegexps)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("%w: the syntax is RE2, which has no back-references and no look-around", err)
	}
	r, err := p.parseResult(result, compiled.NumSubexp())
	if err != nil {
		return err
	}
	r.line, r.pattern = p.line, compiled
	p.warn.pattern(p.line, r, result, p.lookup.LowerCase)
	p.table.regexps = append(p.table.regexps, r)
	return nil
}

// parseResult reads [user@]host[:port] with groups up to the given number, -1
// for a result that can't have any. What needs no group is checked here.
func (p *mapParser) parseResult(result string, groups int) (r mapRegexp, err error) {
	host := result
	if at := strings.LastIndexByte(result, '@'); at >= 0 {
		host = result[at+1:]
		if r.user, err = parseMapTemplate(result[:at], groups); err != nil {
			return r, err
		}
		if text, ok := r.user.literal(); ok {
			if err := checkLoginName(text); err != nil {
				return r, fmt.Errorf("result %s: user name before the @: %w", printable.Quote(result), err)
			}
		}
	}
	if r.host, err = parseMapTemplate(host, groups); err != nil {
		return r, err
	}
	if text, ok := r.host.literal(); ok {
		if r.target, err = p.resolve(text); err != nil {
			return r, fmt.Errorf("result: %w%s", err, p.otherOrder(result, r.user))
		}
	}
	return r, nil
}

// otherOrder returns what else to write for a result whose backend is none; "" where
// that is not known.
func (p *mapParser) otherOrder(result string, before mapTemplate) string {
	if i := strings.Index(result, "://"); i >= 0 {
		return fmt.Sprintf("; a result has no %s: leave it out", printable.Quote(result[:i+3]))
	}
	if text, ok := before.literal(); ok && before != nil {
		if target, err := p.resolve(text); err == nil {
			return fmt.Sprintf("; the order is user@backend: write %s@%s", result[len(text)+1:], target.Name)
		}
	}
	return ""
}
