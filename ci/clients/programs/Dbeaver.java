import java.sql.*;
import java.util.*;

/** What DBeaver asks over JDBC: who and where it is, whole catalogue rows with their comments, and a grid that can be edited. */
public class Dbeaver {
    static Connection db;

    static void say(String what, Object value) {
        System.out.println("= " + what + " -> " + String.valueOf(value).replace('\n', ' '));
    }

    static void want(String what, Object value) {
        System.out.println("! " + what + " -> " + value);
    }

    /** The chosen columns of every row. */
    static String picked(ResultSet found, String... columns) throws SQLException {
        List<String> lines = new ArrayList<>();
        while (found.next()) {
            List<String> values = new ArrayList<>();
            for (String column : columns) {
                String value = found.getString(column);
                values.add(value == null ? "" : value);
            }
            lines.add(String.join("|", values));
        }
        return String.join("; ", lines);
    }

    static String ask(String sql, Object value, String... columns) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            if (value != null) {
                statement.setObject(1, value);
            }
            statement.setFetchSize(200);
            try (ResultSet found = statement.executeQuery()) {
                return picked(found, columns);
            }
        }
    }

    static long number(String sql, String name) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            statement.setString(1, name);
            ResultSet found = statement.executeQuery();
            found.next();
            return found.getLong(1);
        }
    }

    static void catalogue() throws SQLException {
        String comment = " LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=%s.oid AND d.objsubid=0 AND d.classoid='%s'::regclass ";
        long schema = number("SELECT oid FROM pg_catalog.pg_namespace WHERE nspname=?", "app");
        say("schemas", ask("SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n" + String.format(comment, "n", "pg_namespace")
            + "WHERE n.nspname NOT LIKE 'pg\\_%' ORDER BY n.nspname", null, "nspname", "description"));
        say("tables", ask("SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr,"
            + " pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c" + String.format(comment, "c", "pg_class")
            + "WHERE c.relnamespace=? AND c.relkind NOT IN ('i','I','c') ORDER BY c.relname", schema, "relname", "relkind", "description", "partition_key"));
        for (String table : List.of("types", "items", "people")) {
            long oid = number("SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace WHERE n.nspname='app' AND c.relname=?", table);
            say(table + " columns", ask("SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value,dsc.description,dep.objid"
                + " FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)"
                + " LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum=ad.adnum)"
                + " LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum=dsc.objsubid)"
                + " LEFT OUTER JOIN pg_depend dep ON dep.refobjid=a.attrelid AND dep.deptype='i' AND dep.refobjsubid=a.attnum AND dep.classid=dep.refclassid"
                + " WHERE NOT a.attisdropped AND c.oid=? ORDER BY a.attnum", oid, "relname", "attname", "attnum", "attnotnull", "def_value", "attidentity"));
            say(table + " constraints", ask("SELECT c.oid,c.*,t.relname AS tabrelname,rt.relnamespace AS refnamespace,d.description,"
                + " CASE WHEN c.contype='c' THEN substring(pg_catalog.pg_get_constraintdef(c.oid), 7) END AS consrc_copy"
                + " FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid"
                + String.format(comment, "c", "pg_constraint") + "WHERE c.conrelid=? ORDER BY c.conname", oid, "conname", "contype", "conkey", "consrc_copy"));
            say(table + " indexes", ask("SELECT i.*,i.indkey AS keys,c.relname,c.relam,d.description,am.amname,pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr"
                + " FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_am am ON am.oid=c.relam"
                + String.format(comment, "c", "pg_class")
                + "WHERE i.indrelid=? ORDER BY c.relname", oid, "relname", "keys", "amname", "indisunique"));
            say(table + " size", ask("SELECT pg_catalog.pg_relation_size(?) > -1 AS known", oid, "known"));
            say(table + " triggers", ask("SELECT x.oid,x.*,p.pronamespace AS func_schema_id FROM pg_catalog.pg_trigger x INNER JOIN pg_catalog.pg_proc p ON p.oid=x.tgfoid"
                + " WHERE x.tgrelid=? AND NOT x.tgisinternal ORDER BY x.tgname", oid, "tgname"));
        }
        say("types", ask("SELECT t.oid,t.*,c.relkind,pg_catalog.format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name FROM pg_catalog.pg_type t"
            + " LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid WHERE t.typnamespace=? AND t.typtype='e' ORDER BY t.typname", schema, "typname", "typcategory"));
        say("enumeration", ask("SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid=?::regtype ORDER BY e.enumsortorder", "app.mood", "enumlabel"));
        say("functions", ask("SELECT p.oid AS poid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) AS arg_defaults,d.description FROM pg_catalog.pg_proc p"
            + String.format(comment, "p", "pg_proc") + "WHERE p.pronamespace=? ORDER BY p.proname", schema, "proname"));
        say("sequences", ask("SELECT c.oid,c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace=? AND c.relkind='S' ORDER BY 2", schema, "relname"));
        say("access methods", ask("SELECT am.oid,am.* FROM pg_catalog.pg_am am ORDER BY am.amname", null, "amname"));
        say("languages", ask("SELECT l.oid,l.* FROM pg_catalog.pg_language l ORDER BY l.lanname", null, "lanname"));
    }

    /** A grid reads some rows in a transaction of its own, asks where its columns come from, and saves one cell. */
    static void grid() throws SQLException {
        db.setAutoCommit(false);
        try (Statement statement = db.createStatement()) {
            statement.setFetchSize(200);
            statement.setMaxRows(200);
            ResultSet found = statement.executeQuery("SELECT * FROM app.items ORDER BY id");
            org.postgresql.PGResultSetMetaData source = (org.postgresql.PGResultSetMetaData) found.getMetaData();
            say("source", source.getBaseSchemaName(1) + "." + source.getBaseTableName(1) + "." + source.getBaseColumnName(1));
            say("grid", picked(found, "id", "name", "amount", "made", "twice"));
        }
        db.commit();
        try (PreparedStatement saved = db.prepareStatement("UPDATE app.items SET amount=? WHERE id=?")) {
            saved.setInt(1, 12);
            saved.setLong(2, 1);
            say("saved", saved.executeUpdate());
        }
        db.rollback();
        db.setAutoCommit(true);
        say("count", ask("SELECT count(*) AS n FROM (SELECT * FROM app.items) dbvrcnt", null, "n"));
        say("plan", ask("EXPLAIN (FORMAT XML, COSTS OFF) SELECT * FROM app.items WHERE id = 1", null, "QUERY PLAN").contains("<Relation-Name>items<"));
    }

    public static void main(String[] arguments) throws Exception {
        String host = System.getenv("PGHOST"), port = System.getenv("PGPORT"), database = System.getenv("PGDATABASE");
        Properties settings = new Properties();
        settings.setProperty("user", System.getenv("PGUSER"));
        settings.setProperty("password", System.getenv().getOrDefault("PGPASSWORD", ""));
        settings.setProperty("ApplicationName", "DBeaver - Main");
        db = DriverManager.getConnection("jdbc:postgresql://" + host + ":" + port + "/" + database, settings);
        say("where", ask("SELECT current_schema() AS s, current_database() AS d", null, "s", "d"));
        say("path", ask("SHOW search_path", null, "search_path"));
        say("settings", ask("SELECT name FROM pg_catalog.pg_settings WHERE name IN ('TimeZone', 'DateStyle') ORDER BY 1", null, "name"));
        catalogue();
        grid();
        want("people", ask("SELECT id, name, email, ssn FROM app.people ORDER BY id", null, "id", "name", "email", "ssn"));
        try {
            ask("SELECT * FROM app.secrets", null);
            want("secrets", "no error");
        } catch (SQLException error) {
            want("secrets", error.getSQLState());
        }
        db.close();
    }
}
