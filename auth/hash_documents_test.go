package auth

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm"
)

// furtherVectors are of vectorPassword too, made by Python's hashlib and by libxcrypt.
var furtherVectors = []string{
	"$2a$05$rKY024AXHDxovCIVZQ1Jf.Mecugfytl5a9x4Fk6fgRdnwa3tQk5fe",
	"$2b$05$rKY024AXHDxovCIVZQ1Jf.Mecugfytl5a9x4Fk6fgRdnwa3tQk5fe",
	"$bcrypt-sha256$v=2,t=2b,r=5$5Hg1DKFqPE8C2aflZ5vVoe$GpPEMbZXqSXrGo31iVtldxJ02OzzN.G",
	"$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$kRCvwZgJfDoZcuyKW50K1L1rQQ8",
	"$pbkdf2-sha1$1000$MDEyMzQ1Njc4OWFiY2RlZg$kRCvwZgJfDoZcuyKW50K1L1rQQ8",
	"$pbkdf2-sha224$1000$MDEyMzQ1Njc4OWFiY2RlZg$P6zk5.eOghLm7yfVOfkilIZqB5DMG6N7mBQBNg",
	"$pbkdf2-sha384$1000$MDEyMzQ1Njc4OWFiY2RlZg$6U2CgHSpLxr9zQcUc63njBamk2BW5ecB/Pgb3MX6kSaDOGLMRi.oLt4p4SupMxuz",
	"$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$" +
		"Gja8MW8FnNYOfnm3qFe4pkotkkQxeKST7399DTLKZpP1T5Ou/JkMw9a1mrEoN4GXK.FKJ1iPzMkaC74Xwed/7A",
	"{PBKDF2}1000$MDEyMzQ1Njc4OWFiY2RlZg$kRCvwZgJfDoZcuyKW50K1L1rQQ8",
	"{PBKDF2-SHA512}1000$MDEyMzQ1Njc4OWFiY2RlZg$" +
		"Gja8MW8FnNYOfnm3qFe4pkotkkQxeKST7399DTLKZpP1T5Ou/JkMw9a1mrEoN4GXK.FKJ1iPzMkaC74Xwed/7A",
	"{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$/8S5jvi8IK1AsjNWl5/MXg$sBZnO+asBUAk+ac9zFo+nu1mGaqD1N9mU0M/c8H2Cjw",
}

func TestFurtherVectors(t *testing.T) {
	for _, text := range furtherVectors {
		h, err := mustReader(t).read(text, false)
		if err != nil {
			t.Errorf("%.20s: %v", text, err)
			continue
		}
		for password, want := range map[Secret]bool{vectorPassword: true, vectorPassword + "x": false} {
			if ok, err := h.verify(password); ok != want || err != nil {
				t.Errorf("%.20s: %v, %v; want %v", text, ok, err, want)
			}
		}
	}
}

// TestBcryptTakes72Bytes, as docs/users.md says.
func TestBcryptTakes72Bytes(t *testing.T) {
	long := Secret(strings.Repeat("x", 72))
	text, err := hashPassword(long, "bcrypt", hashCosts{bcrypt: 10})
	if err != nil {
		t.Fatal(err)
	}
	h, err := mustReader(t).read(text, false)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[Secret]bool{long: true, long + "yz": true, long[1:]: false} {
		if ok, err := h.verify(password); ok != want || err != nil {
			t.Errorf("%d bytes: %v, %v", len(password), ok, err)
		}
	}
}

// usersPage is docs/users.md.
func usersPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rowsOf are the rows of the table below a heading, each as its first cell's code and
// the rest.
func rowsOf(t *testing.T, page, heading string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(page, heading)
	if !found {
		t.Fatalf("no table %q", heading)
	}
	rows := map[string]string{}
	for line := range strings.Lines(rest) {
		cells := strings.SplitN(strings.TrimSpace(line), " | ", 2)
		if len(cells) < 2 {
			break
		}
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1) {
			rows[code[1]] = cells[1]
		}
	}
	return rows
}

// recorder collects what is registered.
type recorder map[string]bool

func (r recorder) RegisterDecodeFunc(identifier string, _ algorithm.DecodeFunc) error {
	r["$"+identifier+"$"] = true
	return nil
}

func (r recorder) RegisterDecodePrefix(prefix, identifier string) error {
	return fmt.Errorf("%s for %s: a prefix that docs/users.md does not know", prefix, identifier)
}

func (r recorder) Decode(string) (algorithm.Digest, error) { return nil, errDamaged }

