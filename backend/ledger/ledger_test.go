package ledger

import "testing"

func allDialogues() []dialogue {
	var all []dialogue
	for _, some := range [][]dialogue{
		plainDialogues, literalDialogues, refusalDialogues, idleDialogues, mailboxDialogues,
		taintDialogues, layerDialogues, doubtDialogues, backendDialogues,
	} {
		all = append(all, some...)
	}
	return all
}

func TestLedgerPlain(t *testing.T)   { runDialogues(t, plainDialogues) }
func TestLedgerLiteral(t *testing.T) { runDialogues(t, literalDialogues) }
func TestLedgerRefusal(t *testing.T) { runDialogues(t, refusalDialogues) }
func TestLedgerIdle(t *testing.T)    { runDialogues(t, idleDialogues) }
func TestLedgerMailbox(t *testing.T) { runDialogues(t, mailboxDialogues) }
func TestLedgerTaint(t *testing.T)   { runDialogues(t, taintDialogues) }
func TestLedgerLayer(t *testing.T)   { runDialogues(t, layerDialogues) }
func TestLedgerDoubt(t *testing.T)   { runDialogues(t, doubtDialogues) }
func TestLedgerBackend(t *testing.T) { runDialogues(t, backendDialogues) }

var plainDialogues = []dialogue{
	{"fresh", `
		= logout bye idle quiet reusable last=`},
	{"command and reply", `
		C- A NOOP
		= bye why=unfinished last=
		C- "\r\n"
		= logout bye why=outstanding out=1 last=NOOP
		S: * 3 EXISTS
		S- A OK
		= logout why=unfinished out=1
		S- " done\r\n"
		= logout bye idle quiet reusable last=NOOP`},
	{"bare LF", `
		C- "A NOOP\nB CHECK\n"
		= logout bye why=outstanding out=2 last=CHECK
		S- "A OK\nB OK x\n"
		= logout bye idle quiet reusable last=CHECK`},
	{"pipelined, replies out of order", `
		C- "a1 FETCH 1 FLAGS\r\na2 NOOP\r\na3 uid fetch 2 FLAGS\r\n"
		= logout bye why=outstanding out=3 last=UID_FETCH
		S: a3 OK x
		S: a1 NO x
		= logout bye why=outstanding out=1
		S: a2 bad x
		= logout bye idle quiet reusable`},
	{"tag used again after its reply", `
		C: A NOOP
		S: A OK
		C: A NOOP
		S: A OK
		= logout bye idle quiet reusable`},
	{"tags are compared exactly", `
		C: a NOOP
		C: A NOOP
		C: a. NOOP
		S: A OK
		S: a. OK
		= logout bye why=outstanding out=1
		S: a OK
		= logout bye idle quiet reusable`},
	{"longest tag", `
		C: 1234567890123456789012345678901234567890123456789012345678901234 NOOP
		= logout bye why=outstanding out=1 last=NOOP
		S: 1234567890123456789012345678901234567890123456789012345678901234 OK
		= logout bye idle quiet reusable`},
	{"longest tag and longest name", `
		C: 1234567890123456789012345678901234567890123456789012345678901234 unauthenticate
		= logout bye why=login out=1 last=UNAUTHENTICATE`},
	{"a name too long is another one", `
		C: 1234567890123456789012345678901234567890123456789012345678901234 UNAUTHENTICATEX y
		= logout bye why=unknown out=1 last=other`},
	{"logout", `
		C: A LOGOUT
		= bye loggedout why=logout out=1 last=LOGOUT
		S: * BYE see you
		S: A OK
		= bye idle quiet byeseen loggedout why=logout`},
	{"logout refused stays one", `
		C: A LOGOUT now
		S: A BAD arguments
		= bye idle quiet loggedout why=logout`},
	{"bye", `
		S- * BYE
		= logout why=unfinished
		S- "\r\n"
		= logout bye idle quiet byeseen why=bye`},
	{"a long line", `
		C: A FETCH 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30 (FLAGS UID INTERNALDATE)
		= logout bye why=outstanding out=1 last=FETCH
		S: * 1 FETCH (FLAGS (\Seen \Answered \Flagged \Deleted \Draft) UID 1 INTERNALDATE "17-Jul-1996 02:44:25 -0700")
		S: A OK a long text goes here, to be sure that it is longer than everything that is kept of a line {5}
		= logout bye idle quiet reusable`},
	{"hostile names are not echoed", `
		C- "A \x1b[31mNOOP\r\n"
		= logout bye why=unknown out=1 last=other
		C: B UID \Seen
		= logout bye why=unknown out=2 last=other
		C: C UID
		= logout bye why=unknown out=3 last=other
		C: D UID  FETCH 1
		= logout bye why=unknown out=4 last=other`},
}

