//! What statements become.

use crate::shop;
use daam_catalog::Identifier;
use daam_enforce::{Refusal, RewriteContext, Rewritten, rewrite};
use proptest::prelude::*;

pub(crate) fn rewritten(sql: &str) -> Result<Rewritten, Refusal> {
    let catalog = shop::catalog(170_000);
    let plan = shop::plan(&catalog);
    let search_path: Vec<Identifier> = vec![shop::id("public")];
    rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &search_path })
}

const USERS: &str = "\"pg_temp\".\"public.users\"";
const ORDERS: &str = "\"pg_temp\".\"public.orders\"";
const WRITE_USERS: &str = "\"pg_temp\".\"w:public.users\"";

/// `{u}`, `{o}` and `{w}` stand for the views.
pub(crate) fn becomes(pairs: &[(&str, &str)]) {
    for (sql, wanted) in pairs {
        let wanted = wanted.replace("{u}", USERS).replace("{o}", ORDERS).replace("{w}", WRITE_USERS);
        match rewritten(sql) {
            Ok(result) => assert_eq!(result.sql, wanted, "{sql}"),
            Err(refusal) => panic!("{sql}: {refusal:?}"),
        }
    }
}

#[test]
fn reads_go_to_the_read_view_and_keep_their_names() {
    becomes(&[
        ("SELECT * FROM users", "SELECT * FROM {u} AS \"users\""),
        ("SELECT * FROM users u", "SELECT * FROM {u} u"),
        ("select/**/email/**/from/**/users", "select/**/email/**/from/**/{u} AS \"users\""),
        ("SELECT * FROM\"users\"WHERE true", "SELECT * FROM{u} AS \"users\"WHERE true"),
        ("SELECT * FROM oRdErS", "SELECT * FROM {o} AS \"orders\""),
        ("SELECT * FROM \"public\" . /* c */ \"users\"", "SELECT * FROM {u} AS \"users\""),
        ("SELECT * FROM U&\"\\0075sers\"", "SELECT * FROM {u} AS \"users\""),
        ("SELECT * FROM U&\"!0075sers\" UESCAPE '!' x", "SELECT * FROM {u} x"),
        ("SELECT * FROM db.public.users", "SELECT * FROM {u} AS \"users\""),
        ("SELECT * FROM ONLY users", "SELECT * FROM ONLY {u} AS \"users\""),
        ("SELECT * FROM ONLY (users)", "SELECT * FROM ONLY ({u}) AS \"users\""),
        ("SELECT * FROM ONLY (users) u", "SELECT * FROM ONLY ({u}) u"),
        ("SELECT * FROM users *", "SELECT * FROM {u} * AS \"users\""),
        ("TABLE users", "SELECT * FROM {u} AS \"users\""),
        ("TABLE ONLY users ORDER BY id", "SELECT * FROM ONLY {u} AS \"users\" ORDER BY id"),
        ("SELECT public.users.email FROM public.users", "SELECT users.email FROM {u} AS \"users\""),
        ("SELECT public.users.* FROM public.users", "SELECT users.* FROM {u} AS \"users\""),
        ("SELECT d.public.users.id FROM users", "SELECT users.id FROM {u} AS \"users\""),
        (
            "SELECT 1 FROM notes n JOIN users USING (id)",
            "SELECT 1 FROM notes n JOIN {u} AS \"users\" USING (id)",
        ),
        (
            "SELECT users FROM users FOR UPDATE OF users",
            "SELECT users FROM {u} AS \"users\" FOR UPDATE OF users",
        ),
    ]);
}

