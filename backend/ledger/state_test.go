package ledger

var idleDialogues = []dialogue{
	{"to its end", `
		C: A IDLE
		= bye why=unfinished out=1 last=IDLE
		S- + id
		= why=unfinished out=1
		S- "ling\r\n"
		= done+logout bye idle inidle why=idle out=1
		S: * 4 EXISTS
		S: * OK Still here
		= done+logout bye idle inidle why=idle out=1
		C- DO
		= bye inidle why=idle out=1
		C- "NE\r\n"
		= logout bye why=outstanding out=1
		S: A OK done
		= logout bye idle quiet reusable last=IDLE`},
	{"lines before the plus", `
		C: A IDLE
		S: * 2 EXPUNGE
		S: +
		C- "done\n"
		S: A OK
		= logout bye idle quiet reusable`},
	{"a command right behind DONE", `
		C: A IDLE
		S: +
		C- "DONE\r\nB IDLE\r\n"
		= bye why=unfinished out=2
		S: A OK
		S: + again
		= done+logout bye idle inidle why=idle out=1`},
	{"the reply comes behind the next one's plus", `
		C: A IDLE
		S: +
		C- "DONE\r\nB IDLE\r\n"
		S: +
		= done+logout bye inidle why=idle out=2
		S: A OK
		= done+logout bye idle inidle why=idle out=1`},
	{"with a command running", `
		C: A FETCH 1 BODY[]
		C: B IDLE
		S: +
		= done+logout bye inidle why=idle out=2
		S: A OK
		= done+logout bye idle inidle why=idle out=1`},
	{"refused with NO", `
		C: A IDLE
		S: A NO not now
		= logout bye idle quiet reusable
		C: B NOOP
		= logout bye why=outstanding out=1 last=NOOP`},
	{"refused with BAD", `
		C: A IDLE
		S: A BAD what
		= logout bye idle quiet reusable`},
	{"OK without a plus", `
		C: A IDLE
		S: A OK
		= bye selected why=doubt doubt=idle`},
	{"ended by the backend", `
		C: A IDLE
		S: +
		S: A OK tired
		= bye selected why=doubt doubt=idle`},
	{"BAD to a DONE", `
		C: A IDLE
		S: +
		C: done
		S: A BAD expected DONE
		= logout bye idle quiet reusable`},
	{"another command during it", `
		C: A IDLE
		S: +
		C: B NOOP
		= bye selected why=doubt doubt=idle out=1`},
	{"something behind DONE", `
		C: A IDLE
		S: +
		C: DONE now
		= bye selected why=doubt doubt=idle out=1`},
	{"DONE before the plus", `
		C- "A IDLE\r\nDONE\r\n"
		= bye selected why=doubt doubt=early out=1`},
	{"DONE without IDLE", `
		C: DONE
		= bye selected why=doubt doubt=line`},
}

var mailboxDialogues = []dialogue{
	{"SELECT", `
		C: A SELECT INBOX
		= logout bye selected why=outstanding out=1
		S: * FLAGS (\Seen)
		S: A OK [READ-WRITE] done
		= logout bye idle quiet reusable selected`},
	{"SELECT refused deselects", `
		C: A SELECT INBOX
		S: A OK
		C: B EXAMINE nowhere
		= logout bye selected why=outstanding out=1
		S: B NO
		= logout bye idle quiet reusable`},
	{"SELECT not understood changes nothing", `
		C: A SELECT INBOX
		S: A OK
		C: B SELECT ((
		S: B BAD
		= logout bye idle quiet reusable selected`},
	{"CLOSE", `
		C: A EXAMINE INBOX
		S: A OK
		C: B CLOSE
		= logout bye selected why=outstanding out=1
		S: B OK
		= logout bye idle quiet reusable`},
	{"UNSELECT refused", `
		C: A SELECT INBOX
		S: A OK
		C: B UNSELECT
		S: B NO
		= logout bye idle quiet reusable selected
		C: C UNSELECT
		S: C OK
		= logout bye idle quiet reusable`},
	{"in turn", `
		C- "A SELECT x\r\nN NOOP\r\nB CLOSE\r\nC SELECT y\r\n"
		S: A OK
		S: B OK
		= logout bye selected why=outstanding out=2
		S: C NO
		S: N OK
		= logout bye idle quiet reusable`},
	{"out of turn", `
		C- "A SELECT x\r\nB CLOSE\r\n"
		S: B OK
		= bye selected why=doubt doubt=reply out=1`},
	{"by a literal", `
		C: A SELECT {5}
		S: +
		C: INBOX
		S: A OK
		= logout bye idle quiet reusable selected`},
}

