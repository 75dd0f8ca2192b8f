import com.sun.net.httpserver.*;
import java.io.*;
import java.net.*;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.stream.*;

/**
 * An IMAP4rev1 server with faults to order: a thread per connection from a bounded pool, as Java mail servers are
 * built, and the ways in which they forget to close. README.md beside this file lists the modes and the control port.
 *
 * <p>{@code --fd-limit N} emulates a process at its descriptor limit: while N connections are held open, worker or
 * not, accept() is not called and new ones wait in the listen backlog until a descriptor is closed. The JVM's own
 * limit is not touched, so the control port goes on answering.
 */
public final class JavaBackend {
    private static final String USAGE = "usage: java JavaBackend.java [--port N] [--control N] [--mode M] [--workers N]"
            + " [--fd-limit N]\n  [--message-size BYTES] [--greeting-delay MS] [--password P]";
    private static final int BACKLOG = 1024;
    private final Map<String, String> options = new HashMap<>(Map.of("--port", "0", "--control", "0", "--mode", "good",
            "--workers", "500", "--fd-limit", "0", "--message-size", "4096", "--greeting-delay", "120000",
            "--password", ""));
    private final int fdLimit, messageSize, greetingDelay; // connections, bytes, milliseconds
    private final ServerSocketChannel listener = ServerSocketChannel.open();
    private final Selector selector = Selector.open();
    private final ThreadPoolExecutor workers;
    private final CountDownLatch exit = new CountDownLatch(1);
    // The monitor of this object guards what follows.
    private final Set<Session> held = new LinkedHashSet<>();
    private Map<String, Counters> counters = new TreeMap<>();
    private Mode mode;

    public static void main(String[] args) throws Exception {
        try {
            new JavaBackend(args).serve();
        } catch (IllegalArgumentException e) {
            System.err.println("JavaBackend: " + e.getMessage() + "\n" + USAGE);
            System.exit(2);
        } catch (BindException e) {
            System.err.println("JavaBackend: " + e.getMessage());
            System.exit(2);
        }
    }

    JavaBackend(String[] args) throws IOException {
        for (int i = 0; i < args.length; i += 2) {
            if (i + 1 == args.length || options.replace(args[i], args[i + 1]) == null) {
                throw new IllegalArgumentException(args[i] + ": no such option, or its value is missing");
            }
        }
        mode = Mode.of(options.get("--mode"));
        fdLimit = number("--fd-limit", 0, Integer.MAX_VALUE);
        messageSize = number("--message-size", 0, Integer.MAX_VALUE);
        greetingDelay = number("--greeting-delay", 0, Integer.MAX_VALUE);
        workers = (ThreadPoolExecutor) Executors.newFixedThreadPool(number("--workers", 1, 100_000),
                task -> daemon(task, "worker"));
        bind("--port", address -> listener.bind(address, BACKLOG));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
    }

    private interface Binder<T> { T bind(InetSocketAddress address) throws IOException; }
    /** Binds to the port of this option; an error names it, and says in words that it is in use. */
    private <T> T bind(String option, Binder<T> binder) throws IOException {
        int port = number(option, 0, 65535);
        try {
            return binder.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        } catch (BindException e) {
            boolean inUse = e.getMessage().contains("in use");
            throw new BindException("port " + port + (inUse ? " is in use" : ": " + e.getMessage()));
        }
    }

    private int number(String option, int low, int high) { return number(option, options.get(option), low, high); }
    private static int number(String option, String value, int low, int high) {
        if (!value.matches("\\d{1,10}") || Long.parseLong(value) < low || Long.parseLong(value) > high) {
            throw new IllegalArgumentException(option + " " + value + ": want a number from " + low + " to " + high);
        }
        return Integer.parseInt(value);
    }

    /** Daemon threads only: a stuck worker must not keep the JVM from ending. */
    private static Thread daemon(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }

