import com.sun.mail.iap.Response;
import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPMessage;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.MessageVanishedEvent;
import com.sun.mail.imap.ModifiedSinceTerm;
import com.sun.mail.imap.ResyncData;
import com.sun.mail.imap.SortTerm;
import java.util.Arrays;
import java.util.List;
import javax.mail.Flags;
import javax.mail.Folder;
import javax.mail.Message;
import javax.mail.event.MailEvent;
import javax.mail.event.MessageChangedEvent;

/** Extensions: CONDSTORE, QRESYNC, SORT, COMPRESS, and commands that JavaMail does not know. */
final class ExtensionChecks extends Checks {
    ExtensionChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() throws Exception {
        try (IMAPStore store = at.connect()) {
            IMAPFolder f = (IMAPFolder) store.getFolder("ext");
            f.create(Folder.HOLDS_MESSAGES);
            f.open(Folder.READ_WRITE);
            f.appendMessages(MessageChecks.messages(8, "ext"));
            f.close(false);
            check("CONDSTORE", () -> condstore(store));
            check("QRESYNC", () -> qresync(store));
            check("SORT", () -> {
                try (IMAPFolder sorted = open(store, "ext")) {
                    StringBuilder text = new StringBuilder();
                    for (Message m : sorted.getSortedMessages(new SortTerm[] {SortTerm.REVERSE, SortTerm.SIZE})) {
                        text.append(m.getMessageNumber()).append(' ');
                    }
                    return text;
                }
            });
            check("commands that JavaMail does not know", () -> {
                try (IMAPFolder other = open(store, "ext")) {
                    return raw(other, "THREAD REFERENCES UTF-8 ALL") + raw(other, "SEARCH RETURN (COUNT) ALL")
                        + raw(other, "XUNKNOWN");
                }
            });
            f.delete(true);
        }
        check("COMPRESS", () -> compress());
    }

    private static String condstore(IMAPStore store) throws Exception {
        IMAPFolder f = (IMAPFolder) store.getFolder("ext");
        f.open(Folder.READ_WRITE, ResyncData.CONDSTORE);
        long before = f.getHighestModSeq();
        f.getMessage(2).setFlag(Flags.Flag.FLAGGED, true);
        Message[] changed = f.search(new ModifiedSinceTerm(before + 1));
        long of = ((IMAPMessage) changed[0]).getModSeq();
        f.close(false);
        return (before > 0) + " " + changed.length + " " + changed[0].getMessageNumber() + " " + (of > before);
    }

    /** What changed while the mailbox was closed: two messages gone, one flag. */
    private static String qresync(IMAPStore store) throws Exception {
        IMAPFolder f = (IMAPFolder) store.getFolder("ext");
        f.open(Folder.READ_WRITE, ResyncData.CONDSTORE);
        long validity = f.getUIDValidity();
        long before = f.getHighestModSeq();
        f.close(false);
        f.open(Folder.READ_WRITE);
        f.getMessage(5).setFlags(new Flags("changed"), true);
        f.setFlags(new int[] {1, 3}, new Flags(Flags.Flag.DELETED), true);
        f.expunge();
        f.close(false);
        List<MailEvent> events = f.open(Folder.READ_WRITE, new ResyncData(validity, before));
        StringBuilder text = new StringBuilder();
        for (MailEvent e : events) {
            if (e instanceof MessageVanishedEvent) {
                text.append("vanished ").append(Arrays.toString(((MessageVanishedEvent) e).getUIDs()));
            } else if (e instanceof MessageChangedEvent) {
                text.append(" changed ").append(((MessageChangedEvent) e).getMessage().getMessageNumber());
            } else {
                text.append(' ').append(e.getClass().getSimpleName());
            }
        }
        text.append(" of ").append(f.getMessageCount());
        f.close(false);
        return text.toString();
    }

    private static String raw(IMAPFolder f, String command) throws Exception {
        Response[] all = (Response[]) f.doCommand(p -> p.command(command, null));
        StringBuilder text = new StringBuilder();
        for (Response r : all) {
            text.append(r.toString().replaceAll("\\(TAG \"[A-Z]+\\d+\"\\)", "")).append("; ");
        }
        return text.toString();
    }

    private String compress() throws Exception {
        Endpoint.Trace trace = new Endpoint.Trace();
        try (IMAPStore store = at.connect(at.traced(trace, "compress.enable", "true")); IMAPFolder f = open(store, "INBOX")) {
            int messages = f.getMessageCount();
            f.getMessage(1).getSubject();
            return (trace.count("COMPRESS DEFLATE") > 0 ? "compressed" : "not compressed") + ", " + messages + " messages";
        }
    }
}
