// Package config is the configuration file of imapproxy: its schema with bounds
// and defaults, the decoding, the checks that need no other file, reports with
// file and line, and the reference, the example and the manual page that the
// schema prints. It opens nothing that a configuration names and builds
// nothing: package main does both.
package config
