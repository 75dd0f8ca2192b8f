package main

import (
	"os/exec"
	"syscall"
)

// endsWithTest has a program end when the test binary does, however that is.
func endsWithTest(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
