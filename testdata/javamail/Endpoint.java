import com.sun.mail.imap.IMAPStore;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import java.util.regex.Pattern;
import javax.mail.Session;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** Where an IMAP server is, how it is reached, and as whom. */
final class Endpoint {
    final String name;
    final String mode; // plain, starttls or tls
    final int port; // on localhost
    final String user;
    final String password;
    private final SSLSocketFactory trusting;

    Endpoint(String name, String mode, int port, String ca, String user, String password) throws Exception {
        this.name = name;
        this.mode = mode;
        this.port = port;
        this.user = user;
        this.password = password;
        this.trusting = trusting(ca);
    }

    /** Another user of the same server. */
    private Endpoint(Endpoint e, String user, String password) {
        name = e.name;
        mode = e.mode;
        port = e.port;
        trusting = e.trusting;
        this.user = user;
        this.password = password;
    }

    Endpoint as(String user, String password) {
        return new Endpoint(this, user, password);
    }

    String protocol() {
        return mode.equals("tls") ? "imaps" : "imap";
    }

    /** The settings of a session; each of more is a name without "mail.imap." and its value. */
    Properties properties(Object... more) {
        Properties p = new Properties();
        String prefix = "mail." + protocol() + ".";
        p.put(prefix + "ssl.socketFactory", trusting);
        p.put(prefix + "timeout", "120000");
        p.put(prefix + "connectiontimeout", "120000");
        if (mode.equals("starttls")) {
            p.put(prefix + "starttls.enable", "true");
            p.put(prefix + "starttls.required", "true");
        }
        for (int i = 0; i < more.length; i += 2) {
            p.put(prefix + more[i], more[i + 1]);
        }
        return p;
    }

    /** A store that is not connected yet. */
    IMAPStore store(Object... more) throws Exception {
        return (IMAPStore) Session.getInstance(properties(more)).getStore(protocol());
    }

    /** The same, and what it says is traced. */
    IMAPStore traced(Trace trace, Object... more) throws Exception {
        Session session = Session.getInstance(properties(more));
        session.setDebugOut(trace.stream);
        session.setDebug(true);
        return (IMAPStore) session.getStore(protocol());
    }

    IMAPStore connect(Object... more) throws Exception {
        return connect(store(more));
    }

    IMAPStore connect(IMAPStore store) throws Exception {
        store.connect("localhost", port, user, password);
        return store;
    }

    /** Tries to log in; text gets what a user would read. */
    String refused(IMAPStore store, String password, StringBuilder text) {
        try {
            store.connect("localhost", port, user, password);
            return "connected";
        } catch (Exception e) {
            text.replace(0, text.length(), e.getMessage());
            return e.getClass().getSimpleName();
        }
    }

    private static SSLSocketFactory trusting(String ca) throws Exception {
        KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null, null);
        try (FileInputStream in = new FileInputStream(ca)) {
            keys.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(keys);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    /** What a session says of itself, commands and answers included. */
    static final class Trace {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        final PrintStream stream = new PrintStream(bytes, true);

        String text() {
            return new String(bytes.toByteArray(), StandardCharsets.ISO_8859_1);
        }

        /** How many lines have this somewhere, a regular expression. */
        int count(String what) {
            return (int) text().lines().filter(Pattern.compile(what).asPredicate()).count();
        }

        int connections() {
            return count("command result: \\w+ OK");
        }

        void await(String what, int times) throws Exception {
            Checks.await("\"" + what + "\" in the trace", () -> count(what) >= times);
        }
    }
}
