package davmail

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

const (
	notFound  = "ErrorItemNotFound"
	noQuota   = "ErrorQuotaExceeded"
	noRequest = "ErrorInvalidRequest"
	deletedID = "34160"
	flagsTag  = "0xe07"
)

// answer does what a call asks for and writes Exchange's answer.
func (x *Exchange) answer(w io.Writer, user string, c call) error {
	if err := answers.Execute(w, x.do(user, c)); err != nil {
		return fmt.Errorf("answer %s: %w", c.XMLName.Local, err)
	}
	return nil
}

// do returns copies, since another request may change the mailbox while an answer is written.
func (x *Exchange) do(user string, c call) answerData {
	x.mu.Lock()
	defer x.mu.Unlock()
	m := x.mailboxOf(user)
	data := answerData{Call: c.XMLName.Local, Email: user, Last: true, user: user}
	if !strings.Contains(user, "@") {
		data.Email = user + "@example.org"
	}
	switch data.Call {
	case "ConvertId":
	case "GetFolder":
		data.folders(m.folder(c.FolderIDs.first()))
	case "FindFolder":
		data.folders(m.list(c.ParentIDs.first(), c.wantedName())...)
	case "FindItem":
		data.page(m.folder(c.ParentIDs.first()), c.View.Offset, c.View.Most)
	case "GetItem":
		data.read(m, c.ItemIDs)
	case "CreateItem":
		data.Error = x.store(m.folder(c.SavedIn.first()), c.Created)
	case "UpdateItem":
		data.Error = m.update(c.Changes)
	case "DeleteItem":
		for _, item := range c.ItemIDs {
			if !m.remove(item.ID) {
				data.Error = notFound
			}
		}
	default:
		data.Error = noRequest
	}
	return data
}

func (d *answerData) folders(all ...*folder) {
	for _, f := range all {
		d.Folders = append(d.Folders, folderData{f.ID, f.Name, f.Changes, f.NextUID, len(f.Messages), f.unread()})
	}
}

// page adds up to most messages of a folder, without the first offset ones; most is 0 for all.
func (d *answerData) page(f *folder, offset, most int) {
	rest := f.Messages[min(max(offset, 0), len(f.Messages)):]
	if most > 0 && most < len(rest) {
		rest, d.Last = rest[:most], false
	}
	for _, msg := range rest {
		clone := *msg
		d.Messages = append(d.Messages, &clone)
	}
}

func (d *answerData) read(m *mailbox, items []id) {
	for _, item := range items[:min(len(items), 1)] {
		if _, msg := m.find(item.ID); msg != nil {
			clone := *msg
			d.Messages = []*message{&clone}
			return
		}
	}
	d.Error = notFound
}

// store adds what an APPEND brought, and returns Exchange's error code.
func (x *Exchange) store(f *folder, items []newItem) string {
	for _, item := range items {
		size := base64.StdEncoding.DecodedLen(len(item.Content)) - strings.Count(item.Content, "=")
		if x.kept+len(item.Content) > keptBytes {
			return noQuota
		}
		x.kept += len(item.Content)
		x.stats.Stored++
		x.stats.StoredBytes += int64(size)
		msg := &message{Size: size, content: item.Content}
		msg.set(item)
		f.add(msg)
	}
	return ""
}

func (m *mailbox) update(changes []change) string {
	for _, c := range changes {
		f, msg := m.find(c.Item.ID)
		if msg == nil {
			return notFound
		}
		for _, s := range c.Sets {
			msg.set(s.Message)
			msg.set(s.Item)
		}
		f.Changes++
	}
	return ""
}

// set takes over the flags that the stand-in knows: \Seen and \Deleted.
func (msg *message) set(item newItem) {
	if item.IsRead != "" {
		msg.Read = item.IsRead == "true"
	}
	for _, p := range item.Properties {
		switch {
		case p.Field.ID == deletedID:
			msg.Deleted = p.Value
		case p.Field.Tag == flagsTag:
			msg.Read = p.Value == "1" || p.Value == "9"
		}
	}
}
