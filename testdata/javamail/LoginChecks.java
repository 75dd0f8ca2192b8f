import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.protocol.IMAPProtocol;
import com.sun.mail.util.MailLogger;
import java.util.Map;
import java.util.TreeSet;

/** Who may log in, by which mechanism, and what is said to those who may not. */
final class LoginChecks extends Checks {
    LoginChecks(Endpoint at) {
        super(at);
    }

    @Override
    void run() {
        check("connect", () -> {
            try (IMAPStore store = at.connect()) {
                return store.isConnected() + ", TLS " + store.isSSL();
            }
        });
        capabilities();
        mechanisms();
        refusals();
        tls();
    }

    private void capabilities() {
        check("capabilities in the greeting", () -> names(before(false)));
        if (at.mode.equals("starttls")) {
            check("capabilities after STARTTLS", () -> names(before(true)));
        }
        check("capabilities after the login", () -> {
            try (IMAPStore store = at.connect()) {
                return names(((IMAPFolder) store.getFolder("INBOX")).doCommand(p -> {
                    p.capability();
                    return p.getCapabilities();
                }));
            }
        });
        check("capabilities with the login's OK", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace))) {
                return names(((IMAPFolder) store.getFolder("INBOX")).doCommand(IMAPProtocol::getCapabilities))
                    + (trace.text().matches("(?s).* command result: .*\n\\w+ CAPABILITY\r?\n.*") ? " asked" : "");
            }
        });
    }

    private Map<String, String> before(boolean startTLS) throws Exception {
        IMAPProtocol p = new IMAPProtocol(at.protocol(), "localhost", at.port, at.properties(),
            at.mode.equals("tls"), new MailLogger(getClass(), "", false, System.err));
        try {
            if (startTLS) {
                p.startTLS();
                p.capability();
            }
            return p.getCapabilities();
        } finally {
            p.logout();
        }
    }

    private static Object names(Object capabilities) {
        return String.join(" ", new TreeSet<>(((Map<?, ?>) capabilities).keySet().stream()
            .map(Object::toString).toList()));
    }

    private void mechanisms() {
        check("AUTHENTICATE PLAIN", () -> by("auth.mechanisms", "PLAIN"));
        check("AUTHENTICATE LOGIN", () -> by("auth.mechanisms", "LOGIN"));
        check("LOGIN", () -> by("auth.plain.disable", "true", "auth.login.disable", "true"));
        check("PLAIN by SASL", () -> by("sasl.enable", "true", "sasl.mechanisms", "PLAIN"));
        check("a mechanism that is not offered", () -> by("auth.mechanisms", "XOAUTH2"));
        check("the identity of another user", () -> by("sasl.enable", "true", "sasl.mechanisms", "PLAIN",
            "sasl.authorizationid", "somebody"));
        check("proxyauth.user", () -> by("proxyauth.user", "somebody", "auth.mechanisms", "LOGIN"));
        Endpoint odd = at.as(at.user + "odd", "\"q\\u o\u00e4\u20ac");
        check("odd password by PLAIN", () -> login(odd, odd.password, "auth.mechanisms", "PLAIN"));
        check("odd password by LOGIN", () -> login(odd, odd.password, "auth.mechanisms", "LOGIN"));
        Endpoint quoted = at.as(at.user + "quoted", "a \"b\" \\ %{5}");
        check("quotes by the command LOGIN", () -> login(quoted, quoted.password, "auth.plain.disable", "true",
            "auth.login.disable", "true"));
    }

    /** The ways that JavaMail took, and the result. */
    private String by(Object... settings) throws Exception {
        Endpoint.Trace trace = new Endpoint.Trace();
        String result;
        try (IMAPStore store = at.connect(at.traced(trace, settings))) {
            result = "connected " + store.isConnected();
        } catch (Exception e) {
            result = e.getClass().getSimpleName();
        }
        StringBuilder ways = new StringBuilder();
        for (String way : new String[] {"AUTHENTICATE PLAIN command result", "AUTHENTICATE LOGIN command result",
            "AUTHENTICATE XOAUTH2 command result", "LOGIN command result", "SASL client PLAIN"}) {
            if (trace.count("DEBUG IMAPS?: " + way) > 0) {
                ways.append(way.replace(" command result", "")).append(", ");
            }
        }
        return ways + result;
    }

    private String login(Endpoint as, String password, Object... settings) throws Exception {
        try (IMAPStore store = as.store(settings)) {
            store.connect("localhost", as.port, as.user, password);
            return "connected " + store.isConnected();
        }
    }

    private void refusals() {
        StringBuilder text = new StringBuilder();
        check("a wrong password twice, then the right one", () -> {
            try (IMAPStore store = at.store()) {
                return at.refused(store, "wrong", text) + ", " + at.refused(store, "not the one", text) + ", "
                    + at.connect(store).isConnected();
            }
        });
        check("text of a wrong password", () -> text);
        refusal("no such user", at.as("nobody-" + at.name, "x"));
        refusal("an empty password", at.as(at.user, ""));
        refusal("a closed account", at.as(at.user + "closed", "secret"));
        check("a wrong password by the command LOGIN", () -> {
            try (IMAPStore store = at.store("auth.plain.disable", "true", "auth.login.disable", "true")) {
                return at.refused(store, "wrong", new StringBuilder());
            }
        });
    }

    private void refusal(String what, Endpoint as) {
        StringBuilder text = new StringBuilder();
        check(what, () -> {
            try (IMAPStore store = as.store()) {
                return as.refused(store, as.password, text);
            }
        });
        check("text of " + what, () -> text);
    }

    private void tls() {
        check("STARTTLS that is required", () -> {
            Endpoint.Trace trace = new Endpoint.Trace();
            try (IMAPStore store = at.connect(at.traced(trace, "starttls.enable", "true", "starttls.required", "true"))) {
                return "STARTTLS " + trace.count("^\\w+ STARTTLS$") + ", TLS " + store.isSSL();
            }
        });
        if (at.mode.equals("plain")) {
            return;
        }
        check("the name in the certificate", () -> {
            try (IMAPStore store = at.connect("ssl.checkserveridentity", "true")) {
                return store.isConnected();
            }
        });
        check("a certificate of an unknown authority", () -> {
            try (IMAPStore store = at.connect("ssl.socketFactory", javax.net.ssl.SSLSocketFactory.getDefault())) {
                return store.isConnected();
            } catch (javax.mail.MessagingException e) {
                Throwable cause = e;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                return e.getClass().getSimpleName() + " for " + cause.getClass().getSimpleName();
            }
        });
    }
}
