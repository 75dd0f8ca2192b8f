package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend/login"
)

// usualRefusal knows how backends refuse a wrong password, and how long that
// takes, so that a user whom no route knows can be refused alike.
type usualRefusal struct {
	mu      sync.Mutex // protects all; nothing blocks under it
	average time.Duration
	text    string // "" before the first
}

// firstRefusalLatency stands in until a backend has refused a login.
const firstRefusalLatency = time.Second

// learn takes one refusal into a moving average, and how a wrong password is worded:
// never in the backend's own words, which may name the user.
func (u *usualRefusal) learn(a login.Answer, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a.Code == "" || a.Code == "AUTHENTICATIONFAILED" {
		if a.Texts == login.TextsAll {
			a.Texts = login.TextsCodes
		}
		u.text = answerText(a)
	}
	if u.average == 0 {
		u.average = took
		return
	}
	u.average += (took - u.average) / 8
}

// usual is what a refusal says and how long it takes.
func (u *usualRefusal) usual() (text string, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	text, took = noSuchLogin, firstRefusalLatency
	if u.text != "" {
		text = u.text
	}
	if u.average > 0 {
		took = u.average
	}
	return text, took
}