    private void serve() throws Exception {
        HttpServer control = bind("--control", address -> HttpServer.create(address, 0));
        control.createContext("/", this::handle);
        control.start();
        daemon(this::acceptLoop, "acceptor").start();
        int port = listener.socket().getLocalPort();
        System.out.printf("{\"port\":%d,\"control\":%d}%n", port, control.getAddress().getPort());
        exit.await();
        control.stop(0);
    }

    private void acceptLoop() {
        while (true) {
            try {
                selector.select(key -> { });
                acceptOne();
            } catch (IOException | InterruptedException e) {
                System.err.println("JavaBackend: accept: " + e);
            }
        }
    }

    private boolean mayAccept() { return !mode.is("never-accepts") && (fdLimit == 0 || held.size() < fdLimit); }
    /** Mode and limit are judged in the same monitor as accept() is called, so no connection slips past a change. */
    private synchronized void acceptOne() throws IOException, InterruptedException {
        while (!mayAccept()) { wait(); }
        SocketChannel channel = listener.accept();
        if (channel == null) { return; }
        Session session = new Session(channel);
        session.counters.add("accepted", 1);
        session.counters.add("never_read", 1);
        held.add(session);
        workers.execute(session);
    }

    /** Counted, and told to the acceptor, only when the descriptor is free. Closing twice does nothing. */
    private void close(Session session) {
        try {
            session.channel.close();
        } catch (IOException e) {
            System.err.println("JavaBackend: close: " + e);
        }
        synchronized (this) {
            session.counters.add("closed", held.remove(session) ? 1 : 0);
            notifyAll();
        }
        session.released.countDown();
    }

    /** The control port. Loopback only, like the other; anybody there may use it. */
    private void handle(HttpExchange exchange) throws IOException {
        String request = exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath();
        String query = Objects.toString(exchange.getRequestURI().getQuery(), "");
        int status = 200;
        String text;
        try {
            text = obey(request, query.replaceFirst("^name=", ""));
        } catch (IllegalArgumentException e) {
            status = 400;
            text = e.getMessage() + "\n";
        }
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
        if (request.equals("POST /exit")) { exit.countDown(); }
    }

    /** After a reset, connections from before it go on counting where they began: the new sums stay consistent. */
    private synchronized String obey(String request, String name) throws IOException {
        switch (request) {
            case "GET /", "POST /exit" -> { }
            case "POST /reset" -> counters = new TreeMap<>();
            case "POST /close-all" -> List.copyOf(held).forEach(this::close);
            case "POST /mode" -> mode = Mode.of(name);
            default -> throw new IllegalArgumentException("want GET / or POST /reset, /mode?name=M, /close-all, /exit");
        }
        notifyAll();
        return json();
    }

    private String json() throws IOException {
        Counters total = new Counters();
        counters.values().forEach(c -> c.forEach(total::add));
        total.putAll(Map.of("open", (long) held.size(), "fds", socketDescriptors(), "fd_limit", (long) fdLimit,
                "busy", (long) workers.getActiveCount(), "queued", (long) workers.getQueue().size()));
        StringJoiner modes = new StringJoiner(",", "{", "}");
        counters.forEach((name, c) -> modes.add("\"" + name + "\":" + c.json()));
        return "{\"mode\":\"" + mode.name() + "\",\"accepting\":" + mayAccept() + ",\"modes\":" + modes + ","
                + total.json().substring(1) + "\n";
    }

    /** Sockets among this process's descriptors: the connections, the two listeners and the control port's own. */
    private static long socketDescriptors() throws IOException {
        long n = 0;
        for (File fd : new File("/proc/self/fd").listFiles()) {
            try {
                n += Files.readSymbolicLink(fd.toPath()).toString().startsWith("socket:") ? 1 : 0;
            } catch (NoSuchFileException e) { } // closed since it was listed
        }
        return n;
    }

    /** A fault mode as named on the command line; delay in milliseconds, for login-delay only. */
    record Mode(String name, int delay) {
        private static final List<String> NAMES = List.of("good", "stuck-worker", "stuck-fetch", "no-close-on-eof",
                "no-close-without-logout", "poll-available", "auth-fail", "auth-fail-noclose", "auth-fail-poll",
                "never-accepts", "slow-greeting", "server-closes-first", "server-rst", "bye-no-close");