var literalDialogues = []dialogue{
	{"synchronising", `
		C: A APPEND x {5}
		= bye why=unfinished out=1 last=APPEND
		S: + go
		= bye why=unfinished out=1 c=5
		C- he
		= bye why=unfinished out=1 c=3
		C- llo
		= bye why=unfinished out=1
		C- "\r\n"
		= logout bye why=outstanding out=1
		S: A OK [APPENDUID 1 2] done
		= logout bye idle quiet reusable last=APPEND`},
	{"non-synchronising", `
		C- "A APPEND x {7+}\r\nab\r\ncde\r\nB NOOP\r\n"
		= logout bye why=outstanding out=2 last=NOOP
		S: A OK
		S: B OK
		= logout bye idle quiet reusable`},
	{"literal8", `
		C- "A APPEND x ~{3+}\r\na\x00b\r\n"
		C: B APPEND x (\Seen) UTF8 (~{3}
		S: +
		= bye why=unfinished out=2 c=3
		C- "a\nb)\r\n"
		= logout bye why=outstanding out=2`},
	{"empty ones", `
		C: A APPEND {0}
		S: +
		= bye why=unfinished out=1
		C- " {0+}\r\n {1}\r\n"
		S: +
		= bye why=unfinished out=1 c=1
		C- "x\r\n"
		= logout bye why=outstanding out=1`},
	{"several in a command", `
		C: A SEARCH CHARSET UTF-8 SUBJECT {3}
		S: +
		C: abc BODY {4}
		= bye why=unfinished out=1
		S: +
		C- "wxyz TO {2+}\r\nme\r\n"
		= logout bye why=outstanding out=1 last=SEARCH`},
	{"commands in a literal are none", `
		C- "A APPEND x {12+}\r\nB LOGOUT\r\nC\n NOOP"
		= bye why=unfinished out=1
		C- "\r\n"
		= logout bye why=outstanding out=1 last=APPEND`},
	{"largest", `
		C: A APPEND x {9223372036854775807+}
		= bye why=unfinished out=1 c=9223372036854775807
		C- abc
		= bye why=unfinished out=1 c=9223372036854775804`},
	{"leading zeros", `
		C: A APPEND x {0000000000000000005+}
		= bye why=unfinished out=1 c=5`},
	{"after other replies", `
		C: A FETCH 1 BODY[]
		C: B APPEND x {5}
		S: * 1 FETCH (BODY[] {2}
		S: xx)
		S: A OK
		= bye why=unfinished out=1
		S: + go
		= bye why=unfinished out=1 c=5`},
	{"a brace without a number", `
		C: A SELECT foo}
		S: A OK
		C: B SELECT "{5} "
		S: B OK
		= logout bye idle quiet reusable selected`},
	{"a long name that ends in a brace", `
		C: A CREATE abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz}
		= logout bye why=outstanding out=1`},
	{"a closed quote before it", `
		C: A RENAME "a \" {b" {3}
		= bye why=unfinished out=1
		S: +
		= bye why=unfinished out=1 c=3`},
	{"bytes before the plus", `
		C- "A APPEND x {5}\r\nh"
		= bye selected why=doubt doubt=early out=1`},
	{"bytes before the plus, in another chunk", `
		C: A APPEND x {5}
		C: B NOOP
		= bye selected why=doubt doubt=early out=1 last=APPEND`},
	{"bytes before the plus, for an empty one", `
		C: A APPEND {0}
		C- " "
		= bye selected why=doubt doubt=early out=1`},
}

var refusalDialogues = []dialogue{
	{"synchronising, NO", `
		C: A APPEND x {5}
		S: A NO [TRYCREATE] no such mailbox
		= logout bye idle quiet reusable
		C: B NOOP
		S: B OK
		= logout bye idle quiet reusable last=NOOP`},
	{"synchronising, BAD", `
		C: A XFOO {5}
		S: A BAD what
		= logout bye idle quiet why=unknown`},
	{"synchronising, OK is out of turn", `
		C: A CREATE {5}
		S: A OK
		= bye selected why=doubt doubt=reply`},
	{"another command's reply is no refusal", `
		C: A NOOP
		C: B APPEND x {5}
		S: A NO
		= bye why=unfinished out=1
		S: + go
		= bye why=unfinished out=1 c=5`},
	{"SELECT refused at its literal leaves what was selected", `
		C: A SELECT x
		S: A OK
		C: B SELECT {5}
		S: B NO too long
		= logout bye idle quiet reusable selected`},
	{"second literal refused", `
		C: A APPEND x {3}
		S: +
		C: abc {4}
		S: A NO full
		= logout bye idle quiet reusable`},
	{"non-synchronising, NO at once", `
		C- "A APPEND x {5+}\r\nhe"
		S: A NO [TRYCREATE]
		= bye why=unfinished c=3
		C- llo
		= bye why=unfinished
		C: ""
		= logout bye idle quiet reusable
		C: A NOOP
		= logout bye why=outstanding out=1 last=NOOP
		S: A OK
		= logout bye idle quiet reusable`},
	{"non-synchronising, NO at once, another one follows", `
		C- "A APPEND x {3+}\r\nab"
		S: A NO
		C- "c {2+}\r\nd"
		= bye why=unfinished c=1
		C- "e\r\n"
		= logout bye idle quiet reusable`},
	{"a synchronising literal of a refused command", `
		C- "A APPEND x {3+}\r\nab"
		S: A NO
		C- "c {2}\r\n"
		= bye selected why=doubt doubt=reply`},
	{"non-synchronising, OK too early", `
		C- "A APPEND x {5+}\r\nhe"
		S: A OK
		= bye selected why=doubt doubt=reply`},
	{"non-synchronising, BAD", `
		C- "A APPEND x {5+}\r\nhello\r\n"
		S: A BAD what is {5+}
		= bye selected why=doubt doubt=refused`},
	{"non-synchronising, BAD at once", `
		C- "A APPEND x {5+}\r\nhe"
		S: A BAD too long
		= bye selected why=doubt doubt=refused`},
	{"NO in the middle of an accepted literal", `
		C: A APPEND x {5}
		S: +
		C- he
		S: A NO
		= bye selected why=doubt doubt=reply`},
	{"NO behind an accepted literal, before the line's end", `
		C: A APPEND x {5}
		S: +
		C- hello
		S: A NO [OVERQUOTA]
		= bye why=unfinished
		C- "\r\n"
		= logout bye idle quiet reusable`},
	{"BAD behind an accepted literal, before the line's end", `
		C: A APPEND x {5}
		S: +
		C- hello
		S: A BAD
		= bye selected why=doubt doubt=reply`},
}