#[test]
fn every_place_a_relation_can_stand_is_rewritten() {
    becomes(&[
        ("SELECT (SELECT max(email) FROM users)", "SELECT (SELECT max(email) FROM {u} AS \"users\")"),
        ("EXPLAIN ANALYZE TABLE users", "EXPLAIN ANALYZE SELECT * FROM {u} AS \"users\""),
        ("PREPARE p AS SELECT * FROM users", "PREPARE p AS SELECT * FROM {u} AS \"users\""),
        ("EXECUTE p((SELECT 1 FROM users))", "EXECUTE p((SELECT 1 FROM {u} AS \"users\"))"),
        ("DECLARE c CURSOR FOR SELECT * FROM users", "DECLARE c CURSOR FOR SELECT * FROM {u} AS \"users\""),
        (
            "CREATE TEMP TABLE t AS SELECT * FROM users",
            "CREATE TEMP TABLE t AS SELECT * FROM {u} AS \"users\"",
        ),
        ("SELECT * INTO TEMP t FROM users", "SELECT * INTO TEMP t FROM {u} AS \"users\""),
        (
            "INSERT INTO notes SELECT id, email FROM users",
            "INSERT INTO notes SELECT id, email FROM {u} AS \"users\"",
        ),
        (
            "UPDATE notes SET body = u.email FROM users u WHERE u.id = notes.id",
            "UPDATE notes SET body = u.email FROM {u} u WHERE u.id = notes.id",
        ),
        (
            "DELETE FROM notes USING users u RETURNING u.email",
            "DELETE FROM notes USING {u} u RETURNING u.email",
        ),
        (
            "UPDATE notes SET (id, body) = (SELECT id, email FROM users)",
            "UPDATE notes SET (id, body) = (SELECT id, email FROM {u} AS \"users\")",
        ),
        (
            "MERGE INTO notes n USING users u ON n.id = u.id WHEN MATCHED THEN UPDATE SET body = u.email",
            "MERGE INTO notes n USING {u} u ON n.id = u.id WHEN MATCHED THEN UPDATE SET body = u.email",
        ),
        ("COPY (SELECT email FROM users) TO STDOUT", "COPY (SELECT email FROM {u} AS \"users\") TO STDOUT"),
        ("SELECT 1; SELECT email FROM users;", "SELECT 1; SELECT email FROM {u} AS \"users\";"),
        (
            "COPY users TO STDOUT WITH (FORMAT csv)",
            "COPY (SELECT \"id\", \"email\", \"name\", \"region\" FROM {u} AS \"users\") TO STDOUT WITH (FORMAT csv)",
        ),
        ("COPY users FROM STDIN", "COPY \"pg_temp\".\"c:public.users\" FROM STDIN"),
        (
            "COPY public.orders (id, region) FROM STDIN (FORMAT binary)",
            "COPY \"pg_temp\".\"c:public.orders\" (id, region) FROM STDIN (FORMAT binary)",
        ),
        ("LOCK TABLE notes, users IN ACCESS SHARE MODE", "LOCK TABLE notes, {u} IN ACCESS SHARE MODE"),
        (
            "COPY users (id, email) TO STDOUT",
            "COPY (SELECT \"id\", \"email\" FROM {u} AS \"users\") TO STDOUT",
        ),
    ]);
}

#[test]
fn common_table_expressions_hide_tables_only_where_they_are_visible() {
    becomes(&[
        ("WITH users AS (SELECT 1) SELECT * FROM users", "WITH users AS (SELECT 1) SELECT * FROM users"),
        (
            "WITH users AS (SELECT * FROM users) SELECT * FROM users",
            "WITH users AS (SELECT * FROM {u} AS \"users\") SELECT * FROM users",
        ),
        (
            "WITH RECURSIVE users AS (SELECT 1 UNION SELECT * FROM users) SELECT * FROM users",
            "WITH RECURSIVE users AS (SELECT 1 UNION SELECT * FROM users) SELECT * FROM users",
        ),
        (
            "WITH a AS (SELECT 1), b AS (SELECT * FROM users) SELECT * FROM a, b, public.users",
            "WITH a AS (SELECT 1), b AS (SELECT * FROM {u} AS \"users\") SELECT * FROM a, b, {u} AS \"users\"",
        ),
        (
            "SELECT * FROM (WITH users AS (SELECT 1) SELECT * FROM users) x, users",
            "SELECT * FROM (WITH users AS (SELECT 1) SELECT * FROM users) x, {u} AS \"users\"",
        ),
        // The name does not hide the target of a write.
        (
            "WITH users AS (SELECT 1) UPDATE users SET name = 'x'",
            "WITH users AS (SELECT 1) UPDATE {w} AS \"users\" SET name = 'x'",
        ),
    ]);
}

