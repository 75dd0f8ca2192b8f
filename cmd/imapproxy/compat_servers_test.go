package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file has the auth server and the backend of the dialogues in testdata/compat,
// which do as they are told.

// authScript answers questions in order, the last answer again and again, and
// keeps what was asked.
type authScript struct {
	answers []string
	backend int

	mu    sync.Mutex
	asked []string // header blocks
}

func (a *authScript) serve(c net.Conn) {
	var head strings.Builder
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
		head.WriteString(line)
	}
	a.mu.Lock()
	answer := a.answers[min(len(a.asked), len(a.answers)-1)]
	a.asked = append(a.asked, head.String())
	a.mu.Unlock()
	switch {
	case answer == "close":
		return
	case answer == "cut":
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n")
		return
	case answer == "hang":
		_, _ = io.Copy(io.Discard, c)
		return
	}
	status := "HTTP/1.0 200 OK"
	if s, rest, found := strings.Cut(answer, " || "); found {
		status, answer = s, rest
	}
	answer = strings.ReplaceAll(answer, "$port", fmt.Sprintf("Auth-Port: %d", a.backend))
	answer = strings.ReplaceAll(answer, "$backend", fmt.Sprintf("Auth-Server: 127.0.0.1 | Auth-Port: %d", a.backend))
	_, _ = io.WriteString(c, status+"\r\n"+strings.ReplaceAll(answer, " | ", "\r\n")+"\r\n\r\n")
}

func (a *authScript) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

// backendScript is a backend that takes any login.
type backendScript struct {
	greeting string        // "" for the usual; "-" for silence, "close" to hang up
	literal  string        // to LOGIN and its literal, as greeting
	login    string        // $TAG is the command's; as greeting
	delay    time.Duration // before the greeting
	proxy    bool          // a PROXY header comes first
	at       string        // its address
	away     bool          // nothing listens
	extra    string        // offered with IMAP4rev1
	push     bool          // says something five times a second after the login
	simple   bool          // hangs up at any command but LOGIN and LOGOUT

	mu     sync.Mutex
	logins []string
	said   []string // lines after the login
}

func (b *backendScript) seen() (logins, said []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.logins...), append([]string(nil), b.said...)
}

func (b *backendScript) serve(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	read := func() (string, bool) {
		line, err := in.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err == nil
	}
	if b.proxy {
		header, _ := read()
		b.note(&b.said, header)
	}
	<-time.After(b.delay)
	if !stands(b.greeting, in) {
		return
	}
	say(cmp.Or(b.greeting, "* OK ready"))
	loggedIn := false
	for {
		line, good := read()
		if !good {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		verb, arg, _ := strings.Cut(rest, " ")
		if loggedIn {
			b.note(&b.said, rest)
		}
		if b.simple && verb != "LOGIN" && verb != "LOGOUT" {
			return
		}
		switch strings.ToUpper(verb) {
		case "CAPABILITY":
			say("* CAPABILITY IMAP4rev1 " + b.extra)
			say(tag + " OK done")
		case "LOGIN":
			if !stands(b.literal, in) {
				return
			}
			if b.literal != "" {
				say(strings.ReplaceAll(b.literal, "$TAG", tag))
				continue
			}
			loggedIn = b.takeLogin(c, in, say, arg)
			if !stands(b.login, in) {
				return
			}
			b.answer(c, say, tag)
		case "AUTHENTICATE":
			mechanism, response, found := strings.Cut(arg, " ")
			if !found {
				say("+ ")
				response, _ = read()
			}
			b.note(&b.logins, mechanism+" "+response)
			loggedIn = true
			if strings.HasPrefix(b.login, "+ ") {
				challenge, _, _ := strings.Cut(b.login, " then ")
				say(challenge)
				dummy, _ := read()
				b.note(&b.said, dummy)
			}
			b.answer(c, say, tag)
		case "LOGOUT":
			say("* BYE out")
			say(tag + " OK out")
			return
		case "HANGUP":
			return
		default:
			say(tag + " OK done")
		}
	}
}

// stands is false where the script says to hang up, or to be silent until the
// other side has gone.
func stands(script string, in io.Reader) bool {
	if script == "-" {
		_, _ = io.Copy(io.Discard, in)
	}
	return script != "-" && script != "close"
}

func (b *backendScript) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

// takeLogin reads LOGIN with literals.
func (b *backendScript) takeLogin(c net.Conn, in *bufio.Reader, say func(string), arg string) bool {
	literal := func(arg string) (string, string) {
		n, _ := strconv.Atoi(strings.Trim(arg, " {}"))
		say("+ go on")
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			_ = c.Close()
		}
		rest, _ := in.ReadString('\n')
		return string(data), strings.TrimRight(rest, "\r\n")
	}
	user, rest := literal(arg)
	password, _ := literal(rest)
	b.note(&b.logins, user+" "+password)
	return true
}

func (b *backendScript) answer(c net.Conn, say func(string), tag string) {
	login := b.login
	if _, then, found := strings.Cut(login, " then "); found {
		login = then
	}
	if login == "" {
		login = "$TAG OK [CAPABILITY IMAP4rev1 IDLE] Logged in"
	}
	say(strings.ReplaceAll(login, "$TAG", tag))
	for b.push {
		if _, err := io.WriteString(c, "* OK tick\r\n"); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}
