package davmail

import (
	"encoding/xml"
	"strings"
)

// envelope is a request as DavMail writes it. Names are compared without their namespaces.
type envelope struct {
	Body struct {
		Call call `xml:",any"`
	} `xml:"Body"`
}

// call is what the stand-in reads of the requests it knows.
type call struct {
	XMLName xml.Name

	FolderIDs   folderIDs `xml:"FolderIds"`
	ParentIDs   folderIDs `xml:"ParentFolderIds"`
	SavedIn     folderIDs `xml:"SavedItemFolderId"`
	Restriction struct {
		Equal struct {
			Field struct {
				URI string `xml:"FieldURI,attr"`
			} `xml:"FieldURI"`
			Constant struct {
				Value string `xml:"Value,attr"`
			} `xml:"FieldURIOrConstant>Constant"`
		} `xml:"IsEqualTo"`
	} `xml:"Restriction"`
	View struct {
		Most   int `xml:"MaxEntriesReturned,attr"`
		Offset int `xml:"Offset,attr"`
	} `xml:"IndexedPageItemView"`

	ItemIDs []id      `xml:"ItemIds>ItemId"`
	Created []newItem `xml:"Items>Message"`
	Changes []change  `xml:"ItemChanges>ItemChange"`
}

type folderIDs struct {
	Known []id `xml:"DistinguishedFolderId"`
	IDs   []id `xml:"FolderId"`
}

// first returns the folder that is meant; a folder's id is its name.
func (f folderIDs) first() string {
	for _, i := range append(f.Known, f.IDs...) {
		return i.ID
	}
	return ""
}

type id struct {
	ID string `xml:"Id,attr"`
}

type newItem struct {
	Content    string     `xml:"MimeContent"` // base64
	Properties []property `xml:"ExtendedProperty"`
	IsRead     string     `xml:"IsRead"`
}

type property struct {
	Field struct {
		Tag string `xml:"PropertyTag,attr"`
		ID  string `xml:"PropertyId,attr"`
	} `xml:"ExtendedFieldURI"`
	Value string `xml:"Value"`
}

type change struct {
	Item id `xml:"ItemId"`
	Sets []struct {
		Message newItem // with its flag \Seen
		Item    newItem // with other flags
	} `xml:"Updates>SetItemField"`
}

// kind returns what a mail client did so that DavMail makes this call.
func (c call) kind() Request {
	switch c.XMLName.Local {
	case "GetFolder":
		if c.FolderIDs.first() == rootFolder {
			return Logins
		}
	case "ConvertId":
		return Logins
	case "FindItem":
		return Selects
	case "GetItem":
		return Fetches
	case "CreateItem":
		return Appends
	}
	return Others
}

// wantedName returns the name of the folder that FindFolder looks for, "" when it lists them.
func (c call) wantedName() string {
	if strings.HasSuffix(c.Restriction.Equal.Field.URI, ":DisplayName") {
		return c.Restriction.Equal.Constant.Value
	}
	return ""
}