var taintDialogues = []dialogue{
	{"ENABLE counts when sent", `
		C: A ENABLE QRESYNC
		= logout bye why=enable out=1 last=ENABLE
		S: A BAD
		= logout bye idle quiet why=enable`},
	{"NOTIFY", "C: A NOTIFY NONE\nS: A OK\n= logout bye idle quiet why=notify"},
	{"LANGUAGE", "C: A LANGUAGE\nS: A OK\n= logout bye idle quiet why=language"},
	{"COMPARATOR", "C: A COMPARATOR\nS: A OK\n= logout bye idle quiet why=comparator"},
	{"LOGIN", "C: A LOGIN a b\nS: A BAD\n= logout bye idle quiet why=login last=LOGIN"},
	{"UNAUTHENTICATE", "C: A UNAUTHENTICATE\nS: A OK\n= logout bye idle quiet why=login"},
	{"unknown", "C: A X-STATE\nS: A OK\n= logout bye idle quiet why=unknown last=other"},
	{"CONDSTORE", "C: A SELECT x (CONDSTORE)\nS: A NO\n= logout bye idle quiet why=condstore"},
	{"QRESYNC", "C: A SELECT x (qresync (1 2))\nS: A NO\n= logout bye idle quiet why=condstore"},
	{"HIGHESTMODSEQ", "C: A STATUS x (HIGHESTMODSEQ)\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"MODSEQ", "C: A FETCH 1 (FLAGS ModSeq)\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"MODSEQ behind a number", "C: A UID SEARCH 1 MODSEQ 9\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"CHANGEDSINCE", "C: A FETCH 1 (FLAGS) (CHANGEDSINCE 5)\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"UNCHANGEDSINCE", "C: A STORE 1 (UNCHANGEDSINCE 5) +FLAGS (x)\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"at the very end, with a bare LF", "C- \"A FETCH 1 MODSEQ\\n\"\nS: A OK\n= logout bye idle quiet why=condstore"},
	{"behind a literal", `
		C- "A SEARCH SUBJECT {3+}\r\nabc MODSEQ 5\r\n"
		S: A OK
		= logout bye idle quiet why=condstore`},
	{"not within a literal", `
		C- "A APPEND x {6+}\r\nMODSEQ\r\n"
		S: A OK
		= logout bye idle quiet reusable`},
	{"not within a literal, words cut by it", `
		C- "A APPEND x MOD {3+}\r\nabcSEQ\r\n"
		S: A OK
		= logout bye idle quiet reusable`},
	{"not as a part of a word", `
		C: A SEARCH SUBJECT MODSEQS SUBJECT updates SUBJECT contextual
		S: A OK
		= logout bye idle quiet reusable`},
	{"SEARCH UPDATE", "C: A SEARCH RETURN (UPDATE) ALL\nS: A OK\n= logout bye idle quiet why=context"},
	{"SORT CONTEXT", "C: A UID SORT RETURN (CONTEXT) (DATE) UTF-8 ALL\nS: A OK\n= logout bye idle quiet why=context"},
	{"UPDATE elsewhere", "C: A CREATE update\nS: A OK\n= logout bye idle quiet reusable"},
	{"the first of several", `
		C: A STARTTLS
		S: A BAD
		C: B FETCH 1 MODSEQ
		S: B OK
		= logout bye idle quiet why=condstore`},
	{"harmless extensions", `
		C: A ID ("name" "x")
		S: A OK
		C: B RESETKEY
		S: B OK
		C: C GETQUOTAROOT INBOX
		S: C OK
		C: D SEARCH RETURN (SAVE) ALL
		S: D OK
		= logout bye idle quiet reusable`},
}

var layerDialogues = []dialogue{
	{"COMPRESS from the byte behind the OK", `
		C: A COMPRESS DEFLATE
		= bye why=compress out=1 last=COMPRESS
		S: * 1 EXISTS
		S- A OK
		= why=compress out=1
		S- " go\r\n\x78\x9c* BYE\r\n* 1 FETCH {5}\r\n"
		= selected compressed why=compressed
		C- "\x78\x9cB LOGOUT\r\nC APPEND {5+}\r\n"
		= selected compressed why=compressed last=COMPRESS`},
	{"COMPRESS refused", `
		C: A COMPRESS DEFLATE
		S: A NO no
		= logout bye idle quiet why=compress
		C: B NOOP
		S: B OK
		= logout bye idle quiet why=compress`},
	{"bytes behind COMPRESS", `
		C- "A COMPRESS DEFLATE\r\nB"
		= bye selected why=doubt doubt=early out=1
		S: A OK
		= selected compressed why=doubt doubt=early`},
	{"COMPRESS behind a command", `
		C- "A NOOP\r\nB COMPRESS DEFLATE\r\n"
		S: A OK
		= bye why=compress out=1
		S: B OK
		= selected compressed why=compressed`},
	{"COMPRESS with a literal, answered early", `
		C: A COMPRESS {7}
		S: A OK
		= selected compressed why=doubt doubt=reply`},
	{"STARTTLS refused", `
		C: A STARTTLS
		= bye why=login out=1
		S: A BAD
		= logout bye idle quiet why=login`},
	{"STARTTLS accepted", `
		C: A STARTTLS
		S: A OK
		= selected why=doubt doubt=starttls`},
	{"AUTHENTICATE", `
		C: A AUTHENTICATE PLAIN
		= bye selected why=doubt doubt=authenticate out=1 last=AUTHENTICATE
		S: + go
		C: AGEAYg==
		= bye selected why=doubt doubt=authenticate out=1
		S: A OK
		= selected why=doubt doubt=authenticate`},
	{"AUTHENTICATE refused", `
		C: A AUTHENTICATE PLAIN
		S: A BAD
		= bye selected why=doubt doubt=authenticate`},
	{"COMPRESS in a direction that is not followed any more", `
		C: nonsense
		C: A COMPRESS DEFLATE
		= bye selected why=doubt doubt=line
		S: A OK
		= selected why=doubt doubt=line`},
}
