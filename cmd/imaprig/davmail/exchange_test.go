package davmail

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func newExchange(t *testing.T, sizes ...int) *Exchange {
	t.Helper()
	x, err := startExchange(sizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// post asks as DavMail does, and returns the status and the answer.
func (x *Exchange) post(t *testing.T, user, password, call string) (int, string) {
	t.Helper()
	body := `<soap:Envelope xmlns:soap="soap" xmlns:t="t" xmlns:m="m"><soap:Body>` + call +
		`</soap:Body></soap:Envelope>`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.url(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const (
	askRoot = `<m:GetFolder><m:FolderIds><t:DistinguishedFolderId Id="root"/></m:FolderIds></m:GetFolder>`
	askPage = `<m:FindItem><m:IndexedPageItemView MaxEntriesReturned="%d" Offset="%d"/>` +
		`<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>`
	askStore = `<m:CreateItem><m:SavedItemFolderId><t:DistinguishedFolderId Id="inbox"/></m:SavedItemFolderId>` +
		`<m:Items><t:Message><t:MimeContent>%s</t:MimeContent></t:Message></m:Items></m:CreateItem>`
	askItem = `<m:%s><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds></m:%[1]s>`
)

// TestExchangeAnswers asks one thing after the other.
func TestExchangeAnswers(t *testing.T) {
	x := newExchange(t, 300, 400)
	for _, c := range []struct {
		user, password, call string
		status               int
		want                 string
	}{
		{"", "", askRoot, http.StatusUnauthorized, ""},
		{"joe", wrongPassword, askRoot, http.StatusUnauthorized, ""},
		{"joe", "x", "<m:Broken", http.StatusBadRequest, "no SOAP request"},
		{"joe", "x", "<m:GetDelegate/>", http.StatusOK, "ErrorInvalidRequest"},
		{"joe", "x", askRoot, http.StatusOK, `<t:FolderId Id="root"`},
		{"a<b", "x", "<m:ConvertId/>", http.StatusOK, `Mailbox="a&lt;b@example.org"`},
		{"joe", "x", fmt.Sprintf(askPage, 1, 0), http.StatusOK, `IncludesLastItemInRange="false"`},
		{"joe", "x", fmt.Sprintf(askPage, 1, 1), http.StatusOK, `IncludesLastItemInRange="true"`},
		{"joe", "x", fmt.Sprintf(askPage, 1, -1), http.StatusOK, `Id="inbox/1"`},
		{"joe", "x", fmt.Sprintf(askPage, 1, 9), http.StatusOK, `<t:Items></t:Items>`},
		{"joe", "x", fmt.Sprintf(askItem, "GetItem", "inbox/9"), http.StatusOK, "ErrorItemNotFound"},
		{"joe", "x", fmt.Sprintf(askItem, "GetItem", "nowhere"), http.StatusOK, "ErrorItemNotFound"},
		{"joe", "x", fmt.Sprintf(askItem, "GetItem", "inbox/2"), http.StatusOK, `<t:ItemId Id="inbox/2"`},
		{"joe", "x", fmt.Sprintf(askItem, "DeleteItem", "inbox/2"), http.StatusOK, "NoError"},
		{"joe", "x", fmt.Sprintf(askItem, "DeleteItem", "inbox/2"), http.StatusOK, "ErrorItemNotFound"},
		{"joe", "x", fmt.Sprintf(askStore, "aGVsbG8="), http.StatusOK, "NoError"},
		{"joe", "x", fmt.Sprintf(askItem, "GetItem", "inbox/3"), http.StatusOK, ">aGVsbG8=<"},
	} {
		status, text := x.post(t, c.user, c.password, c.call)
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s, %q: status %d, want %d and %q in\n%s", c.user, c.call, status, c.status, c.want, text)
		}
	}
	if s := x.Stats(); s.Refused != 1 || s.Stored != 1 || s.StoredBytes != 5 || s.Requests[Logins] != 2 {
		t.Errorf("%+v, want 1 login refused, 1 message of 5 bytes, and 2 requests of logins", s)
	}
}

// TestExchangeIsBounded sends more than it keeps, and a request larger than it reads.
func TestExchangeIsBounded(t *testing.T) {
	x := newExchange(t)
	x.kept = keptBytes - 5
	if _, text := x.post(t, "joe", "x", fmt.Sprintf(askStore, "aGVsbG8=")); !strings.Contains(text, noQuota) {
		t.Errorf("%s\nwant %s", text, noQuota)
	}
	x.limit = 1000
	status, _ := x.post(t, "joe", "x", strings.Repeat(" ", 1000)+askRoot)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", status)
	}
}

// TestExchangeConcurrently looks at a folder while its messages come, change and go; the race detector watches.
func TestExchangeConcurrently(t *testing.T) {
	x := newExchange(t)
	ask := func(name string, c call) {
		c.XMLName.Local = name
		if err := x.answer(io.Discard, "joe", c); err != nil {
			t.Error(err)
		}
	}
	item := func(n int) id { return id{fmt.Sprintf("%s/%d", inbox, n)} }
	inFolder := folderIDs{Known: []id{{inbox}}}
	changes := []change{{Item: item(1)}}
	changes[0].Sets = append(changes[0].Sets, struct{ Message, Item newItem }{Message: newItem{IsRead: "true"}})
	over := make(chan struct{})
	var readers, writers sync.WaitGroup
	for _, write := range []func(n int){
		func(int) { ask("UpdateItem", call{Changes: changes}) },
		func(n int) {
			ask("CreateItem", call{SavedIn: inFolder, Created: []newItem{{Content: "aGVsbG8="}}})
			ask("DeleteItem", call{ItemIDs: []id{item(n)}})
		},
	} {
		writers.Go(func() {
			for n := 2; ; n++ {
				select {
				case <-over:
					return
				default:
					write(n)
				}
			}
		})
	}
	for range 100 {
		readers.Go(func() {
			ask("GetFolder", call{FolderIDs: inFolder})
			ask("FindItem", call{ParentIDs: inFolder})
		})
	}
	readers.Wait()
	close(over)
	writers.Wait()
}

// TestExchangeCloses wants no answer to be in the making any more when the stand-in is closed.
func TestExchangeCloses(t *testing.T) {
	x, err := startExchange(nil)
	if err != nil {
		t.Fatal(err)
	}
	x.patience = 0
	entered := make(chan struct{})
	var over atomic.Bool
	x.server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		time.Sleep(50 * time.Millisecond) // a close that does not wait would be over before
		over.Store(true)
	})
	conn, err := net.Dial("tcp", x.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: rig\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := x.close(); err != nil || !over.Load() {
		t.Errorf("error %v, the answer is over: %v", err, over.Load())
	}
}

func TestHang(t *testing.T) {
	x := newExchange(t)
	x.Hang(Logins)
	if status, _ := x.post(t, "joe", "x", fmt.Sprintf(askPage, 1, 0)); status != http.StatusOK {
		t.Errorf("what does not hang: status %d", status)
	}
	answered := make(chan string)
	go func() {
		_, text := x.post(t, "joe", "x", askRoot)
		answered <- text
	}()
	rigtest.Eventually(t, func() error {
		if x.Stats().Hanging != 1 {
			return fmt.Errorf("%+v, want one that hangs", x.Stats())
		}
		return nil
	})
	x.Release()
	if text := <-answered; !strings.Contains(text, "NoError") || x.Stats().Hanging != 0 {
		t.Errorf("answer %q, %+v", text, x.Stats())
	}
	x.Hang()
	x.Release()
	if status, _ := x.post(t, "joe", "x", askRoot); status != http.StatusOK {
		t.Errorf("after Release: status %d", status)
	}
}

func TestMessageHasItsSize(t *testing.T) {
	for _, size := range []int{200, 2000, 100_000} {
		text, err := base64.StdEncoding.DecodeString((&message{UID: 1, Size: size}).text("joe"))
		if err != nil || len(text) != size {
			t.Errorf("%d bytes, error %v; want %d", len(text), err, size)
		}
	}
}
