package ledger

var doubtDialogues = []dialogue{
	{"empty line", "C- \"\\r\\n\"\n= bye selected why=doubt doubt=line last="},
	{"no command", "C: A\n= bye selected why=doubt doubt=line last="},
	{"a space for a command", "C- \"A \\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"two spaces", "C: A  NOOP\n= bye selected why=doubt doubt=line"},
	{"no tag", "C- \" NOOP\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"plus in a tag", "C: a+ NOOP\n= bye selected why=doubt doubt=line"},
	{"star for a tag", "C: * NOOP\n= bye selected why=doubt doubt=line"},
	{"control in a tag", "C- \"a\\tb NOOP\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"NUL in a tag", "C- \"a\\x00 NOOP\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"eight bits in a tag", "C- \"a\\xe9 NOOP\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"a tag too long", "C: 12345678901234567890123456789012345678901234567890123456789012345 NOOP\n= bye selected why=doubt doubt=line"},
	{"literal for a tag", "C: {5}\n= bye selected why=doubt doubt=line"},
	{"HTTP", "C: GET / HTTP/1.1\nC: Host: x\n= logout bye why=unknown out=2 last=other"},
	{"duplicate tag", `
		C: A NOOP
		C: A NOOP
		= selected why=doubt doubt=duplicate out=1`},
	{"glued literal", "C: A CREATE x{5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal behind a quote", "C: A CREATE \"x\"{5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal within a quote", "C: A CREATE \"x {5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal within an escaped quote", `C- "A CREATE \"x\\\" {5}\r\n"` + "\n= bye selected why=doubt doubt=literal out=1"},
	{"literal behind a literal", "C- \"A CREATE {1+}\\r\\nx{5+}\\r\\n\"\n= bye selected why=doubt doubt=literal out=1"},
	{"literal8 glued", "C: A APPEND x~{5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal8 twice", "C: A APPEND ~~{5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"2^63", "C: A APPEND x {9223372036854775808+}\n= bye selected why=doubt doubt=literal out=1"},
	{"2^64 and 5", "C: A APPEND x {18446744073709551621+}\n= bye selected why=doubt doubt=literal out=1"},
	{"20 digits", "C: A APPEND x {00000000000000000005}\n= bye selected why=doubt doubt=literal out=1"},
	{"40 digits", "C: A APPEND x {0000000000000000000000000000000000000005}\n= bye selected why=doubt doubt=literal out=1"},
	{"40 digits and a sign", "C: A APPEND x {0000000000000000000000000000000000000005+}\n= bye selected why=doubt doubt=literal out=1"},
	{"no number", "C: A APPEND x {}\n= bye selected why=doubt doubt=literal out=1"},
	{"only a sign", "C: A APPEND x {+}\n= bye selected why=doubt doubt=literal out=1"},
	{"negative", "C: A APPEND x {-1}\n= bye selected why=doubt doubt=literal out=1"},
	{"minus", "C: A APPEND x {5-}\n= bye selected why=doubt doubt=literal out=1"},
	{"two signs", "C: A APPEND x {5++}\n= bye selected why=doubt doubt=literal out=1"},
	{"sign in front", "C: A APPEND x {+5}\n= bye selected why=doubt doubt=literal out=1"},
	{"space in it", "C: A APPEND x {1 }\n= bye selected why=doubt doubt=literal out=1"},
	{"hexadecimal", "C: A APPEND x {0x5}\n= bye selected why=doubt doubt=literal out=1"},
	{"a space behind it", "C- \"A APPEND x {5} \\r\\n\"\n= bye selected why=doubt doubt=literal out=1"},
	{"a tab behind it", "C- \"A APPEND x {5}\\t\\n\"\n= bye selected why=doubt doubt=literal out=1"},
	{"32 spaces behind it", "C- \"A APPEND x {5}                                  \\r\\n\"\n= bye selected why=doubt doubt=literal out=1"},
	{"a space behind something else", "C- \"A SELECT x \\r\\n\"\n= logout bye selected why=outstanding out=1"},
	{"CR twice", "C- \"A NOOP\\r\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"CR in a line", "C- \"A NOOP\\rB LOGOUT\\n\"\n= bye selected why=doubt doubt=line"},
	{"NUL in a line", "C- \"A CREATE x\\x00y\\r\\n\"\n= bye selected why=doubt doubt=line"},
	{"literal behind a command without arguments", "C: A NOOP {5+}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal behind LOGOUT", "C: A LOGOUT {5}\n= bye selected why=doubt doubt=literal out=1"},
	{"literal for a name", `
		C: A {5}
		= bye why=unknown out=1 last=other
		S: A BAD
		= logout bye idle quiet why=unknown`},
	{"the first doubt stays", `
		C: A  NOOP
		S: * 1 EXISTS {
		S: + what
		S: Z OK
		= selected why=doubt doubt=line`},
	{"BYE is still said between lines", `
		C: A  NOOP
		S- * 1 FETCH (BODY[] {3}
		= selected why=doubt doubt=line
		S- "\r\nabc"
		= selected why=doubt doubt=line
		S: )
		= bye selected why=doubt doubt=line`},
	{"client bytes are not looked at any more", `
		C: A  NOOP
		C- B APPEND x {5+}
		C- "\r\nhello"
		= bye selected why=doubt doubt=line`},
}

var backendDialogues = []dialogue{
	{"literal", `
		C: A FETCH 1 BODY[]
		S- * 1 FETCH (BODY[] {5
		= logout why=unfinished out=1
		S- "}\r\n"
		= logout why=unfinished out=1 s=5
		S- "A OK\n"
		= logout why=unfinished out=1
		S- " FLAGS () BODY[1] ~{2}\r\n"
		= logout why=unfinished out=1 s=2
		S- xx
		= logout why=unfinished out=1
		S- ")\r\n"
		= logout bye why=outstanding out=1
		S: A OK
		= logout bye idle quiet reusable`},
	{"empty literals", `
		S- "* 1 FETCH (BODY[1] {0}\r\n"
		= logout why=unfinished
		S- " BODY[2] {0}\r\n BODY[3] {1}\r\nx)\r\n"
		= logout bye idle quiet reusable`},
	{"a sign for the client alone", `
		S: * LIST () "/" {3+}
		= logout why=unfinished s=3
		S: a b
		= logout bye idle quiet reusable`},
	{"unsolicited", `
		S: * 5 EXISTS
		S: * OK [ALERT] read this
		S: * NO disk is full
		= logout bye idle quiet reusable`},
	{"text that ends like a literal", `
		C: A NOOP
		C: B APPEND x {5}
		S: * OK [ALERT] text {5}
		S: * no text {5}
		S: A NO text {5}
		S: + text {5}
		= bye why=unfinished out=1 c=5
		C: hello
		S: * BYE text {5}
		= logout bye byeseen why=bye out=1`},
	{"a status needs a space behind it", `
		S: * OKAY (x {2}
		= logout why=unfinished s=2`},
	{"BAD without a tag", "S: * BAD what\n= bye selected why=doubt doubt=refused"},
	{"PREAUTH", "S: * PREAUTH hi\n= selected why=doubt doubt=garbage"},
	{"plus for nothing", "S: + go on\n= bye selected why=doubt doubt=continuation"},
	{"plus twice", `
		C: A APPEND x {5}
		S: +
		S: +
		= bye selected why=doubt doubt=continuation out=1`},
	{"plus during IDLE", `
		C: A IDLE
		S: +
		S: +
		= bye selected why=doubt doubt=continuation out=1`},
	{"plus for a non-synchronising one", `
		C- "A APPEND x {5+}\r\nhello\r\n"
		S: + go
		= bye selected why=doubt doubt=continuation out=1`},
	{"plus without a space", "C: A IDLE\nS: +idling\n= selected why=doubt doubt=garbage out=1"},
	{"unknown tag", "C: A NOOP\nS: B OK\n= selected why=doubt doubt=reply out=1"},
	{"reply twice", "C: A NOOP\nS: A OK\nS: A OK\n= selected why=doubt doubt=reply"},
	{"reply before the line's end", "C- A NOOP\nS: A OK\n= selected why=doubt doubt=reply"},
	{"NUL behind a tag", "C: A NOOP\nS- \"A\\x00 OK\\r\\n\"\n= selected why=doubt doubt=garbage out=1"},
	{"tag without status", "C: A NOOP\nS: A FINE\n= selected why=doubt doubt=garbage out=1"},
	{"tagged BYE", "C: A NOOP\nS: A BYE\n= selected why=doubt doubt=garbage out=1"},
	{"tag alone", "C: A NOOP\nS: A\n= selected why=doubt doubt=garbage out=1"},
	{"empty line", "S- \"\\r\\n\"\n= selected why=doubt doubt=garbage"},
	{"star alone", "S: *\n= selected why=doubt doubt=garbage"},
	{"star and space", "S- \"* \\r\\n\"\n= selected why=doubt doubt=garbage"},
	{"star glued", "S: *1 EXISTS\n= selected why=doubt doubt=garbage"},
	{"HTTP", "S: HTTP/1.1 400 Bad Request\n= selected why=doubt doubt=garbage"},
	{"glued literal", "S: * 1 FETCH (BODY[]{5}\n= selected why=doubt doubt=literal"},
	{"literal too large", "S: * 1 FETCH (BODY[] {9223372036854775808}\n= selected why=doubt doubt=literal"},
	{"literal negative", "S: * 1 FETCH (BODY[] {-5}\n= selected why=doubt doubt=literal"},
	{"bad literal behind a literal", "S- \"* 1 FETCH (BODY[] {1}\\r\\nx{2}\\r\\n\"\n= selected why=doubt doubt=literal"},
	{"tag in a literal is none", `
		C: A FETCH 1 BODY[]
		S- "* 1 FETCH (BODY[] {10}\r\nA OK x\r\n..)\r\n"
		= logout bye why=outstanding out=1`},
	{"a half line", "S- x\n= logout why=unfinished"},
	{"commands hidden in a literal that was not read as one", `
		C- "A CREATE foo {8+}\r\nB NOOP\r\n\r\n"
		S: A OK
		S: B OK
		= selected why=doubt doubt=reply`},
}
