import com.sun.mail.imap.AppendUID;
import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPMessage;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.YoungerTerm;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Date;
import java.util.Properties;
import javax.mail.FetchProfile;
import javax.mail.Flags;
import javax.mail.Folder;
import javax.mail.Message;
import javax.mail.Multipart;
import javax.mail.Session;
import javax.mail.UIDFolder;
import javax.mail.internet.MimeMessage;
import javax.mail.search.AndTerm;
import javax.mail.search.BodyTerm;
import javax.mail.search.FlagTerm;
import javax.mail.search.FromStringTerm;
import javax.mail.search.HeaderTerm;
import javax.mail.search.NotTerm;
import javax.mail.search.OrTerm;
import javax.mail.search.ReceivedDateTerm;
import javax.mail.search.SearchTerm;
import javax.mail.search.SizeTerm;
import javax.mail.search.SubjectTerm;

/** Messages: APPEND, FETCH in parts and whole, SEARCH, flags, COPY, MOVE, EXPUNGE. */
final class MessageChecks extends Checks {
    /** Bytes of the large message to append. */
    private static final int LARGE = 10_000_000;

    MessageChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() throws Exception {
        if (!at.mode.equals("tls")) {
            check("FETCH of 20 MB in parts of 16384 bytes", () -> big("fetchsize", "16384"));
        } else {
            check("FETCH of 20 MB in parts of 1 MB", () -> big("fetchsize", "1048576"));
        }
        if (at.mode.equals("plain")) {
            check("FETCH of 20 MB as one literal", () -> big("partialfetch", "false"));
        }
        try (IMAPStore store = at.connect()) {
            IMAPFolder work = create(store, "work");
            large(store);
            check("APPEND of ten messages", () -> {
                work.appendMessages(messages(10, "kind"));
                return work.getMessageCount();
            });
            check("APPEND with flags and date", () -> dated(work));
            check("fetch profile", () -> profile(work));
            check("parts of a message", () -> parts(work));
            check("a header's fields", () -> Arrays.toString(work.getMessage(1).getHeader("X-Kind"))
                + work.getMessage(2).getReceivedDate().after(new Date(0)) + work.getMessage(2).getSize());
            search(work);
            check("flags", () -> flags(work));
            check("a command line of 10,000 bytes", () -> longLine(work));
            moves(store, work);
            work.close(true);
            check("leaving with EXPUNGE", () -> store.getFolder("work").getMessageCount());
            store.getFolder("work").delete(true);
        }
    }

    private String big(Object... settings) throws Exception {
        Object[] all = Arrays.copyOf(settings, settings.length + 2);
        all[settings.length] = "peek";
        all[settings.length + 1] = "true";
        try (IMAPStore store = at.connect(all); IMAPFolder f = (IMAPFolder) store.getFolder("big")) {
            f.open(Folder.READ_ONLY);
            Digest digest = new Digest();
            f.getMessage(1).writeTo(digest);
            return digest.toString();
        }
    }

    /** A message whose text looks like IMAP here and there. */
    static MimeMessage message(int size, String subject) throws Exception {
        StringBuilder b = new StringBuilder(size + 200);
        b.append("From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: ").append(subject)
            .append("\r\nX-Kind: test\r\nDate: Mon, 1 Jan 2024 12:00:00 +0000\r\n\r\n");
        for (int i = 0; b.length() < size; i++) {
            b.append("line ").append(i).append(" a1 LOGOUT {5+}\r\n* BYE\r\n+ go\r\n");
        }
        return parse(b.toString());
    }

