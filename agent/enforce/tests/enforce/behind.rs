//! Ways around the views: what the server tells of rows it does not show, and names that could be taken for others.

use crate::rewriting::{becomes, rewritten};

#[test]
fn plans_of_tables_with_hidden_rows_are_shown_without_counts() {
    becomes(&[
        ("EXPLAIN SELECT 1 FROM orders", "EXPLAIN (COSTS OFF) SELECT 1 FROM {o} AS \"orders\""),
        ("EXPLAIN(TABLE orders)", "EXPLAIN (COSTS OFF)(SELECT * FROM {o} AS \"orders\")"),
        (
            "SELECT 1; /**/ explain verbose select 1 from orders",
            "SELECT 1; /**/ explain (VERBOSE, COSTS OFF) select 1 from {o} AS \"orders\"",
        ),
        (
            "EXPLAIN (FORMAT json, COSTS) SELECT 1 FROM users, orders",
            "EXPLAIN (FORMAT json, COSTS, COSTS OFF) SELECT 1 FROM {u} AS \"users\", {o} AS \"orders\"",
        ),
        (
            "EXPLAIN (COSTS off, ANALYZE false) TABLE orders",
            "EXPLAIN (COSTS off, ANALYZE false) SELECT * FROM {o} AS \"orders\"",
        ),
        ("EXPLAIN SELECT 1 FROM mine", "EXPLAIN (COSTS OFF) SELECT 1 FROM pg_temp.mine"),
        ("EXPLAIN EXECUTE p", "EXPLAIN (COSTS OFF) EXECUTE p"),
        ("EXPLAIN SELECT 1 FROM users", "EXPLAIN SELECT 1 FROM {u} AS \"users\""),
        (
            "EXPLAIN ANALYZE SELECT 1 FROM users, notes",
            "EXPLAIN ANALYZE SELECT 1 FROM {u} AS \"users\", notes",
        ),
        (
            "WITH mine AS (SELECT 1) SELECT 1 FROM mine; EXPLAIN ANALYZE WITH mine AS (SELECT 1) TABLE mine",
            "WITH mine AS (SELECT 1) SELECT 1 FROM mine; EXPLAIN ANALYZE WITH mine AS (SELECT 1) TABLE mine",
        ),
    ]);
    for sql in [
        "EXPLAIN ANALYZE SELECT count(*) FROM orders",
        "EXPLAIN (FORMAT json, ANALYZE) SELECT 1 WHERE EXISTS (SELECT 1 FROM orders)",
        "EXPLAIN (ANALYZE on) DELETE FROM orders",
        "EXPLAIN (ANALYZE false, ANALYZE 1) TABLE orders",
        "EXPLAIN ANALYZE TABLE pg_temp.\"public.orders\"",
        "EXPLAIN ANALYZE TABLE mine",
        "EXPLAIN ANALYZE INSERT INTO pg_temp.mine SELECT 1",
        "EXPLAIN ANALYZE EXECUTE p",
        "EXPLAIN ANALYZE CREATE TEMP TABLE x AS EXECUTE p",
        "SELECT 1; EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1 FROM orders",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert_eq!(refusal.sqlstate, "0A000", "{sql}");
        assert!(refusal.message.contains("you do not see"), "{sql}: {refusal:?}");
    }
}

#[test]
fn new_objects_hide_no_relation_and_no_type() {
    for (sql, hidden) in [
        ("CREATE TEMP TABLE salaries (id int)", "public.salaries"),
        ("SELECT 1 AS id INTO TEMP users", "public.users"),
        ("CREATE TEMP VIEW orders_id_seq AS SELECT 1", "public.orders_id_seq"),
        ("CREATE TEMP TABLE x (id int); ALTER TABLE x RENAME TO salaries", "public.salaries"),
        ("ALTER VIEW pg_temp.x RENAME TO notes", "public.notes"),
        ("ALTER TYPE pg_temp.x RENAME TO text", "pg_catalog.text"),
        ("CREATE DOMAIN pg_temp.text AS pg_catalog.text", "pg_catalog.text"),
        ("CREATE TYPE pg_temp.uuid AS (a int)", "pg_catalog.uuid"),
        ("CREATE TYPE pg_temp.int4 AS ENUM ('a')", "pg_catalog.int4"),
        ("CREATE TEMP TABLE date (id int)", "pg_catalog.date"),
        ("CREATE TEMP VIEW pg_mine AS SELECT 1", "pg_catalog.pg_mine"),
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(refusal.message.contains(hidden), "{sql}: {refusal:?}");
    }
    for sql in [
        "CREATE TEMP TABLE mine (id int)",
        "ALTER TABLE pg_temp.mine RENAME COLUMN id TO users",
        "ALTER TABLE pg_temp.mine RENAME TO other",
        "CREATE DOMAIN pg_temp.positive AS int CHECK (VALUE > 0)",
    ] {
        assert_eq!(rewritten(sql).map(|it| it.sql), Ok(sql.to_owned()));
    }
}

#[test]
fn no_name_is_looked_up_in_a_path_that_the_same_text_changes() {
    for sql in [
        "SET search_path = admin; SELECT * FROM notes",
        "SELECT set_config('search_path', 'admin', false); TABLE users",
        "SET search_path = admin; DELETE FROM nowhere",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(refusal.message.contains("search path"), "{sql}: {refusal:?}");
    }
    for sql in [
        "CREATE TEMP VIEW moves AS SELECT set_config('search_path', 'admin', false)",
        "CREATE TEMP TABLE moves (a text DEFAULT set_config('search_path', 'admin', false))",
        "CREATE DOMAIN pg_temp.moves AS text CHECK (set_config('search_path', VALUE, false) = '')",
    ] {
        assert!(rewritten(sql).is_err(), "{sql}");
    }
    becomes(&[(
        "SET search_path = admin; SELECT 1 FROM pg_class; WITH a AS (SELECT 1) SELECT * FROM a, public.users",
        "SET search_path = admin; SELECT 1 FROM pg_catalog.pg_class; WITH a AS (SELECT 1) SELECT * FROM a, {u} AS \"users\"",
    )]);
}

#[test]
fn what_counts_the_rows_a_statement_visits_is_not_shown_where_rows_are_hidden() {
    for sql in [
        "SELECT idx_tup_fetch FROM pg_stat_xact_all_tables",
        "SELECT * FROM pg_catalog.pg_stat_user_indexes",
        "TABLE pg_statio_user_tables",
        "SELECT page, tuple FROM pg_locks",
        "SELECT pg_stat_get_xact_tuples_fetched(1)",
        "SELECT pg_catalog.pg_stat_get_blocks_hit(1), pg_stat_get_live_tuples(2)",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(refusal.message.contains("hides"), "{sql}: {refusal:?}");
    }
    for sql in
        ["SELECT pid FROM pg_stat_activity", "SELECT pg_stat_get_activity(NULL)", "TABLE pg_stat_replication"]
    {
        assert!(rewritten(sql).is_ok(), "{sql}");
    }
}