#[test]
fn writes_go_to_write_views_and_return_masked_values() {
    becomes(&[
        (
            "INSERT INTO users (id, name) VALUES (1, 'x')",
            "INSERT INTO {w} AS \"users\" (id, name) VALUES (1, 'x')",
        ),
        (
            "INSERT INTO users VALUES (1) RETURNING email, upper(email), id",
            "INSERT INTO {w} AS \"users\" VALUES (1) RETURNING \"masked:email\" AS \"email\", upper(\"masked:email\"), id",
        ),
        (
            "UPDATE users u SET name = 'x' WHERE u.email = 'j' RETURNING u.email AS e, u.*",
            "UPDATE {w} u SET name = 'x' WHERE u.\"masked:email\" = 'j' RETURNING u.\"masked:email\" AS e, \
             \"u\".\"id\", \"u\".\"masked:email\" AS \"email\", \"u\".\"name\", \"u\".\"region\"",
        ),
        (
            "DELETE FROM users RETURNING *",
            "DELETE FROM {w} AS \"users\" RETURNING \"users\".\"id\", \"users\".\"masked:email\" AS \"email\", \
             \"users\".\"name\", \"users\".\"region\"",
        ),
        (
            "UPDATE public.users SET name = 'x' RETURNING users.id, public.users.*",
            "UPDATE {w} AS \"users\" SET name = 'x' RETURNING users.id, \"users\".\"id\", \
             \"users\".\"masked:email\" AS \"email\", \"users\".\"name\", \"users\".\"region\"",
        ),
        (
            "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE users.email = 'x')",
            "DELETE FROM {w} AS \"users\" WHERE id IN (SELECT id FROM {u} AS \"users\" WHERE users.email = 'x')",
        ),
        (
            "DELETE FROM users WHERE EXISTS (SELECT 1 FROM notes WHERE body = users.email)",
            "DELETE FROM {w} AS \"users\" WHERE EXISTS (SELECT 1 FROM notes WHERE body = users.\"masked:email\")",
        ),
        (
            "INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            "INSERT INTO {w} AS \"users\" VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        ),
        (
            "DELETE FROM public.users WHERE public.users.email = 'x' RETURNING public.users.email",
            "DELETE FROM {w} AS \"users\" WHERE users.\"masked:email\" = 'x' RETURNING users.\"masked:email\" AS \"email\"",
        ),
        (
            "WITH gone AS (DELETE FROM users RETURNING email) INSERT INTO notes SELECT 1, email FROM gone",
            "WITH gone AS (DELETE FROM {w} AS \"users\" RETURNING \"masked:email\" AS \"email\") \
             INSERT INTO notes SELECT 1, email FROM gone",
        ),
        ("UPDATE users SET name = email", "UPDATE {w} AS \"users\" SET name = email"),
        (
            "INSERT INTO orders VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO \"pg_temp\".\"i:public.orders\" AS \"orders\" VALUES (1) ON CONFLICT DO NOTHING",
        ),
        (
            "UPDATE orders SET amount = 1",
            "UPDATE \"pg_temp\".\"w:public.orders\" AS \"orders\" SET amount = 1",
        ),
        ("DELETE FROM orders", "DELETE FROM \"pg_temp\".\"w:public.orders\" AS \"orders\""),
    ]);
}

#[test]
fn what_touches_nothing_protected_passes_byte_for_byte() {
    for sql in [
        "",
        ";;",
        "SELECT 1",
        "SELECT * FROM notes WHERE body = 'users'",
        "INSERT INTO notes VALUES (1, 'x') RETURNING *",
        "SELECT * FROM pg_catalog.pg_class c, information_schema.tables t, pg_catalog.pg_stat_activity",
        "SELECT * FROM pg_temp.\"public.users\"",
        "SET statement_timeout = 0",
        "BEGIN; COMMIT",
        "FETCH ALL FROM c",
        "COPY notes FROM STDIN",
        "CREATE TEMP TABLE t (LIKE notes)",
        "SELECT -- users\n 'users' AS \"users\"",
        "SET ROLE NONE",
        "RESET ROLE",
        "LOCK TABLE notes",
    ] {
        match rewritten(sql) {
            Ok(result) => assert_eq!((result.sql.as_str(), result.edits.is_empty()), (sql, true), "{sql}"),
            Err(refusal) => panic!("{sql}: {refusal:?}"),
        }
    }
}

#[test]
fn a_bare_name_the_catalogue_does_not_know_can_only_be_the_sessions_own() {
    becomes(&[
        ("SELECT * FROM scratch", "SELECT * FROM pg_temp.scratch"),
        ("INSERT INTO scratch SELECT 1", "INSERT INTO pg_temp.scratch SELECT 1"),
        ("CREATE INDEX ON scratch (a)", "CREATE INDEX ON pg_temp.scratch (a)"),
    ]);
}

#[test]
fn what_no_policy_grants_is_refused_and_the_refusal_helps() {
    let refusal = rewritten("SELECT 'é', * FROM salaries").unwrap_err();
    assert_eq!(refusal.sqlstate, "42501");
    assert_eq!(refusal.message, "relation `public.salaries` is not granted to you by any policy");
    assert_eq!(refusal.detail.as_deref(), Some("policies that apply to you: `support`"));
    assert_eq!(
        refusal.hint.as_deref(),
        Some("you may use `public.notes`, `public.orders`, `public.tickets`, `public.users`")
    );
    assert_eq!(refusal.position, Some(20));
    let refusal = rewritten("TRUNCATE users").unwrap_err();
    assert_eq!(refusal.message, "truncate on relation `public.users` is not granted to you by any policy");
    assert_eq!(refusal.hint.as_deref(), Some("on `public.users` you may: select, insert, update, delete"));
}

#[test]
fn everything_that_is_not_on_the_list_is_refused() {
    for sql in [
        "SELECT * FROM other.table1",
        "SELECT * FROM users TABLESAMPLE SYSTEM (10)",
        "SELECT ctid FROM users",
        "SELECT u.xmin FROM users u, notes",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t (a int)",
        "SELECT 1 INTO t",
        "CREATE TEMP TABLE users (a int)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN END $$",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT set_config('role', 'x', false)",
        "SELECT pg_catalog.set_config('ro' || 'le', 'x', false)",
        "ALTER ROLE current_user PASSWORD 'x'",
        "ALTER ROLE current_user SET search_path = x",
        "GRANT SELECT ON notes TO public",
        "REVOKE SELECT ON notes FROM public",
        "CREATE ROLE x",
        "CREATE SCHEMA x",
        "CREATE EXTENSION x",
        "CREATE TRIGGER t BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON UPDATE TO notes DO NOTHING",
        "CREATE POLICY p ON notes",
        "COMMENT ON TABLE notes IS 'x'",
        "LOAD 'x'",
        "CREATE PUBLICATION p FOR TABLE notes",
    ] {
        refused(sql);
    }
    assert!(rewritten("ALTER ROLE x LOGIN").unwrap_err().message.starts_with("`ALTER ROLE` is not allowed"));
}

fn refused(sql: &str) {
    match rewritten(sql) {
        Err(refusal) => assert_ne!(refusal.message, "", "{sql}"),
        Ok(result) => panic!("{sql} became {}", result.sql),
    }
}

#[test]
fn what_a_view_cannot_carry_is_refused() {
    for sql in [
        "DROP TABLE public.users",
        "DROP TABLE salaries",
        "ALTER TABLE users DISABLE TRIGGER ALL",
        "LOCK TABLE users",
        "TRUNCATE notes",
        "COPY users (id, nope) FROM STDIN",
        "COPY users FROM STDIN WITH (FREEZE)",
        "COPY salaries TO STDOUT",
        "COPY notes TO '/tmp/x'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT * FROM dblink('x', 'y') AS t(a int)",
        "SELECT * FROM ts_stat('select 1')",
        "SELECT public.first_email()",
        "SELECT first_email()",
        "SELECT * FROM first_email()",
        "CALL public.unknown()",
        "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO UPDATE SET amount = 1",
        "INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET email = excluded.email",
        "MERGE INTO orders o USING notes n ON o.id = n.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
        "PREPARE TRANSACTION 'x'",
        "CREATE TEMP TABLE t (LIKE users)",
        "CREATE TEMP TABLE t (a int REFERENCES users)",
        "CREATE DOMAIN d AS int",
        "CREATE TYPE public.t AS (a int)",
        "SELEC 1",
    ] {
        refused(sql);
    }
}

#[test]
fn the_class_says_what_a_statement_does_to_the_session() {
    let class = |sql: &str| rewritten(sql).unwrap().class;
    assert!(class("SET search_path = a").may_change_search_path());
    assert!(class("SELECT set_config('search_path', 'a', false)").may_change_search_path());
    assert!(class("RESET ALL").may_change_search_path());
    assert!(class("DISCARD ALL").discards_temp());
    assert!(class("DISCARD TEMP").discards_temp());
    assert!(!class("DISCARD PLANS").discards_temp());
    assert!(class("COPY notes FROM STDIN").copy_in());
    assert!(class("BEGIN READ ONLY").may_begin_read_only());
    assert!(class("SET TRANSACTION READ ONLY").may_begin_read_only());
    assert!(class("ROLLBACK").transaction_control());
    assert!(class("SELECT 1; SELECT 2").multi());
    assert_eq!(class("SELECT 1"), daam_enforce::StatementClass::default());
}

#[test]
fn activation_and_notices_name_what_is_used() {
    assert_eq!(rewritten("EXECUTE p").unwrap().activate.len(), 3);
    let result = rewritten(
        "SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.email = 'x' ORDER BY region",
    )
    .unwrap();
    let tables: Vec<String> = result.activate.iter().map(ToString::to_string).collect();
    assert_eq!(tables, ["public.orders", "public.users"]);
    assert_eq!(
        result.notices,
        [
            "column `email` of `public.users` is masked for you: comparisons, ordering and grouping use the masked value"
        ]
    );
}

/// Pieces that, put together, are often SQL and often almost SQL.
const PIECES: &[&str] = &[
    "SELECT ",
    "* ",
    "email ",
    "users.email ",
    "public.users.email ",
    "FROM ",
    "users ",
    "public.users ",
    "ONLY ",
    "(",
    ") ",
    ", ",
    "orders o ",
    "JOIN ",
    "ON true ",
    "WHERE ",
    "= ",
    "'é' ",
    "WITH users AS (",
    "TABLE ",
    "UPDATE ",
    "SET name = ",
    "DELETE ",
    "USING ",
    "RETURNING ",
    "INSERT INTO ",
    "VALUES (1) ",
    "/* users */ ",
    "-- x\n",
    "U&\"\\0075sers\" ",
    "\"users\" ",
    "; ",
    "COPY ",
    "TO STDOUT ",
    "MERGE INTO ",
    "ORDER BY ",
    "FOR UPDATE ",
    "scratch ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is accepted names no protected table any more, and refusals are refusals, not panics.
    #[test]
    fn nothing_protected_is_left_in_what_is_accepted(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..14)) {
        let sql: String = pieces.concat();
        if let Ok(result) = rewritten(&sql) {
            let again = rewritten(&result.sql).unwrap();
            prop_assert_eq!(&again.sql, &result.sql);
            prop_assert!(again.activate.is_empty());
        }
    }

    /// The text may be anything at all.
    #[test]
    fn any_text_gets_an_answer(sql in "\\PC{0,60}") {
        if let Ok(result) = rewritten(&sql) {
            prop_assert!(result.edits.is_empty() || result.sql != sql);
        }
    }
}

