package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	javaSourcePath   = "testdata/javabackend/JavaBackend.java"
	javaPackagedPath = "../share/imapproxy/JavaBackend.java" // from the folder of the program
	javaStartLimit   = time.Minute                           // the JVM compiles the source first
	javaAnswerLimit  = 10 * time.Second
	javaAnswerBytes  = 1 << 20
)

// JavaOptions say how to start a Java backend. A zero value leaves the backend's own default.
type JavaOptions struct {
	Source        string   // JavaBackend.java, see FindJavaSource
	Port          uint16   // IMAP
	JVM           []string // flags for the JVM, such as -Xss256k
	Mode          string
	Workers       int
	FDLimit       int           // connections held open at which it stops accepting
	MessageSize   int           // bytes
	GreetingDelay time.Duration // of slow-greeting
	Password      string        // the only one accepted; "" = any but "wrong"
}

func (o JavaOptions) args() []string {
	args := append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, o.JVM...) // a JVM that starts fast
	args = append(args, o.Source)
	for _, opt := range []struct{ name, value string }{
		{"--port", decimal(int(o.Port))},
		{"--mode", o.Mode}, {"--workers", decimal(o.Workers)}, {"--fd-limit", decimal(o.FDLimit)},
		{"--message-size", decimal(o.MessageSize)}, {"--greeting-delay", decimal(int(o.GreetingDelay.Milliseconds()))},
		{"--password", o.Password},
	} {
		if opt.value != "" {
			args = append(args, opt.name, opt.value)
		}
	}
	return args
}

func decimal(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// JavaBackend is a running testdata/javabackend. Stop must be called.
type JavaBackend struct {
	*child
	Source  string // JavaBackend.java
	Port    uint16
	control uint16
	client  http.Client
}

// FindJavaSource returns path if it is given, else looks for testdata/javabackend/JavaBackend.java from the working
// directory, then next to the executable, then where the package has it.
func FindJavaSource(path string) (string, error) {
	candidates := []string{path}
	if path == "" {
		candidates = []string{javaSourcePath}
		if exe, err := os.Executable(); err == nil {
			dir := filepath.Dir(exe)
			candidates = append(candidates, filepath.Join(dir, javaSourcePath),
				filepath.Join(dir, filepath.Base(javaSourcePath)), filepath.Join(dir, javaPackagedPath))
		}
	}
	for _, c := range candidates {
		if info, err := os.Stat(c); err == nil && info.Mode().IsRegular() {
			return c, nil
		}
	}
	return "", WrongInput(fmt.Errorf("no Java backend at %s: give its source with --java-backend FILE",
		strings.Join(candidates, ", ")))
}

// StartJava starts a backend and waits until it listens, at most a minute. The process ends with ours, however we end.
func StartJava(ctx context.Context, opts JavaOptions) (*JavaBackend, error) {
	stdout, childStdout, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the Java backend: %w", err)
	}
	defer stdout.Close()
	cmd := exec.Command("java", opts.args()...)
	cmd.Stdout = childStdout
	c, err := startChild("the Java backend", cmd)
	childStdout.Close()
	if err != nil {
		return nil, WrongInput(fmt.Errorf("no program java can be run (%w): %s", err, jdkNeeded))
	}
	j := &JavaBackend{child: c, Source: opts.Source}
	j.client = http.Client{Timeout: javaAnswerLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	if err := j.readPorts(ctx, stdout); err != nil {
		stopErr := j.Stop(time.Second)
		return nil, errors.Join(j.startError(ctx, err), stopErr)
	}
	return j, nil
}

func (j *JavaBackend) readPorts(ctx context.Context, stdout *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, javaStartLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = stdout.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReaderSize(io.LimitReader(stdout, 4096), 4096).ReadBytes('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("it did not tell its ports: %w", err), ctx.Err())
	}
	var ports struct{ Port, Control uint16 }
	if err := json.Unmarshal(line, &ports); err != nil {
		return fmt.Errorf("its ports: %w", err)
	}
	j.Port, j.control = ports.Port, ports.Control
	return nil
}

// Addr returns host:port of the IMAP listener.
func (j *JavaBackend) Addr() string { return loopbackAddr(j.Port) }

func loopbackAddr(port uint16) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
}