    private static MimeMessage parse(String text) throws Exception {
        return new MimeMessage(Session.getInstance(new Properties()),
            new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1)));
    }

    static Message[] messages(int n, String subject) throws Exception {
        Message[] all = new Message[n];
        for (int i = 0; i < n; i++) {
            all[i] = message(300 + 100 * i, subject + " " + i);
        }
        return all;
    }

    /** A message that leaves little of the quota, and one that is too large for the rest. */
    private void large(IMAPStore store) throws Exception {
        IMAPFolder f = create(store, "large");
        check("APPEND of 10 MB", () -> append(f));
        check("APPEND over the quota", () -> {
            for (int i = 0; i < 6; i++) { // Dovecot lets the last one go over
                f.appendMessages(new Message[] {message(1_000_000, "too much")});
            }
            return "stored";
        });
        check("APPEND after that", () -> count(f));
        f.close(false);
        f.delete(true);
    }

    private static String append(IMAPFolder f) throws Exception {
        MimeMessage m = message(LARGE, "large");
        Digest sent = new Digest();
        m.writeTo(sent);
        f.appendMessages(new Message[] {m});
        Digest stored = new Digest();
        f.getMessage(f.getMessageCount()).writeTo(stored);
        String one = sent.toString();
        String two = stored.toString();
        return one.equals(two) ? one : "sent " + one + ", stored " + two;
    }

    private static String dated(IMAPFolder f) throws Exception {
        MimeMessage m = parse("Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
            + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n"
            + "one\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
            + "Content-Disposition: attachment; filename=two.bin\r\n\r\nAAECAwQ=\r\n--b--\r\n");
        m.setFlag(Flags.Flag.FLAGGED, true);
        m.setFlags(new Flags("custom"), true);
        AppendUID[] uids = f.appendUIDMessages(new Message[] {m});
        Message last = f.getMessageByUID(uids[0].uid);
        return (uids[0].uidvalidity == f.getUIDValidity()) + " " + uids[0].uid + " " + last.getFlags() + " "
            + last.getSubject();
    }

    private static String profile(IMAPFolder f) throws Exception {
        FetchProfile p = new FetchProfile();
        p.add(FetchProfile.Item.ENVELOPE);
        p.add(FetchProfile.Item.FLAGS);
        p.add(FetchProfile.Item.CONTENT_INFO);
        p.add(FetchProfile.Item.SIZE);
        p.add(UIDFolder.FetchProfileItem.UID);
        p.add("X-Kind");
        Message[] all = f.getMessages();
        f.fetch(all, p);
        StringBuilder text = new StringBuilder();
        for (Message m : all) {
            text.append(f.getUID(m)).append(m.getSubject()).append(m.getSize()).append(m.getContentType())
                .append(m.getFrom() == null ? "" : m.getFrom()[0]).append(' ');
        }
        return text.toString();
    }

    private static String parts(IMAPFolder f) throws Exception {
        Multipart all = (Multipart) f.getMessage(f.getMessageCount()).getContent();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < all.getCount(); i++) {
            try (InputStream in = all.getBodyPart(i).getInputStream()) {
                text.append(all.getBodyPart(i).getFileName()).append(Arrays.toString(in.readAllBytes()));
            }
        }
        return text.toString();
    }

    private void search(IMAPFolder f) {
        Date early = new Date(86_400_000L * 365 * 30);
        SearchTerm subject = new SubjectTerm("kind 3");
        search(f, "SEARCH for a subject", subject);
        search(f, "SEARCH in a charset", new SubjectTerm("gr\u00fc\u00dfe"));
        search(f, "SEARCH with OR, NOT and AND", new OrTerm(subject, new AndTerm(new NotTerm(
            new FromStringTerm("ann")), new SizeTerm(javax.mail.search.ComparisonTerm.GT, 10))));
        search(f, "SEARCH in the text", new AndTerm(new BodyTerm("a1 LOGOUT {5+}"), new HeaderTerm("X-Kind", "test")));
        search(f, "SEARCH by flag and date", new AndTerm(new FlagTerm(new Flags(Flags.Flag.FLAGGED), true),
            new ReceivedDateTerm(javax.mail.search.ComparisonTerm.GT, early)));
        search(f, "SEARCH with WITHIN", new YoungerTerm(86_400));
    }

    private void search(IMAPFolder f, String name, SearchTerm term) {
        check(name, () -> {
            StringBuilder text = new StringBuilder();
            for (Message m : f.search(term)) {
                text.append(m.getMessageNumber()).append(' ');
            }
            return text;
        });
    }

    private static String flags(IMAPFolder f) throws Exception {
        Message[] some = {f.getMessage(1), f.getMessage(3), f.getMessage(4)};
        f.setFlags(some, new Flags(Flags.Flag.ANSWERED), true);
        f.setFlags(some, new Flags("mine"), true);
        f.getMessage(3).setFlag(Flags.Flag.ANSWERED, false);
        StringBuilder text = new StringBuilder(f.getPermanentFlags().toString());
        for (Message m : some) {
            ((IMAPMessage) m).invalidateHeaders();
            text.append(" / ").append(m.getFlags());
        }
        return text + " unread " + f.getUnreadMessageCount() + " new " + f.getNewMessageCount();
    }

    private static int longLine(IMAPFolder f) throws Exception {
        long[] uids = new long[2000];
        for (int i = 0; i < uids.length; i++) {
            uids[i] = 1 + 2L * i;
        }
        int found = 0;
        for (Message m : f.getMessagesByUID(uids)) {
            found += m == null ? 0 : 1;
        }
        return found;
    }

    /** What a NOOP says; JavaMail itself asks at most once a second. */
    private static int count(IMAPFolder f) throws Exception {
        f.doCommand(p -> {
            p.noop();
            return null;
        });
        return f.getMessageCount();
    }

    private void moves(IMAPStore store, IMAPFolder from) throws Exception {
        IMAPFolder to = create(store, "to");
        check("COPY", () -> {
            from.copyMessages(from.getMessages(1, 3), to);
            return count(to);
        });
        check("COPY with UIDs", () -> from.copyUIDMessages(from.getMessages(4, 5), to)[1].uid + " " + count(to));
        check("MOVE", () -> {
            from.moveMessages(from.getMessages(1, 2), to);
            return from.getMessageCount() + " " + from.getMessage(1).isExpunged() + " " + count(to);
        });
        check("MOVE with UIDs", () -> from.moveUIDMessages(from.getMessages(5, 6), to)[0].uid + " " + count(to));
        check("EXPUNGE", () -> {
            from.setFlags(new int[] {8, 10}, new Flags(Flags.Flag.DELETED), true);
            return from.getDeletedMessageCount() + " " + from.expunge().length + " " + from.getMessageCount();
        });
        check("EXPUNGE by UID", () -> {
            to.setFlags(1, 4, new Flags(Flags.Flag.DELETED), true);
            return to.expunge(to.getMessages(1, 2)).length + " " + to.getMessageCount();
        });
        from.setFlags(new int[] {1}, new Flags(Flags.Flag.DELETED), true);
        to.close(false);
        check("leaving without EXPUNGE", () -> to.getMessageCount() + " " + to.delete(true));
    }
}
