// Package docs holds those pages of the documentation that are manual pages too.
package docs

import _ "embed"

// Users is users.md, for imapproxy-users(5).
//
//go:embed users.md
var Users string

// Maps is maps.md, for imapproxy-map(5).
//
//go:embed maps.md
var Maps string
