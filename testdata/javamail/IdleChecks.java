import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.IdleManager;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.mail.Session;
import javax.mail.event.MessageCountAdapter;
import javax.mail.event.MessageCountEvent;

/** IDLE in its three shapes: of a folder, of a store, and of an IdleManager. */
final class IdleChecks extends Checks {
    IdleChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() throws Exception {
        check("IDLE sees a new message", () -> {
            try (IMAPStore store = at.connect(); IMAPStore other = at.connect(); IMAPFolder f = create(store, "idle")) {
                CountDownLatch arrived = arrivals(f, 1);
                Background idle = new Background(() -> {
                    f.idle(true);
                    return "left";
                });
                other.getFolder("idle").appendMessages(MessageChecks.messages(1, "new"));
                return arrived.await(PATIENCE, TimeUnit.MILLISECONDS) + " " + idle.result() + " " + f.getMessageCount();
            }
        });
        check("IDLE ends by another command", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace)); IMAPFolder f = open(store, "idle")) {
                Background idle = new Background(() -> {
                    f.idle(true);
                    return "left";
                });
                trace.await("^\\+ idling", 1);
                int n = f.getUnreadMessageCount();
                return n + " " + f.getMessage(1).getSubject() + " " + idle.result();
            }
        });
        check("IDLE again and again", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace)); IMAPFolder f = open(store, "idle")) {
                String left = "";
                for (int i = 1; i <= 10; i++) {
                    Background idle = new Background(() -> {
                        f.idle(true);
                        return "left";
                    });
                    trace.await("^\\+ idling", i);
                    f.getUnreadMessageCount();
                    left += idle.result() + " ";
                }
                return left + trace.count("^\\+ idling") + " times, open " + f.isOpen();
            }
        });
        check("IDLE of the store", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace))) {
                Background idle = new Background(() -> {
                    store.idle();
                    return "left";
                });
                trace.await("^\\+ idling", 1);
                return store.isConnected() + " " + idle.result();
            }
        });
        check("IdleManager over three mailboxes", () -> manager());
        try (IMAPStore store = at.connect()) {
            store.getFolder("idle").delete(true);
        }
    }

    private static CountDownLatch arrivals(IMAPFolder f, int n) {
        CountDownLatch arrived = new CountDownLatch(n);
        f.addMessageCountListener(new MessageCountAdapter() {
            @Override
            public void messagesAdded(MessageCountEvent e) {
                arrived.countDown();
            }
        });
        return arrived;
    }

    private String manager() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        IMAPStore store = at.connect("usesocketchannels", "true");
        IdleManager manager = null;
        try (store; IMAPStore other = at.connect()) {
            manager = new IdleManager(Session.getInstance(at.properties()), threads);
            IMAPFolder[] folders = new IMAPFolder[3];
            CountDownLatch[] arrived = new CountDownLatch[3];
            for (int i = 0; i < 3; i++) {
                folders[i] = create(store, "watched" + i);
                arrived[i] = arrivals(folders[i], 1);
            }
            String refused = "";
            for (IMAPFolder f : folders) {
                try {
                    manager.watch(f);
                } catch (javax.mail.MessagingException e) {
                    refused = failure(e) + " ";
                }
            }
            StringBuilder text = new StringBuilder(refused);
            for (int i = 0; i < 3; i++) {
                other.getFolder("watched" + i).appendMessages(MessageChecks.messages(1, "new"));
                if (!refused.isEmpty()) {
                    folders[i].getMessageCount(); // NOOP brings the message instead
                }
                text.append(arrived[i].await(PATIENCE, TimeUnit.MILLISECONDS)).append(folders[i].getMessageCount());
                folders[i].close(false);
                folders[i].delete(true);
            }
            return text.toString();
        } finally {
            if (manager != null) {
                manager.stop();
            }
            threads.shutdown();
        }
    }
}
