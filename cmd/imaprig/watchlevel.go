package main

import (
	"fmt"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// level is a monitoring plugin's verdict; its number is the plugin's exit code.
type level int

const (
	levelOK level = iota
	levelWarning
	levelCritical
	levelUnknown
)

// String returns the word that monitoring systems use.
func (l level) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[l]
}

// thresholds are crossed above their value, not at it.
type thresholds struct {
	warnCount, critCount int // sockets in CLOSE_WAIT on one side
	warnAge, critAge     time.Duration
}

// usualFDLimit is the soft limit of a process unless another was set.
const usualFDLimit = 1024

// critCount returns the count that is given, else half of the descriptor limit: the one given, else the one of pid,
// else 1024.
func critCount(given, fdLimit, pid int) (int, error) {
	if given < 0 || fdLimit < 0 {
		return 0, fmt.Errorf("--crit-count %d, --fd-limit %d: want 0 or more", given, fdLimit)
	}
	if given > 0 {
		return given, nil
	}
	if fdLimit == 0 && pid > 0 {
		limit, err := rig.DescriptorLimit(pid)
		if err != nil {
			return 0, err
		}
		fdLimit = limit
	}
	if fdLimit == 0 {
		fdLimit = usualFDLimit
	}
	return fdLimit / 2, nil
}

func socketCount(n int) string {
	if n == 1 {
		return "1 socket"
	}
	return fmt.Sprintf("%d sockets", n)
}

// judge compares one side's CLOSE_WAIT sockets with the thresholds; oldest is 0 where no age is known.
func (t thresholds) judge(sd rig.Side, count int, oldest time.Duration) (level, string) {
	switch {
	case count > t.critCount:
		return levelCritical, fmt.Sprintf("%s on the %s's side, above %d", socketCount(count), sd, t.critCount)
	case oldest > t.critAge:
		return levelCritical, fmt.Sprintf("one on the %s's side for %v, over %v", sd, oldest.Round(time.Second),
			t.critAge)
	case count > t.warnCount:
		return levelWarning, fmt.Sprintf("%s on the %s's side, above %d", socketCount(count), sd, t.warnCount)
	case oldest > t.warnAge:
		return levelWarning, fmt.Sprintf("one on the %s's side for %v, over %v", sd, oldest.Round(time.Second),
			t.warnAge)
	}
	return levelOK, ""
}
