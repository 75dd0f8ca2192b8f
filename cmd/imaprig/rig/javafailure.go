package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

const (
	oldestJava = 17
	jdkNeeded  = "a JDK of 17 or later is needed, such as Debian's package default-jdk-headless"
)

// startError returns why the backend has not told its ports: in a sentence where the reason is known.
func (j *JavaBackend) startError(ctx context.Context, err error) error {
	said := j.stderr.String()
	lines := bufio.NewScanner(strings.NewReader(said))
	for lines.Scan() {
		if text, ours := strings.CutPrefix(lines.Text(), "JavaBackend: "); ours {
			return WrongInput(errors.New(text))
		}
	}
	if ctx.Err() == nil {
		if problem := javaProblem(ctx, said); problem != "" {
			return WrongInput(errors.New(problem))
		}
	}
	return fmt.Errorf("start the Java backend: %w: %s", err, said)
}

// javaVersion is in what java -version prints: 1.8.0_292 is 8, 17.0.9 is 17.
var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d{1,4})`)

// javaProblem returns a sentence on a java that can't run the backend's source, or "". said is what it printed then.
func javaProblem(ctx context.Context, said string) string {
	ctx, cancel := context.WithTimeout(ctx, javaAnswerLimit)
	defer cancel()
	printed, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	found := javaVersion.FindSubmatch(printed)
	if found == nil {
		return fmt.Sprintf("java -version prints no version (%v): %s", err, jdkNeeded)
	}
	major, err := strconv.Atoi(string(found[1]))
	if err == nil && major < oldestJava {
		return fmt.Sprintf("java is of version %d: %s", major, jdkNeeded)
	}
	if strings.Contains(said, "jdk.compiler") {
		return fmt.Sprintf("java has no compiler, as in a JRE: %s", jdkNeeded)
	}
	return ""
}