// TestSchemesDocumented: the tables of docs/users.md have all that is read and no more.
func TestSchemesDocumented(t *testing.T) {
	page := usersPage(t)
	registered := recorder{}
	if err := registerModular(registered); err != nil {
		t.Fatal(err)
	}
	delete(registered, "$2$") // which the library registers and can't read, see otherHashes
	beginnings := rowsOf(t, page, "| beginning | hash, and the costs that are taken |\n|---|---|\n")
	same(t, "beginnings", keys(beginnings), keys(registered))

	schemes := map[string]string{}
	for scheme, begin := range cryptSchemes {
		schemes["{"+scheme+"}"] = begin
	}
	for scheme := range saltedSchemes {
		schemes["{"+scheme+"}"] = "base64"
	}
	for _, scheme := range plainSchemes {
		schemes["{"+scheme+"}"] = "`plaintext`"
	}
	for beginning := range beginnings {
		if name, ok := strings.CutPrefix(beginning, "$pbkdf2"); ok {
			schemes["{PBKDF2"+strings.ToUpper(strings.TrimSuffix(name, "$"))+"}"] = "iterations$salt$key"
		}
	}
	documented := rowsOf(t, page, "| scheme | what has to follow |\n|---|---|\n")
	same(t, "schemes", keys(documented), keys(schemes))
	words := strings.NewReplacer("any hash", "$", "bcrypt", "$2", "Argon2", "$argon2")
	for scheme, begin := range schemes {
		if !strings.Contains(words.Replace(documented[scheme]), begin) {
			t.Errorf("%s: %q does not say %s", scheme, documented[scheme], begin)
		}
	}
	for _, scheme := range Schemes() {
		if !strings.Contains(page, scheme+"`") {
			t.Errorf("imapproxy passwd --scheme %s is not there", scheme)
		}
	}
}

// TestCostsDocumented: the bounds of costs are those of the code.
func TestCostsDocumented(t *testing.T) {
	rows := rowsOf(t, usersPage(t), "| beginning | hash, and the costs that are taken |\n|---|---|\n")
	said := map[string]string{"cost": "cost %s to %s", "rounds": "%s to %s rounds", "iterations": "%s to %s iterations",
		"passes": "%s to %s passes", "lanes": "%s to %s lanes", "memory": "memory of at most %[2]s"}
	size := map[string]string{"8": "8 KiB", "0": "", "1048576": "1 GiB"}
	texts := slices.Clone(furtherVectors)
	for _, v := range vectors {
		texts = append(texts, v.text)
	}
	seen := 0
	for _, text := range texts {
		_, rest := cutScheme(text)
		digest, err := mustReader(t).decoder.Decode(rest)
		if err != nil {
			continue // not modular
		}
		row := rows["$"+strings.Split(rest, "$")[1]+"$"]
		_, bounds, _ := digestBounds(digest, rest)
		for _, b := range bounds {
			form, least, most := said[b.name], thousands(b.min), thousands(b.max)
			if b.name == "memory" {
				least, most = size[least], size[strconv.Itoa(b.max)]
				if least != "" {
					form = "memory of %s to %s"
				}
			}
			if form == "" {
				continue // stands for the memory
			}
			seen++
			if want := fmt.Sprintf(form, least, most); !strings.Contains(row, strings.Split(want, "%!")[0]) {
				t.Errorf("%.12s: %q lacks %q", rest, row, want)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d bounds", seen)
	}
	if maxWork != 8<<20 || !strings.Contains(rows["$argon2id$"], "memory times passes at most 8 GiB") {
		t.Error("argon2's memory times passes")
	}
}

// thousands writes a number as people do, from 10,000 on.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; len(text) > 4 && i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// TestFieldsDocumented: the fields of docs/users.md are those that are taken.
func TestFieldsDocumented(t *testing.T) {
	rows := rowsOf(t, usersPage(t), "| field | meaning |\n|---|---|\n")
	_, err := (&fileUser{}).fields([]string{"none"})
	_, listed, _ := strings.Cut(err.Error(), "there are ")
	same(t, "fields", keys(rows), slices.Sorted(slices.Values(strings.Split(listed, ", "))))
	for field := range rows {
		hash := hashSHA
		if field == "plaintext" {
			hash = "{PLAIN}x"
		}
		if _, err := parseUsers("users", []byte("bob:"+hash+":"+field)); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func keys[V any](m map[string]V) []string {
	var list []string
	for key := range m {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

func same(t *testing.T, what string, documented, code []string) {
	t.Helper()
	if !slices.Equal(documented, code) {
		t.Errorf("%s: docs/users.md has %q, the code %q", what, documented, code)
	}
}
