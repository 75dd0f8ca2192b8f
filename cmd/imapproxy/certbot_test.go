package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCertbotPage runs the commands and the hook of docs/certbot.md on folders as certbot makes
// them. A user of the group can then read the certificate and the key, and no other key.
func TestCertbotPage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can change the group of files; run the tests as root")
	}
	var once, hook string
	for _, block := range indentedBlocks(mustRead(t, "../../docs/certbot.md")) {
		switch {
		case strings.HasPrefix(block, "#!/bin/sh"):
			hook = block
		case strings.HasPrefix(block, "chgrp"):
			once = block
		}
	}
	for name, script := range map[string]string{"once": once, "hook": hook} {
		t.Run(name, func(t *testing.T) {
			folder, err := os.MkdirTemp("/tmp", "certbot")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			try(t, "chmod", os.Chmod(folder, 0o755))
			certbotFolders(t, folder, "imap.example.org", "other.example.org")
			mine := filepath.Join(folder, "live/imap.example.org")
			if reads(mine+"/privkey.pem") || reads(mine+"/fullchain.pem") {
				t.Fatal("it can be read before")
			}
			script = strings.ReplaceAll(script, "chgrp imapproxy", "chgrp nogroup")
			cmd := exec.Command("sh", "-ec", strings.ReplaceAll(script, "/etc/letsencrypt", folder))
			cmd.Env = append(os.Environ(), "RENEWED_LINEAGE="+mine)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !reads(mine+"/privkey.pem") || !reads(mine+"/fullchain.pem") {
				t.Error("it can't be read afterwards")
			}
			if reads(filepath.Join(folder, "live/other.example.org/privkey.pem")) {
				t.Error("the other key can be read")
			}
			if name == "hook" {
				cmd = exec.Command("sh", "-ec", script)
				cmd.Env = append(os.Environ(), "RENEWED_LINEAGE="+filepath.Join(folder, "live/other.example.org"))
				if out, err := cmd.CombinedOutput(); err != nil || reads(folder+"/live/other.example.org/privkey.pem") {
					t.Errorf("for a name that is not listed: %v\n%s", err, out)
				}
			}
		})
	}
}

// indentedBlocks returns the blocks of a page that are indented by four spaces, without the
// indent; blocks with a blank line between them are two.
func indentedBlocks(text string) []string {
	var blocks []string
	open := false
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && open:
			blocks[len(blocks)-1] += code
		case indented:
			blocks = append(blocks, code)
		}
		open = indented
	}
	return blocks
}

// certbotFolders makes live and archive with a certificate for each name.
func certbotFolders(t *testing.T, folder string, names ...string) {
	t.Helper()
	for _, part := range []string{"live", "archive"} {
		try(t, "mkdir", os.Mkdir(filepath.Join(folder, part), 0o700))
		for _, name := range names {
			try(t, "mkdir", os.Mkdir(filepath.Join(folder, part, name), 0o755))
		}
	}
	for _, name := range names {
		certificate := filepath.Join(folder, "archive", name, "fullchain1.pem")
		makeCertificate(t, certificate, filepath.Join(folder, "archive", name, "privkey1.pem"), farAway)
		try(t, "chmod", os.Chmod(certificate, 0o644))
		for _, file := range []string{"fullchain", "privkey"} {
			try(t, "symlink", os.Symlink("../../archive/"+name+"/"+file+"1.pem",
				filepath.Join(folder, "live", name, file+".pem")))
		}
	}
}

// reads reports whether a user without privileges, of the group nogroup, can read a file.
func reads(file string) bool {
	cmd := exec.Command("cat", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: mailUID, Gid: mailUID}}
	return cmd.Run() == nil
}
