import java.sql.*;
import java.util.*;
import java.io.*;
import org.postgresql.PGConnection;

/** JDBC: the metadata every Java tool asks for, server-prepared statements, fetch size, batches, COPY, text and binary. */
public class Jdbc {
    static Connection db;

    static void say(String what, Object value) {
        System.out.println("= " + what + " -> " + String.valueOf(value).replace('\n', ' '));
    }

    static void want(String what, Object value) {
        System.out.println("! " + what + " -> " + value);
    }

    interface Act {
        void run() throws Exception;
    }

    static String refused(Act act) {
        try {
            act.run();
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        } catch (Exception error) {
            return error.toString();
        }
    }

    static String rows(ResultSet found) throws SQLException {
        List<String> lines = new ArrayList<>();
        while (found.next()) {
            List<String> values = new ArrayList<>();
            for (int at = 1; at <= found.getMetaData().getColumnCount(); at++) {
                String value = found.getString(at);
                values.add(value == null ? "" : value);
            }
            lines.add(String.join("|", values));
        }
        return String.join("; ", lines);
    }

    static String read(String text, Object... values) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(text)) {
            for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
            return rows(statement.executeQuery());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String user = System.getenv("PGUSER"), password = System.getenv("PGPASSWORD");
        String base = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
            Properties properties = new Properties();
            properties.setProperty("user", user);
            if (password != null) properties.setProperty("password", password);
            properties.setProperty("preferQueryMode", mode);
            properties.setProperty("prepareThreshold", "1");
            db = DriverManager.getConnection(base, properties);
            say(mode, "");
            common();
            if (mode.equals("extended")) {
                same();
                metadata();
                masked();
            }
            db.close();
        }
    }

    static void common() throws Exception {
        for (int round = 0; round < 3; round++) say("items", read("SELECT name, amount FROM app.items WHERE amount > ? ORDER BY name", 2));
        say("types", read("SELECT * FROM app.types ORDER BY id"));
    }

    static void same() throws Exception {
        say("server", db.getMetaData().getDatabaseMajorVersion());
        say("insert", read("INSERT INTO app.items (name, amount) VALUES (?, ?) RETURNING id, twice", "fig", 4));
        try (PreparedStatement made = db.prepareStatement("INSERT INTO app.items (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            made.setString(1, "keyed");
            made.executeUpdate();
            say("keys", rows(made.getGeneratedKeys()));
        }
        try (PreparedStatement batch = db.prepareStatement("INSERT INTO app.items (name, amount) VALUES (?, ?)")) {
            for (int n = 1; n <= 50; n++) {
                batch.setString(1, "batch " + n);
                batch.setInt(2, n);
                batch.addBatch();
            }
            say("batch", Arrays.stream(batch.executeBatch()).sum());
        }
        db.setAutoCommit(false);
        try (Statement deleting = db.createStatement()) {
            deleting.executeUpdate("DELETE FROM app.items");
            Savepoint point = db.setSavepoint();
            say("unique", refused(() -> deleting.executeUpdate("INSERT INTO app.items (name) VALUES ('x'), ('x')")));
            db.rollback(point);
        }
        db.rollback();
        try (PreparedStatement many = db.prepareStatement("SELECT n FROM generate_series(1, 1000) n ORDER BY n")) {
            many.setFetchSize(100);
            long total = 0;
            for (ResultSet found = many.executeQuery(); found.next(); ) total += found.getLong(1);
            say("fetched", total);
        }
        db.commit();
        db.setAutoCommit(true);
        StringBuilder lines = new StringBuilder();
        for (int n = 1; n <= 300; n++) lines.append("copied ").append(n).append('\t').append(n).append('\n');
        say("copy in", db.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY app.items (name, amount) FROM STDIN", new StringReader(lines.toString())));
        StringWriter out = new StringWriter();
        say("copy out", db.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT name, amount FROM app.items) TO STDOUT (FORMAT csv)", out));
        try (Statement changing = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet found = changing.executeQuery("SELECT id, name, amount FROM app.items WHERE name = 'plum'");
            found.next();
            found.updateInt("amount", 80);
            found.updateRow();
            say("updatable", read("SELECT amount FROM app.items WHERE name = ?", "plum"));
        }
        try (Statement slow = db.createStatement()) {
            slow.setQueryTimeout(1);
            say("timeout", refused(() -> slow.execute("SELECT pg_sleep(30)")));
        }
        say("still there", read("SELECT 1"));
    }

    static void metadata() throws Exception {
        DatabaseMetaData data = db.getMetaData();
        say("tables", names(data.getTables(null, "app", "%", new String[] {"TABLE"}), "TABLE_NAME", "REMARKS"));
        say("columns", names(data.getColumns(null, "app", "%", "%"), "TABLE_NAME", "COLUMN_NAME", "TYPE_NAME", "NULLABLE", "IS_AUTOINCREMENT"));
        say("keys", names(data.getPrimaryKeys(null, "app", "items"), "COLUMN_NAME", "PK_NAME"));
        say("indexes", names(data.getIndexInfo(null, "app", "items", false, true), "INDEX_NAME", "COLUMN_NAME"));
        say("imported", names(data.getImportedKeys(null, "app", "items"), "FKCOLUMN_NAME"));
        say("types of arrays", names(data.getUDTs(null, "app", "%", null), "TYPE_NAME"));
        say("best row", names(data.getBestRowIdentifier(null, "app", "items", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME"));
        data.getTablePrivileges(null, "app", "items").close();
        data.getColumnPrivileges(null, "app", "items", "%").close();
        data.getFunctions(null, "app", "%").close();
        data.getProcedures(null, "app", "%").close();
        say("schemas", names(data.getSchemas(null, "app"), "TABLE_SCHEM"));
    }

    static String names(ResultSet found, String... columns) throws SQLException {
        List<String> lines = new ArrayList<>();
        while (found.next()) {
            List<String> values = new ArrayList<>();
            for (String column : columns) values.add(found.getString(column));
            lines.add(values.toString());
        }
        return lines.toString();
    }

    static void masked() throws Exception {
        want("people", read("SELECT id, name, email, ssn FROM app.people ORDER BY id"));
        try (PreparedStatement person = db.prepareStatement("SELECT name, email FROM app.people WHERE id = ?")) {
            for (int key : new int[] {1, 3}) {
                person.setInt(1, key);
                want(key == 1 ? "by key" : "by key again", rows(person.executeQuery()));
            }
        }
        want("compared", read("SELECT count(*) FROM app.people WHERE email = ?", "ann@example.com"));
        want("joined", read("SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1"));
        want("insert", read("INSERT INTO app.contacts (email, note) VALUES (?, ?) RETURNING id, email, note", "emil@example.com", "second"));
        want("update", read("UPDATE app.contacts SET note = ? WHERE id = 1 RETURNING email, note", "changed"));
        try (Statement all = db.createStatement()) {
            want("delete", all.executeUpdate("DELETE FROM app.contacts"));
            want("secrets", refused(() -> all.executeQuery("SELECT * FROM app.secrets")));
        }
    }
}
