package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// hash is a stored password in the form it can be verified in.
type hash struct {
	kind   string // algorithm and cost; two hashes of one kind cost the same work
	weak   string // why the kind is no protection any more, "" when it is one
	costly string // the hash as the file has it, where verifying it takes long; "" for what a cache can't make cheaper
	verify func(Secret) (bool, error)
}

var (
	errNotHash = errors.New("the second field is not a password hash: make one with `imapproxy passwd`")
	errDamaged = errors.New("the hash is damaged, or of a form that can't be verified: make a new one with " +
		"`imapproxy passwd`")
	errKind = errors.New("the {SCHEME} in front and the hash after it are of different kinds: remove the " +
		"{SCHEME} or mend the hash")
	errScheme = errors.New("unknown {SCHEME}: a hash that begins with $ needs none; or make a new one with " +
		"`imapproxy passwd`")
	errEmptyHash = errors.New("the hash is empty: make one with `imapproxy passwd`, or write ! to lock the user")
	errPlaintext = errors.New("a {PLAIN} password is taken only with the word plaintext as a further field; better " +
		"make a hash with `imapproxy passwd`")
	errNeedless = errors.New("the word plaintext belongs to a {PLAIN} password only: remove it")
)

// cryptSchemes are Dovecot's and LDAP's prefixes for modular-crypt hashes, with
// how the hash after each must begin.
var cryptSchemes = map[string]string{
	"CRYPT":        "$",
	"BLF-CRYPT":    "$2",
	"MD5-CRYPT":    "$1$",
	"SHA256-CRYPT": "$5$",
	"SHA512-CRYPT": "$6$",
	"ARGON2":       "$argon2",
	"ARGON2I":      "$argon2i$",
	"ARGON2ID":     "$argon2id$",
}

// plainSchemes have the password itself after them.
var plainSchemes = []string{"PLAIN", "CLEAR", "CLEARTEXT"}

// hashReader turns the text of hashes into hashes. Its errors never quote the
// text: it may be a password that was not hashed by mistake.
type hashReader struct{ decoder *crypt.Decoder }

func newHashReader() (*hashReader, error) {
	d := crypt.NewDecoder()
	return &hashReader{d}, registerModular(d)
}

// registerModular registers the modular-crypt hashes that are read.
func registerModular(r algorithm.DecoderRegister) error {
	for _, register := range []func(algorithm.DecoderRegister) error{argon2.RegisterDecoder, bcrypt.RegisterDecoder,
		shacrypt.RegisterDecoder, scrypt.RegisterDecoder, pbkdf2.RegisterDecoder, md5crypt.RegisterDecoderCommon} {
		if err := register(r); err != nil {
			return err
		}
	}
	return nil
}

// read returns nil without an error for a locked user ("*", or "!" in front).
func (p *hashReader) read(text string, plaintext bool) (*hash, error) {
	scheme, rest := cutScheme(text)
	if plain := slices.Contains(plainSchemes, scheme); plain != plaintext {
		if plain {
			return nil, errPlaintext
		}
		return nil, errNeedless
	} else if plain {
		return plainHash(rest)
	}
	switch begin, modular := cryptSchemes[scheme]; {
	case text == "":
		return nil, errEmptyHash
	case text == "*" || text[0] == '!':
		return nil, nil
	case saltedSchemes[scheme] != nil:
		return saltedHash(scheme, rest)
	case strings.HasPrefix(scheme, "PBKDF2"): // the scheme is part of the hash
		return p.modular(text)
	case modular && !strings.HasPrefix(rest, begin):
		return nil, errKind
	case scheme != "" && !modular:
		return nil, unknownScheme(scheme)
	case rest == "x" && scheme == "":
		return nil, errElsewhere
	case rest == "" || rest[0] != '$':
		return nil, notHash(rest)
	}
	return p.modular(rest)
}

// cutScheme splits "{SCHEME}rest"; the scheme comes back in upper case, "" when
// there is none.
func cutScheme(text string) (scheme, rest string) {
	if !strings.HasPrefix(text, "{") {
		return "", text
	}
	scheme, rest, found := strings.Cut(text[1:], "}")
	if !found || scheme == "" {
		return "", text
	}
	return strings.ToUpper(scheme), rest
}

// modular reads a hash that begins with $ (the modular crypt format).
func (p *hashReader) modular(text string) (*hash, error) {
	digest, err := p.decoder.Decode(text)
	if err != nil {
		return nil, unreadable(text)
	}
	kind, err := boundedKind(digest, text)
	if err != nil {
		return nil, err
	}
	h := &hash{kind: kind, costly: text, verify: func(s Secret) (bool, error) { return matchDigest(digest, kind, s) }}
	if strings.HasPrefix(text, "$1$") {
		h.weak = "MD5-crypt can be guessed in hours"
	}
	return h, nil
}

// maxCryptSecret is libxcrypt's limit: no SHA-crypt or MD5-crypt hash was ever
// made of a longer password, and their work grows with its length.
const maxCryptSecret = 512

func matchDigest(d algorithm.Digest, kind string, s Secret) (bool, error) {
	if strings.Contains(kind, "-crypt") && len(s) > maxCryptSecret {
		return false, nil
	}
	ok, err := d.MatchAdvanced(string(s))
	if err != nil {
		// The library's text may hold parts of the hash.
		return false, fmt.Errorf("verify %s: the hash can't be computed", kind)
	}
	return ok, nil
}
