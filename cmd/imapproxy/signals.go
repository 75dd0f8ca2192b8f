package main

// signalUse is a signal that `imapproxy serve` acts on.
type signalUse struct{ names, does string } // names without SIG, as kill(1) takes them

// signalUses are all of them: the help, the manual and docs/upgrade.md say the same.
func signalUses() []signalUse {
	return []signalUse{
		{"HUP", "Reads the configuration, users, maps and certificates again. Running sessions keep theirs; a bad " +
			"configuration changes nothing."},
		{"USR1", "Opens the log's file again, for logrotate."},
		{"QUIT", "Retires: no new clients; the sessions go on until they end, at most for " +
			"limits.retire_timeout (24h)."},
		{"TERM, INT", "Drains: the listeners close, each session ends with BYE at a safe point, what is left after " +
			"limits.drain_timeout is cut. A second one cuts at once."},
	}
}
