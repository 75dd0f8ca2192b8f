package auth

import (
	"strings"
	"testing"
)

// vectorPassword is what the hashes of vectors were made of, by Dovecot's
// doveadm pw, glibc's crypt(3) and Python's hashlib.
const vectorPassword = "pa%ss wörd"

var vectors = []struct{ name, text, kind string }{
	{"CRYPT", "{CRYPT}$2y$05$zSqJA/F0HSPSAm16qA6OHOFwTKs9GgArbgURYtgpVQPKMls2o6.a.", "bcrypt cost=5"},
	{"BLF-CRYPT", "{BLF-CRYPT}$2y$05$rKY024AXHDxovCIVZQ1Jf.Mecugfytl5a9x4Fk6fgRdnwa3tQk5fe", "bcrypt cost=5"},
	{"bcrypt", "$2y$05$rKY024AXHDxovCIVZQ1Jf.Mecugfytl5a9x4Fk6fgRdnwa3tQk5fe", "bcrypt cost=5"},
	{"SHA256-CRYPT", "{SHA256-CRYPT}$5$/xmxQFp2uyZHdspz$9u8K9oS8g9vHH2PQ9TGm0yD7qal6Tq0z2C842lrqtc9",
		"sha256-crypt rounds=5000"},
	{"SHA512-CRYPT", "{sha512-crypt}$6$dgbqNlRhWAE/9yjZ$" +
		"k8uyX56q/vLfcaGSjj57LvXQ8hbFr57nbHr1daZaFVSAsc3bNNQ.1W5Vkixgl2IBNK5OAHGYZVVWE4Nzta7Nw.",
		"sha512-crypt rounds=5000"},
	{"SHA512-CRYPT rounds", "$6$rounds=1000$saltsalt$" +
		"sVoJJLHBYa6l.H7.tzSfTdeUXWa7LOaUXwg2PLhb442/Zk263dC1RCGpksGYWT25u8aH/h51.Z0YwtVWChY/10",
		"sha512-crypt rounds=1000"},
	{"MD5-CRYPT", "{MD5-CRYPT}$1$HZy2zweV$o0UyrULYHKGL8xh8JqnQz1", "md5-crypt"},
	{"ARGON2ID", "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$/8S5jvi8IK1AsjNWl5/MXg$" +
		"sBZnO+asBUAk+ac9zFo+nu1mGaqD1N9mU0M/c8H2Cjw", "argon2id memory=65536 passes=3 lanes=1"},
	{"ARGON2I", "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$BWkaHu9bA8LGX6+fJczAVg$" +
		"rxy21nF0fWnXn0znypCoc2Wiu2cWqF+GPN3KG9VE5tM", "argon2i memory=32768 passes=4 lanes=1"},
	{"yescrypt", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$J1FZXFVBxHo6K3JwchOk9Z1e0vjatNKYdsqx.fZGRC.",
		"yescrypt log2(N)=12 block size=32 parallelism=1"},
	{"PBKDF2", "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$2oroAgJXC3OPPCEEzr8YisJB6KUe9AsGdcZsvGXEuXo",
		"pbkdf2-sha256 iterations=1000"},
	{"PBKDF2 prefix", "{PBKDF2-SHA256}1000$MDEyMzQ1Njc4OWFiY2RlZg$2oroAgJXC3OPPCEEzr8YisJB6KUe9AsGdcZsvGXEuXo",
		"pbkdf2-sha256 iterations=1000"},
	{"scrypt", "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hVCShEC0XA3dF3o2J/8PzGTgZH3gd/n4qb6EToIByes",
		"scrypt log2(N)=4 block size=8 parallelism=1"},
	{"SSHA", "{SSHA}P5Le7sLmkp3S0eHvHC49znJGaRvOirW9", "SSHA"},
	{"SSHA256", "{SSHA256}vl7qkvNl91TMQaC1W643sKNJUCWol05iA+HGdZ7MGSHT4HU/", "SSHA256"},
	{"SSHA512", "{SSHA512}JNCuShgPbpLqjma1aGI4qQ1+bJzv7YxVpH3dr54UUSDzoV8uCKBhVt33eGWKEhb3AHXHzwxQJGxXlWdmgsfNhQ2NnoI=",
		"SSHA512"},
}

func TestHashVectors(t *testing.T) {
	reader := mustReader(t)
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			h, err := reader.read(v.text, false)
			if err != nil {
				t.Fatal(err)
			}
			if h.kind != v.kind {
				t.Errorf("kind %q, want %q", h.kind, v.kind)
			}
			if ok, err := h.verify(vectorPassword); !ok || err != nil {
				t.Errorf("the right password: %v, %v", ok, err)
			}
			for _, wrong := range []Secret{vectorPassword + "x", "Pa%ss wörd", Secret(vectorPassword[1:])} {
				if ok, err := h.verify(wrong); ok || err != nil {
					t.Errorf("a wrong password: %v, %v", ok, err)
				}
			}
		})
	}
}

