import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.mail.Folder;
import javax.mail.Store;

/**
 * Does what Java mail applications do, at each endpoint of the file that it is called with, and prints one line for each
 * check: endpoint, name and result, with tabs between them. A line of the file is, with tabs too: name, mode (plain,
 * starttls or tls), port on localhost, file of the authority, user, password.
 *
 * <p>A line that begins with "do" asks the caller for something that only an operator can do; it goes on when it reads a
 * line from its standard input. At the end it opens HELD connections, asks the caller to "hold", and is killed.
 */
public final class JavaMailClient {
    /** How many connections are open when the program is killed. */
    private static final int HELD = 40;

    /** How many endpoints are used concurrently. */
    private static final int CONCURRENT = 3;

    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    private JavaMailClient() {}

    public static void main(String[] args) throws Exception {
        List<Endpoint> endpoints = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8)) {
            String[] f = line.split("\t");
            endpoints.add(new Endpoint(f[0], f[1], Integer.parseInt(f[2]), f[3], f[4], f[5]));
        }
        ExecutorService pool = Executors.newFixedThreadPool(CONCURRENT);
        List<Future<?>> all = new ArrayList<>();
        for (Endpoint e : endpoints) {
            all.add(pool.submit(() -> exercise(e)));
        }
        for (Future<?> f : all) {
            f.get();
        }
        pool.shutdown();
        hold(endpoints);
    }

    private static void exercise(Endpoint e) {
        Checks[] groups = {new LoginChecks(e), new MailboxChecks(e), new MessageChecks(e), new ExtensionChecks(e),
            new IdleChecks(e), new EndingChecks(e)};
        for (Checks group : groups) {
            try {
                group.run();
            } catch (Throwable t) {
                say(e.name, group.getClass().getSimpleName(), Checks.failure(t));
            }
        }
    }

    /** Opens connections everywhere, half of them in IDLE, and waits for the end. */
    private static void hold(List<Endpoint> endpoints) throws Exception {
        List<Store> stores = new ArrayList<>(); // keeps them from the garbage collector
        int connections = 0;
        for (int i = 0; i < HELD / 2; i++) {
            Endpoint e = endpoints.get(i % endpoints.size());
            Endpoint.Trace trace = new Endpoint.Trace();
            Store store = e.connect(e.traced(trace, "separatestoreconnection", "true")); // and one for the folder
            stores.add(store);
            store.getDefaultFolder().list("*");
            var folder = Checks.open(store, "INBOX");
            store.isConnected();
            new Checks.Background(() -> {
                folder.idle(true);
                return "";
            });
            trace.await("^\\+ idling", 1);
            connections += trace.connections();
        }
        ask("hold " + connections);
    }

    static synchronized void say(String endpoint, String name, String result) {
        System.out.println(endpoint + "\t" + name + "\t" + result);
    }

    private static final Object ASKING = new Object();

    /** Asks the caller to do something, and waits until it is done. */
    static void ask(String what) throws Exception {
        synchronized (ASKING) {
            System.out.println("do\t" + what);
            if (IN.readLine() == null) {
                System.exit(1);
            }
        }
    }
}