        static Mode of(String name) {
            boolean delays = name.startsWith("login-delay=");
            if (!delays && !NAMES.contains(name)) {
                throw new IllegalArgumentException("no mode of that name; there are " + NAMES + " and login-delay=MS");
            }
            return new Mode(name, delays ? number("login-delay", name.substring(12), 0, 86_400_000) : 0);
        }

        boolean is(String... names) { return List.of(names).contains(name); }
        boolean polls() { return is("poll-available", "auth-fail-poll"); }
        /** Whether the handler of EOF and of I/O errors closes the socket. */
        boolean closesOnEof() { return !name.matches("no-close-.*|auth-fail-.*"); }
    }

    /** What happened to the connections of one mode since the last reset. */
    static final class Counters extends ConcurrentSkipListMap<String, Long> {
        Counters() {
            List.of("accepted", "closed", "logout", "eof", "rst", "server", "stored", "stored_bytes", "truncated",
                    "polluted", "authenticated", "refused", "never_read").forEach(name -> put(name, 0L));
        }

        void add(String name, long n) { merge(name, n, Long::sum); }
        /** The map's own text, {a=1, b=2}, made JSON. */
        String json() { return toString().replaceAll("(\\w+)=", "\"$1\":"); }
    }

    /** One connection from greeting to end, in a worker's thread. INBOX has one message, others are counted. */
    final class Session implements Runnable {
        static final String CAPABILITY = "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN IDLE ID UNSELECT";
        static final Set<String> ANY_TIME = Set.of("CAPABILITY", "NOOP", "ID", "LOGOUT", "LOGIN", "AUTHENTICATE");
        static final Set<String> IN_MAILBOX = Set.of("CHECK", "CLOSE", "UNSELECT", "FETCH", "UID");
        static final Pattern FROM_START = Pattern.compile("<0\\.([1-9]\\d{0,8})>$"); // of a part of a message
        static final Pattern LITERAL = Pattern.compile("\\{(\\d{1,18})(\\+?)\\}$");
        static final Pattern LOGOUT = Pattern.compile("[!-~] LOGOUT\\r?\\n$", Pattern.CASE_INSENSITIVE);
        static final int LINE_LIMIT = 64 * 1024, TAIL = 512, POLL_MILLIS = 100;
        static final byte[] LINES = IntStream.range(0, 128).mapToObj(i -> String.format("%062d\r\n", i))
                .collect(Collectors.joining()).getBytes(StandardCharsets.ISO_8859_1);
        final SocketChannel channel;
        final Mode mode = JavaBackend.this.mode;
        final Counters counters = JavaBackend.this.counters.computeIfAbsent(mode.name(), name -> new Counters());
        final CountDownLatch released = new CountDownLatch(1);
        final byte[] buffer = new byte[8192];
        int position, limit; // of what is unread in the buffer
        InputStream in;
        OutputStream out;
        String user;
        boolean selected, ended, over;
        long message; // size of the literal that this APPEND brought whole, or -1

        Session(SocketChannel channel) { this.channel = channel; }

        @Override
        public void run() {
            boolean close = true;
            try {
                channel.configureBlocking(true);
                channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
                in = channel.socket().getInputStream();
                out = new BufferedOutputStream(channel.socket().getOutputStream(), buffer.length);
                converse();
            } catch (IOException e) {
                ended(e instanceof EOFException ? "eof" : "rst");
                close = over || mode.closesOnEof();
            } catch (Exception e) {
                System.err.println("JavaBackend: session: " + e);
                ended("server");
            }
            if (close) { JavaBackend.this.close(this); }
        }

        /** Counts how it ended, as seen first: logout, eof, rst or server; after close() nothing is seen. */
        private void ended(String how) {
            if (!ended && channel.isOpen()) { counters.add(how, 1); counters.add("never_read", -1); }
            ended = true;
        }