func TestHashPlain(t *testing.T) {
	reader := mustReader(t)
	h, err := reader.read("{PLAIN}"+vectorPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[Secret]bool{vectorPassword: true, vectorPassword + " ": false, "": false} {
		if ok, err := h.verify(password); ok != want || err != nil {
			t.Errorf("%d bytes: %v, %v; want %v", len(password), ok, err, want)
		}
	}
	if h.weak == "" {
		t.Error("{PLAIN} is not named weak")
	}
}

// What is refused says why in words, and never quotes: the canary stands at
// every place where a password could have been written by mistake.
func TestHashRefused(t *testing.T) {
	const bcryptRest = "$rKY024AXHDxovCIVZQ1Jf.Mecugfytl5a9x4Fk6fgRdnwa3tQk5fe"
	const argonRest = "$/8S5jvi8IK1AsjNWl5/MXg$sBZnO+asBUAk+ac9zFo+nu1mGaqD1N9mU0M/c8H2Cjw"
	const shaKey = "$sVoJJLHBYa6l.H7.tzSfTdeUXWa7LOaUXwg2PLhb442/Zk263dC1RCGpksGYWT25u8aH/h51.Z0YwtVWChY/10"
	reader := mustReader(t)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"a password", canary, "not a password hash"},
		{"DES", "{CRYPT}ab0123456789.", "different kinds"},
		{"plaintext without the word", "{PLAIN}" + canary, "word plaintext"},
		{"cleartext without the word", "{CLEARTEXT}" + canary, "word plaintext"},
		{"unknown scheme", "{" + canary + "}x", "unknown {SCHEME}"},
		{"unsalted", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "unknown {SCHEME}"},
		{"open brace", "{" + canary, "not a password hash"},
		{"password with dollars", "$" + canary + "$x$y", "damaged"},
		{"scheme of another kind", "{BLF-CRYPT}$6$salt" + shaKey, "different kinds"},
		{"Dovecot's PBKDF2", "{PBKDF2}$1$D5pD3cFTsYUQrmYn$5000$4dd0fa329d46bafb68fd89d1f11b68e70e3269c0", "damaged"},
		{"SSHA without salt", "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "damaged"},
		{"SSHA not base64", "{SSHA}" + canary, "damaged"},
		{"bcrypt short", "$2y$05$rKY024AXHDxovCIVZQ1Jf", "damaged"},
		{"bcrypt cost 17", "$2y$17" + bcryptRest, "cost is 17"},
		{"bcrypt cost 3", "$2y$03" + bcryptRest, "cost is 3"},
		{"bcrypt cost -1", "$2y$-1" + bcryptRest, "cost is -1"},
		{"argon2 memory", "$argon2id$v=19$m=1048577,t=1,p=1" + argonRest, "memory is 1048577"},
		{"argon2 memory given twice", "$argon2id$v=19$m=64,m=4294967295,t=1,p=1" + argonRest, "memory is 4294967295"},
		{"argon2 passes", "$argon2id$v=19$m=64,t=101,p=1" + argonRest, "passes is 101"},
		{"argon2 lanes", "$argon2id$v=19$m=640,t=1,p=65" + argonRest, "lanes is 65"},
		{"argon2 work", "$argon2id$v=19$m=1048576,t=9,p=1" + argonRest, "memory times passes is 9437184"},
		{"argon2 key of a byte", "$argon2id$v=19$m=64,t=1,p=1$/8S5jvi8IK1AsjNWl5/MXg$sA", "damaged"},
		{"argon2 no salt", "$argon2id$v=19$m=64,t=1,p=1$$sBZnO+asBUAk+ac9zFo+nu1mGaqD1N9mU0M/c8H2Cjw", "damaged"},
		{"SHA rounds", "$6$rounds=5000001$saltsalt" + shaKey, "rounds is 5000001"},
		{"SHA few rounds", "$6$rounds=999$saltsalt" + shaKey, "rounds is 999"},
		{"SHA long salt", "$6$saltsaltsaltsalts" + shaKey, "damaged"},
		{"SHA short key", "$6$saltsalt$sVoJJLHBYa6l", "damaged"},
		{"PBKDF2 iterations", "$pbkdf2-sha256$10000001$MDEyMzQ1Njc4OWFiY2RlZg$" +
			"2oroAgJXC3OPPCEEzr8YisJB6KUe9AsGdcZsvGXEuXo", "iterations is 10000001"},
		{"PBKDF2 no iterations", "$pbkdf2-sha256$0$MDEyMzQ1Njc4OWFiY2RlZg$2oroAgJXC3OPPCEEzr8YisJB6KUe9AsGdcZsvGXEuXo",
			"iterations is 0"},
		{"scrypt N", "$scrypt$ln=21,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hVCShEC0XA3dF3o2J/8PzGTgZH3gd/n4qb6EToIByes",
			"log2(N) is 21"},
		{"scrypt negative N",
			"$scrypt$ln=-1,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hVCShEC0XA3dF3o2J/8PzGTgZH3gd/n4qb6EToIByes",
			"log2(N) is -1"},
		{"scrypt memory", "$scrypt$ln=20,r=9,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hVCShEC0XA3dF3o2J/8PzGTgZH3gd/n4qb6EToIByes",
			"memory is 1179648"},
		{"yescrypt N", "$y$jLT$F5Jx5fExrKuPp53xLKQ..1$J1FZXFVBxHo6K3JwchOk9Z1e0vjatNKYdsqx.fZGRC.", "log2(N) is 24"},
		{"yescrypt bad digit", "$y$j{T$F5Jx5fExrKuPp53xLKQ..1$J1FZXFVBxHo6K3JwchOk9Z1e0vjatNKYdsqx.fZGRC.",
			"log2(N) is 0"},
	} {
		h, err := reader.read(c.text, false)
		switch {
		case err == nil:
			t.Errorf("%s: taken as %+v", c.name, h)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v; want %q in it", c.name, err, c.want)
		case strings.Contains(err.Error(), canary):
			t.Errorf("%s: quotes what may be a password: %v", c.name, err)
		case !strings.Contains(err.Error(), "passwd") && !strings.Contains(err.Error(), "mend the hash"):
			t.Errorf("%s: no remedy: %v", c.name, err)
		}
	}
	if _, err := reader.read("$2y$05"+bcryptRest, true); err == nil {
		t.Error("a hash with the word plaintext was taken")
	}
}

