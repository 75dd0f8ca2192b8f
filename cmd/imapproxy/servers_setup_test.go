package main

// serverKind is what is particular to a mail server.
type serverKind struct {
	name     string
	program  string // in the folder where it is unpacked
	keyOwner int    // of its certificate and key, which others can't read
	setup    string // see mailServer.setup

	namespace     string   // before the names of the user's own mailboxes
	wrongPassword string   // how the proxy's client reads that it is wrong
	more          []string // for serverDialogue: of extensions
	lateIdle      bool     // it reports a new message only when IDLE ends
	logsID        string   // what its log has of the proxy's ID
	logsTLS       string   // what its log has of a session with TLS; %s is the user
	lateID        bool     // it refuses ID before the login, though it offers it
}

// serverKinds begins with the one that waits the longest.
var serverKinds = []serverKind{courier, cyrus, mailutils}

// cyrus has one process each session, so that one that stays is seen, and makes a
// user's mailbox at the first login, in a folder that has the mailbox's name.
var cyrus = serverKind{
	name: "Cyrus", program: "usr/lib/cyrus/bin/imapd", keyOwner: mailUID,
	wrongPassword: "a NO Login refused by the mail server",
	logsID:        `"x-originating-ip" "127.0.0.1"`,
	logsTLS:       ` %s PLAIN\+TLS User logged in`,
	more:          []string{`50 LIST "" "*" RETURN (SUBSCRIBED CHILDREN)`},
	setup: `
cat >/etc/imapd.conf <<END
configdirectory: @DIR@/config
partition-default: @DIR@/spool
servername: localhost
admins: cyrus
cyrus_user: nobody
cyrus_group: nogroup
unixhierarchysep: yes
altnamespace: yes
autocreate_quota: 0
delete_mode: immediate
expunge_mode: immediate
mailbox_legacy_dirs: yes
allowplaintext: yes
failedloginpause: 0s
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @DIR@/sasldb
tls_server_cert: @DIR@/cert.pem
tls_server_key: @DIR@/key.pem
END
cat >/etc/cyrus.conf <<END
START {
  recover cmd="ctl_cyrusdb -r"
  idled cmd="idled"
}
SERVICES {
  imap cmd="imapd -U 1" listen="127.0.0.1:@PORT@" prefork=0 maxchild=200
  imaps cmd="imapd -s -U 1" listen="127.0.0.1:@TLSPORT@" prefork=0 maxchild=200
}
EVENTS {
  checkpoint cmd="ctl_cyrusdb -c" period=1440
}
END
for user in @USERS@; do
	printf 'secret of %s' "$user" | saslpasswd2 -p -c -f @DIR@/sasldb -u localhost "$user"
done
mkdir -p @DIR@/config/db @DIR@/config/proc @DIR@/config/socket @DIR@/spool/stage.
chown -R nobody:nogroup @DIR@/config @DIR@/spool @DIR@/sasldb
cyrmaster -p /run/cyrmaster.pid &
`}

// courier looks every second for what IDLE has to tell.
var courier = serverKind{
	name: "Courier", program: "usr/bin/imapd",
	namespace: "INBOX.", wrongPassword: "a NO Login refused by the mail server",
	logsTLS: `LOGOUT, user=%s, .* starttls=1`,
	setup: `
echo 'courier:x:65534:65534::/var/lib/courier:/bin/sh' >>/etc/passwd
echo 'courier:x:65534:' >>/etc/group
cat @DIR@/key.pem @DIR@/cert.pem >/etc/courier/imapd.pem
chown courier /etc/courier/imapd.pem
mkdir -p /run/courier/authdaemon @DIR@/mail
for user in @USERS@; do
	home=@DIR@/mail/$user
	mkdir "$home"
	maildirmake.courier "$home/Maildir"
	hash=$(printf 'secret of %s' "$user" | openssl dgst -sha256 -binary | base64)
	printf '%s\tuid=65534|gid=65534|home=%s|mail=%s|imappw={SHA256}%s\n' "$user" "$home" "$home/Maildir" "$hash"
done >/etc/courier/userdb
chown -R courier:courier @DIR@/mail
chmod 600 /etc/courier/userdb
makeuserdb
sed -i 's/^authmodulelist=.*/authmodulelist="authuserdb"/' /etc/courier/authdaemonrc
/usr/lib/courier/courier-authlib/authdaemond &
set -a
. /etc/courier/imapd
. /etc/courier/imapd-ssl
IMAP_STARTTLS=YES TLS_CACHEFILE= IMAP_IDLE_TIMEOUT=1
limits='-maxprocs=200 -maxperip=200'
login='/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir'
couriertcpd -address=127.0.0.1 $limits $TCPDOPTS @PORT@ $login &
IMAP_TLS=1 couriertcpd -address=127.0.0.1 $limits $TCPDOPTS @TLSPORT@ \
	/usr/bin/couriertls -server -tcpd -user=courier $login &
`}

// mailutils has the system's users, each of whom owns a Maildir.
var mailutils = serverKind{
	name: "Mailutils", program: "usr/sbin/imap4d", lateIdle: true,
	logsID: "x-originating-ip=127.0.0.1", lateID: true,
	wrongPassword: "a NO Login refused by the mail server",
	setup: `
id=60000
for user in @USERS@; do
	id=$((id + 1))
	home=@DIR@/mail/$user
	echo "$user:x:$id:$id::$home:/bin/sh" >>/etc/passwd
	echo "$user:x:$id:" >>/etc/group
	echo "$user:$(openssl passwd -6 "secret of $user"):19000:0:99999:7:::" >>/etc/shadow
	mkdir -p "$home/INBOX/cur" "$home/INBOX/new" "$home/INBOX/tmp"
	chown -R "$id:$id" "$home"
done
chmod 600 @DIR@/key.pem
cat >/etc/mailutils.conf <<END
auth {
  authentication clear;
  authentication generic:system;
  authorization clear;
  authorization system;
};
mailbox { mailbox-type maildir; mailbox-pattern "maildir:@DIR@/mail/\${user}/INBOX"; };
logging { syslog no; };
program imap4d {
  mode daemon;
  foreground yes;
  max-children 200;
  timeout 1800;
  tcp-wrappers { enable no; };
  tls { ssl-certificate-file @DIR@/cert.pem; ssl-key-file @DIR@/key.pem; };
  server 127.0.0.1:@PORT@ { tls-mode ondemand; };
  server 127.0.0.1:@TLSPORT@ { tls-mode connection; };
};
END
imap4d &
`}
