package config

import "path/filepath"

// TLSFiles are all that the listener's TLS is made of.
func (l *Listener) TLSFiles() []string {
	list := []Path{l.KeyPasswords, l.ClientCA, l.TrustedCertificates, l.ClientCRL}
	for _, c := range l.AllCertificates() {
		list = append(list, c.Certificate, c.Key, c.OCSPFile)
	}
	names := l.TicketFiles()
	for _, file := range list {
		if file != "" {
			names = append(names, string(file))
		}
	}
	return names
}

// TicketFiles are the files of ticket keys, which are meant from the folder of
// the configuration file like any other.
func (l *Listener) TicketFiles() []string {
	var names []string
	for _, name := range l.TicketKeys {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(l.Place.File), name)
		}
		names = append(names, name)
	}
	return names
}