// A password longer than crypt(3) takes never costs its length times the rounds.
func TestHashLongPassword(t *testing.T) {
	h, err := mustReader(t).read("$6$rounds=5000000$saltsalt$"+
		"sVoJJLHBYa6l.H7.tzSfTdeUXWa7LOaUXwg2PLhb442/Zk263dC1RCGpksGYWT25u8aH/h51.Z0YwtVWChY/10", false)
	if err != nil {
		t.Fatal(err)
	}
	long := Secret(strings.Repeat("x", 513))
	allocations := testing.AllocsPerRun(1, func() {
		if ok, err := h.verify(long); ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations: the hash was computed", allocations)
	}
}

// What is made can be read and verified; with little cost, for the standard
// costs are checked below.
func TestHashPassword(t *testing.T) {
	reader := mustReader(t)
	for _, scheme := range append(Schemes(), "") {
		text, err := hashPassword(vectorPassword, scheme, hashCosts{argon2Memory: 64, argon2Passes: 1, bcrypt: 10,
			shaRounds: 1000})
		if err != nil {
			t.Fatalf("%q: %v", scheme, err)
		}
		h, err := reader.read(text, false)
		if err != nil {
			t.Fatalf("%q: its own hash is refused: %v", scheme, err)
		}
		if ok, err := h.verify(vectorPassword); !ok || err != nil {
			t.Errorf("%q: %v, %v", scheme, ok, err)
		}
	}
}

func TestHashPasswordCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of make quick: it takes seconds")
	}
	for scheme, begin := range map[string]string{
		"": "$argon2id$v=19$m=19456,t=2,p=1$", "bcrypt": "$2b$12$", "sha512-crypt": "$6$rounds=200000$",
	} {
		text, err := HashPassword(vectorPassword, scheme)
		if err != nil || !strings.HasPrefix(text, begin) {
			t.Errorf("%q: %s, %v; want %s...", scheme, text, err, begin)
		}
	}
}

func TestHashPasswordRefuses(t *testing.T) {
	long := Secret(strings.Repeat(canary, 50))
	for _, c := range []struct {
		secret       Secret
		scheme, want string
	}{
		{"", "bcrypt", "is empty"},
		{canary + "\n", "bcrypt", "control byte"},
		{canary, "md5", "unknown scheme"},
		{long[:73], "bcrypt", "at most 72"},
		{long[:513], "sha512-crypt", "at most 512"},
		{Secret(strings.Repeat(string(long), 10)), "", "longer than 4096"},
	} {
		text, err := HashPassword(c.secret, c.scheme)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %q, %v; want %q", c.scheme, text, err, c.want)
		}
	}
}

func mustReader(t testing.TB) *hashReader {
	t.Helper()
	r, err := newHashReader()
	if err != nil {
		t.Fatal(err)
	}
	return r
}