        private void converse() throws Exception {
            released.await(mode.is("slow-greeting") ? greetingDelay : 0, TimeUnit.MILLISECONDS);
            send("* OK [" + CAPABILITY + "] JavaBackend ready");
            while (!over) {
                List<String> words = new ArrayList<>();
                try {
                    message = -1;
                    readCommand(words);
                    require(words.size() > 1, "want a tag and a command");
                    String name = words.get(1).toUpperCase(Locale.ROOT);
                    send(words.get(0) + " " + execute(name, words.subList(2, words.size())));
                    if (selected && Set.of("SELECT", "EXAMINE").contains(name)) { failAfterSelect(); }
                } catch (ProtocolException e) {
                    send((words.isEmpty() ? "*" : words.get(0)) + " BAD " + e.getMessage());
                }
            }
        }

        private void failAfterSelect() throws Exception {
            if (mode.is("stuck-worker")) { released.await(); }
            if (mode.is("server-closes-first")) { send("* BYE the server closes first"); }
            if (mode.is("bye-no-close")) { send("* BYE the server stays"); }
            if (mode.is("server-rst")) { channel.setOption(StandardSocketOptions.SO_LINGER, 0); }
            if (mode.is("server-closes-first", "server-rst")) { finish("server"); }
        }

        /** Ends the loop. In no-close-on-eof it goes on: there closing is left to the handler of EOF, which forgets. */
        private String finish(String how, String... lines) throws Exception {
            ended(how);
            over = !mode.is("no-close-on-eof");
            return done(lines);
        }

        /** Reads tag, name and arguments, literals included. */
        private void readCommand(List<String> words) throws Exception {
            while (true) {
                String line = readLine();
                Matcher literal = LITERAL.matcher(line);
                if (!literal.find()) { split(line, words); return; }
                split(line.substring(0, literal.start()), words);
                long size = Long.parseLong(literal.group(1));
                boolean isMessage = words.size() > 2 && words.get(1).equalsIgnoreCase("APPEND");
                if (!isMessage && size > LINE_LIMIT) { throw new IllegalStateException("literal too long"); }
                if (literal.group(2).isEmpty()) { send("+ go ahead"); }
                words.add(readLiteral(size, isMessage));
            }
        }

        /** Reads a literal; of a message only the size is kept, and what it ended in. */
        private String readLiteral(long size, boolean isMessage) throws Exception {
            StringBuilder text = new StringBuilder();
            long left = size;
            try {
                while (left > 0) {
                    fill();
                    int n = (int) Math.min(left, limit - position);
                    text.append(new String(buffer, position, n, StandardCharsets.ISO_8859_1));
                    text.delete(0, isMessage ? Math.max(0, text.length() - TAIL) : 0);
                    position += n;
                    left -= n;
                }
                message = isMessage ? size : -1;
            } finally {
                counters.add("truncated", isMessage && left > 0 ? 1 : 0);
                counters.add("polluted", isMessage && LOGOUT.matcher(text).find() ? 1 : 0);
            }
            return text.toString();
        }

        private String readLine() throws Exception {
            StringBuilder line = new StringBuilder();
            while (true) {
                fill();
                char c = (char) (buffer[position++] & 0xff);
                if (c == '\n') { return line.toString().replaceFirst("\r$", ""); }
                if (line.append(c).length() > LINE_LIMIT) { throw new IllegalStateException("line too long"); }
            }
        }

        /** Makes sure that the buffer holds something unread. A mode that polls never gets to read an EOF. */
        private void fill() throws Exception {
            if (position < limit) { return; }
            while (mode.polls() && in.available() == 0) { released.await(POLL_MILLIS, TimeUnit.MILLISECONDS); }
            position = 0;
            limit = Math.max(0, in.read(buffer));
            if (limit == 0) { throw new EOFException(); }
        }

