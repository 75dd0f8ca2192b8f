package davmail

import (
	"encoding/xml"
	"fmt"
	"strings"
	"text/template"
)

// answerData is the content of an answer.
type answerData struct {
	Call     string // the request's name
	Error    string // Exchange's code, "" for none
	Email    string
	Folders  []folderData
	Messages []*message
	Last     bool // nothing comes after these
	user     string
}

// Text returns the only message, in base64.
func (d answerData) Text() string { return d.Messages[0].text(d.user) }

// folderData is what DavMail asks about a folder.
type folderData struct {
	ID, Name         string
	Changes, NextUID int
	Messages, Unread int // how many
}

// answerText is Exchange's answer to every request that the stand-in knows. DavMail reads names without namespaces,
// and takes values by the tags of MAPI's properties.
const answerText = `<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">
<s:Header><t:ServerVersionInfo MajorVersion="14" MinorVersion="1" Version="Exchange2010_SP1"/></s:Header>
<s:Body><m:{{.Call}}Response><m:ResponseMessages>
{{if .Error -}}
<m:{{.Call}}ResponseMessage ResponseClass="Error"><m:ResponseCode>{{.Error}}</m:ResponseCode>
{{- else -}}
<m:{{.Call}}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>
{{- if eq .Call "ConvertId" -}}
<m:AlternateId Format="EwsId" Id="root" Mailbox="{{xml .Email}}"/>
{{- else if eq .Call "GetFolder" -}}
<m:Folders>{{range .Folders}}{{template "folder" .}}{{end}}</m:Folders>
{{- else if eq .Call "FindFolder" -}}
<m:RootFolder IncludesLastItemInRange="true"><t:Folders>
{{- range .Folders}}{{template "folder" .}}{{end}}</t:Folders></m:RootFolder>
{{- else if eq .Call "FindItem" -}}
<m:RootFolder IncludesLastItemInRange="{{.Last}}"><t:Items>
{{- range .Messages}}{{template "message" .}}{{end}}</t:Items></m:RootFolder>
{{- else if eq .Call "GetItem" -}}
<m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">{{.Text}}</t:MimeContent>
{{- range .Messages}}<t:ItemId Id="{{xml .ID}}" ChangeKey="{{.Read}}"/>{{end}}</t:Message></m:Items>
{{- else -}}
<m:Items>{{range .Messages}}{{template "message" .}}{{end}}</m:Items>
{{- end}}
{{- end}}</m:{{.Call}}ResponseMessage>
</m:ResponseMessages></m:{{.Call}}Response></s:Body></s:Envelope>
{{define "folder"}}<t:Folder><t:FolderId Id="{{xml .ID}}" ChangeKey="{{.Changes}}"/>
<t:DisplayName>{{xml .Name}}</t:DisplayName>{{prop "0x3613" "IPF.Note"}}
{{prop "0x3602" .Messages}}{{prop "0x3603" .Unread}}{{prop "0x360a" false}}
{{prop "0x670a" .Changes}}{{prop "0x6751" .NextUID}}</t:Folder>{{end}}
{{define "message"}}<t:Message><t:ItemId Id="{{xml .ID}}" ChangeKey="{{.Read}}"/><t:IsRead>{{.Read}}</t:IsRead>
{{prop "0xe23" .UID}}{{prop "0xe08" .Size}}{{prop "0xe06" .Date}}{{prop "0x3008" .Date}}{{prop "0x670e" .ID}}
<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="Common" PropertyId="34160"/>
<t:Value>{{.Deleted}}</t:Value></t:ExtendedProperty></t:Message>{{end}}`

var answers = template.Must(template.New("answer").
	Funcs(template.FuncMap{"xml": escape, "prop": prop}).Parse(answerText))

func escape(value any) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, fmt.Append(nil, value))
	return b.String(), err
}

// prop returns one of MAPI's properties.
func prop(tag string, value any) (string, error) {
	text, err := escape(value)
	return fmt.Sprintf(`<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="%s"/><t:Value>%s</t:Value>`+
		`</t:ExtendedProperty>`, tag, text), err
}
