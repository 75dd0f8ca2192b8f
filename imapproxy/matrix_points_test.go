package imapproxy

var panicPoints = map[string]string{}
