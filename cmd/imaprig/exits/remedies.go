package exits

// Remedies, in the words of Java.
const (
	closeAtEnd = "where read() returns -1 the session is over: close the socket there, best by " +
		"try-with-resources"
	limitWait = "jstack PID shows where its thread waits: give that wait a limit, and close the socket after it"
)

// remedies say what to change in a server, by the name of its fault.
var remedies = map[string]string{
	faultWantsLogout:  closeAtEnd,
	faultForgetsClose: closeAtEnd,
	faultDeafInIdle:   closeAtEnd,
	faultHalfClosed:   closeAtEnd,
	faultBrokenAppend: closeAtEnd,
	faultRefusedLogin: closeAtEnd,
	faultDeafRefused:  "go on reading after a refused login; " + closeAtEnd,
	faultPolls:        "read() with setSoTimeout() in the place of available(); " + closeAtEnd,
	faultStuck:        limitWait,
	faultStuckSending: limitWait,
	faultDeafInLogin:  limitWait,
	faultNeverGreets:  limitWait,
	faultByeStays:     "close the socket after BYE",
}