        private String execute(String name, List<String> args) throws Exception {
            require(ANY_TIME.contains(name) || user != null, "unknown command, or not before login");
            require(!IN_MAILBOX.contains(name) || selected, "no mailbox is selected");
            boolean uid = name.equals("UID") && !args.isEmpty();
            return switch (uid ? "UID " + args.get(0).toUpperCase(Locale.ROOT) : name) {
                case "NOOP", "CHECK" -> done();
                case "CAPABILITY" -> done("* " + CAPABILITY);
                case "ID" -> done("* ID (\"name\" \"JavaBackend\")");
                case "LOGOUT" -> finish("logout", "* BYE logging out");
                case "LOGIN" -> login(args);
                case "AUTHENTICATE" -> authenticate(args);
                case "LIST", "LSUB" -> list(name, args);
                case "STATUS" -> status(args);
                case "SELECT", "EXAMINE" -> select(name, args);
                case "CLOSE", "UNSELECT" -> { selected = false; yield done(); }
                case "FETCH" -> fetch(args, false);
                case "UID FETCH" -> fetch(args.subList(1, args.size()), true);
                case "IDLE" -> {
                    send("+ idling");
                    require(readLine().equalsIgnoreCase("DONE"), "want DONE");
                    yield done();
                }
                case "APPEND" -> append(args);
                default -> throw new ProtocolException("unknown command");
            };
        }

        private String login(List<String> args) throws Exception {
            require(user == null && args.size() == 2, "want a user and a password, once");
            released.await(mode.delay(), TimeUnit.MILLISECONDS);
            String right = options.get("--password"), given = args.get(1);
            boolean refused = mode.name().startsWith("auth-fail") || args.get(0).matches("|(?s).*[\\x00-\\x1f\\x7f].*")
                    || (right.isEmpty() ? given.equals("wrong") : !given.equals(right));
            counters.add(refused ? "refused" : "authenticated", 1);
            user = refused ? null : args.get(0);
            return refused ? "NO [AUTHENTICATIONFAILED] user or password is wrong" : "OK [" + CAPABILITY + "] hello";
        }

        private String authenticate(List<String> args) throws Exception {
            require(args.size() > 0 && args.get(0).equalsIgnoreCase("PLAIN"), "only PLAIN is known here");
            if (args.size() == 1) { send("+ "); }
            String answer = args.size() == 1 ? readLine() : args.get(1);
            try {
                byte[] decoded = Base64.getDecoder().decode(answer.equals("=") ? "" : answer);
                String[] parts = new String(decoded, StandardCharsets.ISO_8859_1).split("\0", -1);
                require(parts.length == 3, "want authzid NUL user NUL password");
                return login(List.of(parts[1], parts[2]));
            } catch (IllegalArgumentException e) {
                throw new ProtocolException(answer.equals("*") ? "cancelled" : "not base64");
            }
        }

        private String list(String name, List<String> args) throws Exception {
            require(args.size() == 2, "want a reference and a pattern");
            if (args.get(1).isEmpty()) { return done("* " + name + " (\\Noselect) \"/\" \"\""); }
            String pattern = (args.get(0) + args.get(1)).toUpperCase(Locale.ROOT).replaceAll("[^A-Z*%]", "_");
            return "INBOX".matches(pattern.replaceAll("[*%]+", ".*")) ? done("* " + name + " () \"/\" INBOX") : done();
        }

        private String status(List<String> args) throws Exception {
            var values = Map.of("MESSAGES", 1, "RECENT", 0, "UIDNEXT", 2, "UIDVALIDITY", 1, "UNSEEN", 0);
            List<String> items = items(args);
            require(values.keySet().containsAll(items), "want a mailbox and " + values.keySet());
            if (!args.get(0).equalsIgnoreCase("INBOX")) { return "NO [NONEXISTENT] there is only INBOX"; }
            Stream<String> pairs = items.stream().map(item -> item + " " + values.get(item));
            return done("* STATUS INBOX (" + pairs.collect(Collectors.joining(" ")) + ")");
        }

        private String select(String name, List<String> args) throws Exception {
            require(args.size() == 1, "want a mailbox");
            selected = args.get(0).equalsIgnoreCase("INBOX");
            if (!selected) { return "NO [NONEXISTENT] there is only INBOX"; }
            done("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)", "* 1 EXISTS", "* 0 RECENT",
                    "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 2] ok", "* OK [PERMANENTFLAGS ()] nothing is kept");
            return "OK [READ-" + (name.equals("SELECT") ? "WRITE" : "ONLY") + "] selected";
        }

