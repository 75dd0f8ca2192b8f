package rig

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"time"
)

const wrongPassword = "wrong" // the one that the rig's backends refuse

// fastCapabilities has UNSELECT, so that a proxy can use a connection again.
const fastCapabilities = "IMAP4rev1 LITERAL+ SASL-IR IDLE ID UNSELECT AUTH=PLAIN"

// LoginCountPrefix is the start of the answer to ID (RFC 2971). The number of logins follows.
const LoginCountPrefix = `* ID ("name" "imaprig" "logins" "`

// answer runs a command. An error ends the session.
func (s *fastSession) answer(c fastCommand) error {
	var name [12]byte // longer verbs are none of ours
	verb := name[:copy(name[:], c.verb)]
	for i, b := range verb {
		if 'a' <= b && b <= 'z' {
			verb[i] = b - 'a' + 'A'
		}
	}
	if string(verb) == "UID" {
		c.verb, c.rest, _ = bytes.Cut(c.rest, []byte(" "))
		verb = bytes.ToUpper(c.verb)
	}
	switch string(verb) {
	case "NOOP", "CHECK", "CLOSE", "UNSELECT", "CREATE", "DELETE", "SUBSCRIBE", "STORE", "EXPUNGE", "ENABLE", "COPY":
		s.done(c, "OK done")
	case "APPEND":
		time.Sleep(s.backend.opts.storeDelay)
		s.done(c, "OK [APPENDUID 1 5] thrown away")
	case "FETCH":
		return s.fetch(c)
	case "IDLE":
		return s.idle(c)
	case "LOGIN":
		s.login(c, wrongLogin(c.rest))
	case "AUTHENTICATE":
		return s.authenticate(c)
	case "LOGOUT":
		s.write("* BYE until next time")
		s.done(c, "OK done")
		s.ended = true
	case "STARTTLS":
		return s.startTLS(c)
	default:
		s.answerQuery(c, string(verb))
	}
	return nil
}

// capabilities returns what the session offers: STARTTLS until there is TLS.
func (s *fastSession) capabilities() string {
	if s.tls {
		return fastCapabilities
	}
	return fastCapabilities + " STARTTLS"
}

// answerQuery answers the commands that ask for something small.
func (s *fastSession) answerQuery(c fastCommand, verb string) {
	switch verb {
	case "CAPABILITY":
		s.write("* CAPABILITY ", s.capabilities())
	case "ID":
		s.write(LoginCountPrefix, strconv.FormatUint(s.backend.logins.Load(), 10), `")`)
	case "NAMESPACE":
		s.write(`* NAMESPACE (("" "/")) NIL NIL`)
	case "LIST", "LSUB":
		s.write("* ", verb, ` () "/" INBOX`)
	case "STATUS":
		s.write("* STATUS INBOX (MESSAGES ", strconv.Itoa(len(fastSizes())), " UIDNEXT 5 UIDVALIDITY 1 UNSEEN 0)")
	case "SEARCH":
		time.Sleep(s.backend.opts.storeDelay)
		s.write("* SEARCH 1 2 3 4")
	case "SELECT", "EXAMINE":
		s.write("* ", strconv.Itoa(len(fastSizes())),
			" EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 5] ok")
	default:
		s.done(c, "BAD the rig's backend does not know this command")
		return
	}
	s.done(c, "OK done")
}

func (s *fastSession) login(c fastCommand, refused bool) {
	time.Sleep(s.backend.opts.loginDelay)
	if refused {
		s.done(c, "NO [AUTHENTICATIONFAILED] wrong password")
		return
	}
	s.backend.logins.Add(1)
	s.done(c, "OK [CAPABILITY "+s.capabilities()+"] logged in") // as Dovecot has it
}

// wrongLogin reports whether the last word, quoted, a literal or an atom, is the password that is refused.
func wrongLogin(rest []byte) bool {
	rest = bytes.TrimSuffix(rest, []byte(`"`))
	return bytes.HasSuffix(rest, []byte(wrongPassword))
}

// authenticate takes PLAIN, with or without an initial response (RFC 4959).
func (s *fastSession) authenticate(c fastCommand) error {
	mechanism, response, initial := bytes.Cut(c.rest, []byte(" "))
	if !bytes.EqualFold(mechanism, []byte("PLAIN")) {
		s.done(c, "NO only PLAIN is known")
		return nil
	}
	if !initial {
		c.tag = bytes.Clone(c.tag) // the reader's memory is used again
		s.write("+ ")
		if err := s.flush(); err != nil {
			return err
		}
		line, err := s.line()
		if err != nil {
			return err
		}
		response = line
	}
	plain, err := base64.StdEncoding.AppendDecode(nil, response)
	if err != nil {
		s.done(c, "BAD want base64")
		return nil
	}
	s.login(c, bytes.HasSuffix(plain, []byte("\x00"+wrongPassword)))
	return nil
}

// startTLS starts TLS. What the client sent after the command is dropped (RFC 9051 6.2.1).
func (s *fastSession) startTLS(c fastCommand) error {
	if s.tls {
		s.done(c, "BAD TLS is on")
		return nil
	}
	s.done(c, "OK go on")
	if err := s.flush(); err != nil {
		return err
	}
	s.conn, s.tls, s.discarder = tls.Server(s.conn, s.backend.tls), true, nil
	s.in.Reset(s.conn)
	return nil
}

// fetch answers for one message, whatever is asked: its text, when that is asked for, or its flags.
func (s *fastSession) fetch(c fastCommand) error {
	digits := 0
	for digits < len(c.rest) && '0' <= c.rest[digits] && c.rest[digits] <= '9' {
		digits++
	}
	number := string(c.rest[:digits])
	n, err := strconv.Atoi(number)
	sizes := fastSizes()
	if err != nil || n < 1 || n > len(sizes) {
		s.done(c, "BAD want a message's number, 1 to "+strconv.Itoa(len(sizes)))
		return nil
	}
	items := bytes.ToUpper(c.rest[digits:])
	size := strconv.Itoa(sizes[n-1])
	if !bytes.Contains(items, []byte("BODY")) && !bytes.Contains(items, []byte("RFC822")) ||
		bytes.Contains(items, []byte("RFC822.SIZE")) {
		s.write("* ", number, " FETCH (FLAGS (\\Seen) RFC822.SIZE ", size, " UID ", number, ")")
		s.done(c, "OK done")
		return nil
	}
	s.write("* ", number, " FETCH (BODY[] {", size, "}")
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.backend.body.Send(s.conn, sizes[n-1], func(int) {}); err != nil {
		return err
	}
	s.write(")")
	s.done(c, "OK done")
	return nil
}
