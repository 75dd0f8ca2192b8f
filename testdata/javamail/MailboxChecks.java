import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPStore;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import javax.mail.Folder;
import javax.mail.Quota;

/** Mailboxes: lists, names, quota, namespaces, and several at the same time. */
final class MailboxChecks extends Checks {
    MailboxChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() throws Exception {
        try (IMAPStore store = at.connect()) {
            check("list of mailboxes", () -> list(store.getDefaultFolder().list("*")));
            check("namespaces", () -> store.getPersonalNamespaces().length + " "
                + store.getUserNamespaces("somebody").length + " " + store.getSharedNamespaces().length);
            check("separator", () -> "" + store.getDefaultFolder().getSeparator());
            check("server's ID", () -> new TreeMap<>(store.id(Map.of("name", "javamail"))));
            check("quota", () -> quota(store));
            check("a mailbox's life", () -> life(store));
            check("names outside ASCII", () -> names(store));
            check("no such mailbox", () -> {
                open(store, "nowhere");
                return "open";
            });
            check("counts of a closed mailbox", () -> {
                Folder inbox = store.getFolder("INBOX");
                return inbox.getMessageCount() + " " + inbox.getUnreadMessageCount() + " "
                    + ((IMAPFolder) inbox).getUIDNext() + " " + inbox.isOpen();
            });
            check("access rights without ACL", () -> ((IMAPFolder) store.getFolder("INBOX")).myRights());
        }
        concurrently();
    }

    private static String list(Folder[] folders) throws Exception {
        String[] names = new String[folders.length];
        for (int i = 0; i < names.length; i++) {
            IMAPFolder f = (IMAPFolder) folders[i];
            names[i] = f.getFullName() + "/" + f.getType() + Arrays.toString(f.getAttributes());
        }
        Arrays.sort(names); // Dovecot lists in the file system's order
        return String.join(" ", names);
    }

    private static String quota(IMAPStore store) throws Exception {
        StringBuilder text = new StringBuilder();
        for (Quota q : store.getQuota("INBOX")) {
            text.append(q.quotaRoot);
            for (Quota.Resource r : q.resources) {
                text.append(' ').append(r.name).append(' ').append(r.usage).append(" of ").append(r.limit);
            }
        }
        return text.toString();
    }

    private static String life(IMAPStore store) throws Exception {
        Folder f = store.getFolder("life");
        boolean created = f.create(Folder.HOLDS_MESSAGES);
        boolean child = f.getFolder("child").create(Folder.HOLDS_MESSAGES);
        f.setSubscribed(true);
        String subscribed = list(store.getDefaultFolder().listSubscribed("*"));
        boolean renamed = f.renameTo(store.getFolder("afterlife"));
        Folder after = store.getFolder("afterlife");
        f.setSubscribed(false);
        return created + " " + child + " " + subscribed + " " + renamed + " " + f.exists() + " " + after.exists() + " "
            + after.delete(true) + " " + after.exists();
    }

    private static String names(IMAPStore store) throws Exception {
        StringBuilder text = new StringBuilder();
        for (String name : new String[] {"Entw\u00fcrfe & mehr", "\u65e5\u672c", "a \"quoted\" \\ {3}", "two  spaces"}) {
            Folder f = create(store, name);
            text.append(f.getMessageCount()).append(f.isOpen());
            f.close(false);
            text.append(f.isOpen()).append(f.delete(true)).append(' ');
        }
        return text.toString();
    }

    private void concurrently() {
        check("six mailboxes open in six threads", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace, "connectionpoolsize", "3", "separatestoreconnection",
                "true"))) {
                Background[] all = new Background[6];
                CountDownLatch opened = new CountDownLatch(all.length);
                for (int i = 0; i < all.length; i++) {
                    String name = "box" + i;
                    all[i] = new Background(() -> {
                        try (IMAPFolder f = create(store, name)) {
                            opened.countDown();
                            opened.await();
                            f.appendMessages(MessageChecks.messages(4, name));
                            int n = f.getMessageCount();
                            return n + f.getMessage(n).getSubject();
                        }
                    });
                }
                StringBuilder text = new StringBuilder();
                for (Background b : all) {
                    text.append(b.result()).append(' ');
                }
                return text + "over " + trace.connections() + " connections";
            }
        });
        check("a pool of JavaMail's own", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace, "connectionpoolsize", "4"))) {
                for (int i = 0; i < 6; i++) {
                    IMAPFolder f = open(store, "box" + i);
                    f.getMessageCount();
                    f.close(false);
                    store.getFolder("box" + i).delete(true);
                }
                return trace.connections() + " connections";
            }
        });
    }
}