#[test]
fn masked_columns_are_found_wherever_they_are_named() {
    let catalog = shop::catalog(170_000);
    let plan = shop::plan(&catalog);
    let touched = |sql: &str| {
        let tables = rewritten(sql).map(|known| known.activate).unwrap_or_default();
        let found = daam_enforce::masked_columns(sql, &plan, &tables);
        found.iter().map(|(table, column)| format!("{table}.{column}")).collect::<Vec<_>>().join(" ")
    };
    let email = "public.users.email";
    for sql in [
        "SELECT email FROM users",
        "SELECT u.\"email\" FROM users u",
        "SELECT upper(u.email || 'x') FROM users AS u",
        "SELECT * FROM users",
        "SELECT u.* FROM users u",
        "TABLE users",
        "SELECT u FROM users u",
        "SELECT to_jsonb(users) FROM users",
        "SELECT 1 FROM users WHERE email = 'x'",
        "SELECT 1 FROM (SELECT email AS e FROM users) x",
        "UPDATE users SET email = 'x' WHERE id = 1",
        "INSERT INTO users (id, email) VALUES (1, 'x')",
        "SELECT 1 FROM notes NATURAL JOIN users",
        "COPY users TO STDOUT",
        "COPY users (id, email) TO STDOUT",
    ] {
        assert_eq!(touched(sql), email, "{sql}");
    }
    for sql in
        ["SELECT id FROM users", "SELECT count(*) FROM users u WHERE u.id = 5", "SELECT body FROM notes"]
    {
        assert_eq!(touched(sql), "", "{sql}");
    }
}

