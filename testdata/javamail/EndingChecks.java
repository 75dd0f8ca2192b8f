import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.IdleManager;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.mail.Session;
import javax.mail.Store;

/** How connections end: by LOGOUT, by the server's BYE, and without a word. */
final class EndingChecks extends Checks {
    EndingChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() throws Exception {
        check("LOGOUT", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            IMAPStore store = at.connect(at.traced(trace));
            IMAPFolder f = open(store, "INBOX");
            store.close();
            return store.isConnected() + " " + f.isOpen() + ", of " + trace.count("^\\w+ LOGOUT$") + " LOGOUT: "
                + trace.count("^\\* BYE ") + " BYE, " + trace.count("^\\w+ OK Logout completed") + " OK";
        });
        check("the server ends a session", () -> {
            try (IMAPStore store = at.connect()) {
                IMAPFolder f = open(store, "INBOX");
                JavaMailClient.ask("kick " + at.name);
                return noticed(store, f) + again(store);
            }
        });
        StringBuilder servers = new StringBuilder();
        check("the server ends IDLE", () -> inIdle("kick", servers));
        check("text of the server's BYE", () -> servers);
        StringBuilder text = new StringBuilder();
        check("the operator ends a session", () -> {
            try (IMAPStore store = at.connect()) {
                IMAPFolder f = open(store, "INBOX");
                JavaMailClient.ask("operator " + at.name);
                return noticed(store, f) + again(store);
            }
        });
        check("the operator ends IDLE", () -> inIdle("operator", text));
        check("text of the operator's BYE", () -> text);
        check("the server ends what IdleManager watches", () -> watched());
        check("closed without LOGOUT", () -> {
            IMAPStore store = at.connect();
            IMAPFolder f = open(store, "INBOX");
            f.doCommand(p -> {
                p.disconnect();
                return null;
            });
            return noticed(store, f);
        });
    }

    /** What the program notices by its next command: which error, and what is still open. */
    private static String noticed(Store store, IMAPFolder f) {
        String error;
        try {
            f.doCommand(p -> {
                p.noop();
                return null;
            });
            error = "none";
        } catch (Exception e) {
            error = e.getClass().getSimpleName();
        }
        return error + ", folder open " + f.isOpen() + ", store connected " + store.isConnected();
    }

    /** The same store logs in again. */
    private String again(IMAPStore store) throws Exception {
        if (store.isConnected()) {
            store.close();
        }
        at.connect(store);
        return ", again " + store.isConnected() + " " + open(store, "INBOX").getMessage(1).getSubject();
    }

    private static Background idle(IMAPFolder f) {
        return new Background(() -> {
            f.idle(true);
            return "left";
        });
    }

    private String inIdle(String by, StringBuilder text) throws Exception {
        Endpoint.Trace trace = new Endpoint.Trace();
        try (IMAPStore store = at.connect(at.traced(trace))) {
            IMAPFolder f = open(store, "INBOX");
            Background idle = idle(f);
            trace.await("^\\+ idling", 1);
            JavaMailClient.ask(by + " " + at.name);
            String[] result = idle.result().split(": ", 2);
            text.append(result[1]);
            return result[0] + ", folder open " + f.isOpen() + again(store);
        }
    }

    private String watched() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        IdleManager manager = new IdleManager(Session.getInstance(at.properties()), threads);
        Endpoint.Trace trace = new Endpoint.Trace();
        try (IMAPStore store = at.connect(at.traced(trace, "usesocketchannels", "true"))) {
            IMAPFolder f = open(store, "INBOX");
            String refused = "";
            try {
                manager.watch(f);
                trace.await("^\\+ idling", 1);
            } catch (javax.mail.MessagingException e) {
                refused = failure(e) + ", ";
            }
            JavaMailClient.ask("kick " + at.name);
            if (refused.isEmpty()) {
                await("the folder closed", () -> !f.isOpen());
            } else {
                refused += noticed(store, f) + ", ";
            }
            return refused + "folder open " + f.isOpen();
        } finally {
            manager.stop();
            threads.shutdown();
        }
    }
}