        private String append(List<String> args) throws Exception {
            require(message >= 0, "want a mailbox, flags and date if you like, and a literal");
            if (!args.get(0).equalsIgnoreCase("INBOX")) { return "NO [TRYCREATE] there is only INBOX"; }
            counters.add("stored", 1);
            counters.add("stored_bytes", message);
            return done();
        }

        private String fetch(List<String> args, boolean uid) throws Exception {
            List<String> items = items(args);
            Map<String, String> known = Map.of("FLAGS", " (\\Seen)", "UID", " 1", "RFC822.SIZE", " " + messageSize,
                    "BODY[]", "", "BODY.PEEK[]", "");
            Stream<String> names = items.stream()
                    .map(item -> item.startsWith("BODY") ? FROM_START.matcher(item).replaceAll("") : item);
            require(names.allMatch(known::containsKey), "the items known here are " + known.keySet());
            boolean hit = args.get(0).matches("[1*]|1:.*");
            require(uid || hit, "there is only message 1");
            if (!hit) { return done(); }
            if (uid && !items.contains("UID")) { items.add(0, "UID"); }
            String separator = "* 1 FETCH (";
            for (String item : items) {
                write(separator + (item.startsWith("BODY") ? "" : item + known.get(item)));
                if (item.startsWith("BODY")) { writeBody(FROM_START.matcher(item)); }
                separator = " ";
            }
            return done(")");
        }

        /** The message is a head that names the user, then lines 0 to 127, again and again. */
        private void writeBody(Matcher part) throws Exception {
            boolean whole = !part.find();
            int size = whole ? messageSize : Math.min(messageSize, Integer.parseInt(part.group(1)));
            int stop = mode.is("stuck-fetch") ? size / 2 : size;
            String head = "From: rig@localhost\r\nTo: " + user + "\r\n\r\n";
            write("BODY[]" + (whole ? "" : "<0>") + " {" + size + "}\r\n");
            write(head.substring(0, Math.min(head.length(), stop)));
            for (int left = stop - head.length(); left > 0; left -= LINES.length) {
                out.write(LINES, 0, Math.min(left, LINES.length));
            }
            out.flush();
            if (mode.is("stuck-fetch")) { released.await(); }
        }

        /** Splits at spaces; quoted strings lose their quotes, a parenthesised list stays whole. */
        private static void split(String line, List<String> words) throws ProtocolException {
            for (int i = 0; i < line.length(); i++) {
                StringBuilder word = new StringBuilder();
                boolean quoted = false;
                int depth = 0, start = i;
                for (; i < line.length() && (line.charAt(i) != ' ' || quoted || depth > 0); i++) {
                    char c = line.charAt(i);
                    boolean escaped = quoted && c == '\\' && i + 1 < line.length();
                    quoted ^= c == '"';
                    depth += quoted ? 0 : c == '(' ? 1 : c == ')' ? -1 : 0;
                    word.append(escaped ? line.charAt(++i) : c == '"' ? "" : c);
                }
                require(!quoted && depth == 0, "a quote or parenthesis is not closed");
                if (i > start) { words.add(word.toString()); }
            }
        }

        private static List<String> items(List<String> args) throws ProtocolException {
            require(args.size() == 2, "want two arguments, the second a list");
            List<String> items = new ArrayList<>();
            split(args.get(1).toUpperCase(Locale.ROOT).replaceAll("^\\(|\\)$", ""), items);
            return items;
        }

        private static void require(boolean met, String badText) throws ProtocolException {
            if (!met) { throw new ProtocolException(badText); }
        }
        private String done(String... lines) throws Exception {
            for (String line : lines) { write(line + "\r\n"); }
            return "OK done";
        }
        private void send(String line) throws Exception { done(line); out.flush(); }
        private void write(String text) throws Exception { out.write(text.getBytes(StandardCharsets.ISO_8859_1)); }
    }
}
