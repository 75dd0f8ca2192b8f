package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/backend/printable"
)

// nginxLines writes lines of JSON in the format of nginx's error_log:
// 2026/01/02 15:04:05 [info] 4711#0: message key=value.
type nginxLines struct{ out io.Writer }

// Write implements io.Writer.
func (n nginxLines) Write(line []byte) (int, error) {
	if _, err := n.out.Write(append(nginxText(line), '\n')); err != nil {
		return 0, err
	}
	return len(line), nil
}

// nginxText returns a line of JSON as nginx writes it, without its end. What stands
// after the message is ours; lines whose message is nginx's own have nothing there,
// since scripts may look at their end. A line that is no JSON stays as it is.
func nginxText(line []byte) []byte {
	fields, at, level, message := nginxFields(line)
	if message == "" && fields == nil {
		return bytes.TrimRight(line, "\n")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s [%s] %d#0: %s", at.Format("2006/01/02 15:04:05"), level, os.Getpid(),
		printable.Text(message, 0))
	if !strings.HasPrefix(message, "*") {
		for _, field := range fields {
			b.WriteString(" " + field)
		}
	}
	return b.Bytes()
}

// nginxFields takes a line apart.
func nginxFields(line []byte) (fields []string, at time.Time, level, message string) {
	in := json.NewDecoder(bytes.NewReader(line))
	at, level = time.Now(), "info"
	if start, err := in.Token(); err != nil || start != json.Delim('{') {
		return nil, at, level, ""
	}
	for in.More() {
		key, err := in.Token()
		var value json.RawMessage
		if err != nil || in.Decode(&value) != nil {
			break
		}
		var text string
		isText := json.Unmarshal(value, &text) == nil
		switch {
		case key == zerolog.LevelFieldName && isText:
			level = nginxLevel(text)
		case key == zerolog.MessageFieldName && isText:
			message = text
		case key == zerolog.TimestampFieldName && isText:
			if t, err := time.Parse(logTimeFormat, text); err == nil {
				at = t.Local()
			}
		case isText && !strings.ContainsAny(text, " \"\\=") && text != "" && printable.Text(text, 0) == text:
			fields = append(fields, fmt.Sprintf("%s=%s", key, text))
		default:
			fields = append(fields, fmt.Sprintf("%s=%s", key, printable.Text(string(value), 0)))
		}
	}
	return fields, at, level, message
}

// nginxLevel returns nginx's word for a level of zerolog.
func nginxLevel(word string) string {
	switch word {
	case zerolog.LevelFatalValue, zerolog.LevelPanicValue:
		return "emerg"
	case zerolog.LevelTraceValue:
		return "debug"
	}
	return word
}
