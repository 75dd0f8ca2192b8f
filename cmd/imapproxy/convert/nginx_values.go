package convert

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// nginxUnit is a unit of time; a value names them in this order, each once.
type nginxUnit struct {
	name string
	span time.Duration
}

const day = 24 * time.Hour

var nginxUnits = []nginxUnit{
	{"y", 365 * day}, {"M", 30 * day}, {"w", 7 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute},
	{"s", time.Second}, {"ms", time.Millisecond},
}

// maxNginxTime keeps a sum of times from overflowing.
const maxNginxTime = 100 * 365 * day

// parseNginxTime reads a time as nginx does: "60", "90s", "1h30m", "1m 30s".
func parseNginxTime(s string) (time.Duration, error) {
	total, step, rest := time.Duration(0), 0, s
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 31)
		if err != nil {
			return 0, fmt.Errorf("invalid value %q: write a time such as 60s or 1h30m", s)
		}
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "yMwdhms"))
		unit := time.Second
		if letters > 0 {
			at := step
			for at < len(nginxUnits) && nginxUnits[at].name != rest[:letters] {
				at++
			}
			if at == len(nginxUnits) {
				return 0, fmt.Errorf("invalid value %q: write a time such as 60s or 1h30m", s)
			}
			unit, step = nginxUnits[at].span, at+1
		} else {
			step = len(nginxUnits)
		}
		if time.Duration(n) <= maxNginxTime/unit {
			total += time.Duration(n) * unit
		} else {
			total = maxNginxTime + 1
		}
		if total > maxNginxTime {
			return 0, fmt.Errorf("invalid value %q: it is too long", s)
		}
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	if s == "" {
		return 0, fmt.Errorf("invalid value %q: write a time such as 60s or 1h30m", s)
	}
	return total, nil
}

// parseNginxSize reads a size: "4096", "8k", "1m".
func parseNginxSize(s string) (int, error) {
	number, unit := s, 1
	switch {
	case strings.HasSuffix(s, "k"), strings.HasSuffix(s, "K"):
		number, unit = s[:len(s)-1], 1<<10
	case strings.HasSuffix(s, "m"), strings.HasSuffix(s, "M"):
		number, unit = s[:len(s)-1], 1<<20
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || int(n)*unit > 1<<31 {
		return 0, fmt.Errorf("invalid value %q: write a size such as 4k", s)
	}
	return int(n) * unit, nil
}

// parseNginxFlag reads on or off.
func parseNginxFlag(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, fmt.Errorf(`invalid value %q, it must be "on" or "off"`, s)
}

// parseNginxNumber reads a number that is not negative.
func parseNginxNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("invalid number %q", s)
	}
	return int(n), nil
}
