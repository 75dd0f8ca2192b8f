package davmail

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	rootFolder = "root"
	allMail    = "msgfolderroot" // its folders are what LIST shows
	inbox      = "inbox"
	keptBytes  = 64 << 20 // of appended messages, of all users together
	mailLine   = "The quick brown fox jumps over the lazy dog, and does it again.\r\n"
	mailHeader = "From: rig@example.org\r\nTo: %s\r\nSubject: message of %d bytes\r\n" +
		"Message-ID: <%d-%d@example.org>\r\nDate: Mon, 01 Jan 2024 12:00:00 +0000\r\n\r\n"
	exchangeTime = "2006-01-02T15:04:05Z"
)

// folderNames are the folders of a mailbox that have a place in LIST, by their ids.
var folderNames = map[string]string{
	inbox: "Inbox", "sentitems": "Sent Items", "drafts": "Drafts", "deleteditems": "Deleted Items",
	"junkemail": "Junk Email",
}

// mailbox is what a user has.
type mailbox struct {
	folders map[string]*folder // by id, which is Exchange's name of it
}

type folder struct {
	ID, Name string
	Changes  int // of its messages, so that DavMail notices
	NextUID  int
	Messages []*message
}

type message struct {
	ID      string // the folder's and the UID
	UID     int
	Size    int
	Read    bool
	Deleted string // "1" after STORE \Deleted
	Date    string
	content string // base64; "" = made when it is fetched
}

// mailboxOf returns a user's mailbox, which is made when it is first asked for. The lock is held.
func (x *Exchange) mailboxOf(user string) *mailbox {
	if m := x.mailboxes[user]; m != nil {
		return m
	}
	m := &mailbox{folders: map[string]*folder{}}
	x.mailboxes[user] = m
	for _, size := range x.sizes {
		m.folder(inbox).add(&message{Size: size})
	}
	return m
}

// Deliver puts a message of this size into a user's INBOX, as when mail arrives.
func (x *Exchange) Deliver(user string, size int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mailboxOf(user).folder(inbox).add(&message{Size: size})
}

// folder returns one of Exchange's own folders.
func (m *mailbox) folder(id string) *folder {
	f := m.folders[id]
	if f == nil {
		name := folderNames[id]
		if name == "" {
			name = id
		}
		f = &folder{ID: id, Name: name, NextUID: 1}
		m.folders[id] = f
	}
	return f
}

// list returns the folders below another, and with name only the one of that name.
func (m *mailbox) list(parent, name string) []*folder {
	var found []*folder
	if parent != allMail {
		return nil
	}
	for id, display := range folderNames {
		if name == "" || name == display {
			found = append(found, m.folder(id))
		}
	}
	slices.SortFunc(found, func(a, b *folder) int { return strings.Compare(a.ID, b.ID) })
	return found
}

func (f *folder) add(msg *message) {
	msg.UID, msg.ID = f.NextUID, fmt.Sprintf("%s/%d", f.ID, f.NextUID)
	msg.Date = time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC).Format(exchangeTime)
	f.NextUID++
	f.Changes++
	f.Messages = append(f.Messages, msg)
}

// find returns the message of an item's id, nil when there is none.
func (m *mailbox) find(item string) (*folder, *message) {
	name, _, _ := strings.Cut(item, "/")
	f := m.folders[name]
	if f == nil {
		return nil, nil
	}
	i := slices.IndexFunc(f.Messages, func(msg *message) bool { return msg.ID == item })
	if i < 0 {
		return f, nil
	}
	return f, f.Messages[i]
}

// remove takes a message away.
func (m *mailbox) remove(item string) bool {
	f, msg := m.find(item)
	if msg == nil {
		return false
	}
	f.Messages = slices.DeleteFunc(f.Messages, func(other *message) bool { return other == msg })
	f.Changes++
	return true
}

// unread returns how many messages have not been read.
func (f *folder) unread() int {
	unread := 0
	for _, msg := range f.Messages {
		if !msg.Read {
			unread++
		}
	}
	return unread
}

// text returns a message in base64.
func (msg *message) text(user string) string {
	if msg.content != "" {
		return msg.content
	}
	text := fmt.Sprintf(mailHeader, user, msg.Size, msg.UID, msg.Size)
	if rest := msg.Size - len(text); rest > 0 {
		text += strings.Repeat(mailLine, rest/len(mailLine)+1)[:rest]
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}
