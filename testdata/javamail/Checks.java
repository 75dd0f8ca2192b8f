import java.security.MessageDigest;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import javax.mail.Folder;
import javax.mail.Store;
import com.sun.mail.imap.IMAPFolder;

/** What all groups of checks use. Each check is one line of output: its name and a result that is the same each time. */
abstract class Checks {
    /** How long to wait for what always comes, in milliseconds. */
    static final long PATIENCE = 120_000;

    final Endpoint at;

    Checks(Endpoint at) {
        this.at = at;
    }

    abstract void run() throws Exception;

    interface Body {
        Object run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    void check(String name, Body body) {
        String result;
        try {
            result = String.valueOf(body.run());
        } catch (Throwable e) {
            result = failure(e);
        }
        JavaMailClient.say(at.name, name, steady(result));
    }

    /** An error as one word and its text. */
    static String failure(Throwable e) {
        return e.getClass().getSimpleName() + ": " + e.getMessage();
    }

    private static final Pattern TIMES = Pattern.compile(" ?\\([0-9.]+ \\+ [0-9.]+ (\\+ [0-9.]+ )?secs\\)\\.?");

    /** Without what differs between two endpoints that do the same. */
    private String steady(String text) {
        return TIMES.matcher(text).replaceAll("").replaceAll("\\b" + at.user + "\\b", "USER")
            .replaceAll("\\b[A-Z]+\\d+ (OK|NO|BAD) ", "$1 ")
            .replaceAll("[\r\n\t]+", " ").trim();
    }

    static void await(String what, Condition condition) throws Exception {
        long limit = System.currentTimeMillis() + PATIENCE;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > limit) {
                throw new IllegalStateException("not within " + PATIENCE + " ms: " + what);
            }
            Thread.sleep(10);
        }
    }

    /** Runs what may block in a thread of its own. */
    static final class Background {
        private final Thread thread;
        private volatile String result;

        Background(Callable<String> body) {
            thread = new Thread(() -> {
                try {
                    result = body.call();
                } catch (Throwable e) {
                    result = failure(e);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        String result() throws Exception {
            thread.join(PATIENCE);
            return thread.isAlive() ? "still running" : result;
        }
    }

    static IMAPFolder open(Store store, String name) throws Exception {
        IMAPFolder folder = (IMAPFolder) store.getFolder(name);
        folder.open(Folder.READ_WRITE);
        return folder;
    }

    /** A new mailbox, open. */
    static IMAPFolder create(Store store, String name) throws Exception {
        store.getFolder(name).create(Folder.HOLDS_MESSAGES);
        return open(store, name);
    }

    static final class Digest extends java.io.OutputStream {
        private final MessageDigest sha;
        private long length;

        Digest() throws Exception {
            sha = MessageDigest.getInstance("SHA-256");
        }

        @Override
        public void write(int b) {
            sha.update((byte) b);
            length++;
        }

        @Override
        public void write(byte[] b, int from, int n) {
            sha.update(b, from, n);
            length += n;
        }

        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            for (byte b : sha.digest()) {
                text.append(String.format("%02x", b));
            }
            return text + " of " + length + " bytes";
        }
    }
}
