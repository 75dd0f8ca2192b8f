package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/youmark/pkcs8"

	"imapproxy/cmd/imapproxy/config"
)

// errNoPassword is an encrypted key that no password opens. It never holds one.
var errNoPassword = errors.New("the private key is encrypted, and no password fits")

// keyPasswords reads the passwords of encrypted keys, one a line.
func keyPasswords(c *config.Listener, r *config.Report) []string {
	if c.KeyPasswords == "" {
		return nil
	}
	text, err := config.ReadLimited(string(c.KeyPasswords), 64<<10)
	if err != nil {
		r.Unreadable(c.Place, "key_password_file", "name a readable file", c.KeyPasswords, err)
		return nil
	}
	warnReadable(c.Place, "key_password_file", c.KeyPasswords, "the passwords of private keys", r)
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		r.Errorf(c.Place, "key_password_file", "write each password on a line of its own",
			"%s holds none", c.KeyPasswords)
	}
	return list
}

// decryptKey returns a PEM text with its encrypted private key in clear, and any
// other as it is.
func decryptKey(text []byte, passwords []string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		open := openPKCS8
		if block.Headers["DEK-Info"] != "" {
			open = openLegacy
		} else if block.Type != "ENCRYPTED PRIVATE KEY" {
			continue
		}
		for _, password := range passwords {
			if plain := open(block, []byte(password)); plain != nil {
				return pem.EncodeToMemory(plain), nil
			}
		}
		return nil, errNoPassword
	}
}

// openPKCS8 opens a key as OpenSSL has written them since 3.0 (RFC 5958); nil
// when the password does not fit.
func openPKCS8(block *pem.Block, password []byte) *pem.Block {
	key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, password)
	if err != nil {
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}

// openLegacy opens a key as OpenSSL wrote them before (RFC 1423).
func openLegacy(block *pem.Block, password []byte) *pem.Block {
	//lint:ignore SA1019 weak, but such keys are there, and reading one makes it no weaker
	der, err := x509.DecryptPEMBlock(block, password)
	if err != nil {
		return nil
	}
	return &pem.Block{Type: block.Type, Bytes: der}
}