#[test]
fn what_is_made_beside_a_temporary_table_takes_no_name_of_the_database() {
    for sql in [
        "CREATE TEMP TABLE z (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME salaries))",
        "CREATE TEMP TABLE z (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME pg_temp.salaries))",
        "CREATE INDEX users ON pg_temp.z (a)",
        "CREATE TEMP TABLE z (a int CONSTRAINT orders UNIQUE)",
        "CREATE TEMP TABLE z (a int, CONSTRAINT orders PRIMARY KEY (a))",
        "ALTER TABLE pg_temp.z ADD CONSTRAINT orders EXCLUDE (a WITH =)",
        "ALTER TABLE pg_temp.z RENAME CONSTRAINT c TO users",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(refusal.message.contains("would hide"), "{sql}: {refusal:?}");
    }
    for sql in [
        "CREATE TEMP TABLE z (id int GENERATED ALWAYS AS IDENTITY, CONSTRAINT z_key UNIQUE (id), CHECK (id > 0))",
        "CREATE INDEX ON pg_temp.z (a)",
        "CREATE TEMP TABLE z (a int CONSTRAINT users CHECK (a > 0))",
    ] {
        assert!(rewritten(sql).is_ok(), "{sql}: {:?}", rewritten(sql));
    }
}

#[test]
fn a_masked_column_in_parentheses_comes_back_under_its_name() {
    for sql in
        ["DELETE FROM users RETURNING (email)", "UPDATE users SET name = 'x' RETURNING ((users.email)), id"]
    {
        let sql = rewritten(sql).unwrap().sql;
        assert!(sql.contains(") AS \"email\""), "{sql}");
    }
}
