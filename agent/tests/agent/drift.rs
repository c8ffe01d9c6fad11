//! Tables that change under live sessions: nothing is ever readable that the policy would mask, and what is made anew
//! works as before.

use crate::proxy::stage::{Stage, code, message, one};
use crate::world::{grant, policies};
use daam_model::{Grant, Mask, PolicySet, Verb};

const ALL: [Verb; 4] = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];

/// Everything is readable, and whatever is called like an address is masked.
fn by_pattern() -> PolicySet {
    policies(vec![grant("public.*", &ALL)], &[("*.*.*email*", Mask::Email), ("*.*.mail", Mask::Null)])
}

async fn dba(stage: &Stage, sql: &str) {
    stage.world.superuser.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_that_a_mask_pattern_is_about_is_masked_from_its_first_appearance() {
    let stage = Stage::new(by_pattern()).await;
    let client = stage.client().await;
    let before = one(&client, "SELECT count(*) FROM orders").await.unwrap();
    dba(&stage, "INSERT INTO orders (user_id) VALUES (1); ALTER TABLE orders ADD COLUMN email text DEFAULT 'raw@example.com'")
        .await;
    let seen = "SELECT email FROM orders";
    for sql in
        [seen, "SELECT * FROM orders", "SELECT o FROM orders o", "TABLE orders", "COPY orders TO STDOUT"]
    {
        assert_eq!(code(client.simple_query(sql).await), "42501", "{sql}");
        assert_eq!(code(stage.client().await.simple_query(sql).await), "42501", "{sql} in a new session");
    }
    assert_ne!(one(&client, "SELECT count(*) FROM orders").await.unwrap(), before, "the rest goes on");
    stage.look_again().await;
    let masked = one(&client, seen).await.unwrap();
    assert!(masked.contains('*') && !masked.contains("raw"), "{masked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_of_a_table_that_is_open_to_everyone_is_masked_from_its_first_appearance() {
    let stage = Stage::new(by_pattern()).await;
    dba(&stage, "GRANT SELECT ON orders TO PUBLIC; INSERT INTO orders (user_id) VALUES (1)").await;
    stage.look_again().await;
    let client = stage.client().await;
    dba(&stage, "ALTER TABLE orders ADD COLUMN email text DEFAULT 'raw@example.com'").await;
    assert_eq!(code(client.simple_query("SELECT email FROM orders").await), "42703");
    stage.look_again().await;
    assert!(one(&client, "SELECT email FROM orders").await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_of_a_parent_is_masked_in_its_partitions_and_the_other_way_round() {
    let grants = || vec![grant("public.events*", &[Verb::Select])];
    for mask in ["public.events.email", "public.events_2026.email"] {
        let stage = Stage::new(policies(grants(), &[(mask, Mask::Redact)])).await;
        let client = stage.client().await;
        dba(&stage, "INSERT INTO events VALUES (1, '2026-05-05'); ALTER TABLE events ADD COLUMN email text DEFAULT 'raw'").await;
        for table in ["events", "events_2026"] {
            assert_eq!(
                code(client.simple_query(&format!("SELECT email FROM {table}")).await),
                "42501",
                "{table}"
            );
            assert_eq!(one(&client, &format!("SELECT id FROM {table}")).await.unwrap(), "1");
        }
        stage.look_again().await;
        for table in ["events", "events_2026"] {
            assert_eq!(one(&client, &format!("SELECT email FROM {table}")).await.unwrap(), "***", "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_of_a_masked_table_is_not_readable_before_the_agent_has_seen_it() {
    let set = policies(vec![grant("public.users", &ALL)], &[("public.users.email", Mask::Email)]);
    let stage = Stage::new(set).await;
    let client = stage.client().await;
    let star = "SELECT * FROM users ORDER BY id LIMIT 1";
    let columns = client.prepare(star).await.unwrap().columns().len();
    dba(&stage, "ALTER TABLE users ADD COLUMN phone text DEFAULT '+31'").await;
    assert_eq!(code(client.simple_query("SELECT phone FROM users").await), "42703");
    assert_eq!(client.prepare(star).await.unwrap().columns().len(), columns);
    stage.look_again().await;
    assert_eq!(one(&client, "SELECT phone FROM users LIMIT 1").await.unwrap(), "+31");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_given_another_column_does_not_show_it_before_the_agent_has_seen_it() {
    let set = policies(vec![grant("public.brief", &[Verb::Select])], &[("public.users.email", Mask::Email)]);
    let stage = Stage::new(set).await;
    dba(&stage, "CREATE VIEW brief AS SELECT id FROM users; ALTER VIEW brief OWNER TO shop_owner").await;
    stage.look_again().await;
    let client = stage.client().await;
    assert_eq!(one(&client, "SELECT count(*) FROM brief").await.unwrap(), "2");
    dba(&stage, "CREATE OR REPLACE VIEW brief AS SELECT id, email AS contact FROM users").await;
    assert_eq!(code(client.simple_query("SELECT contact FROM brief").await), "42501");
    assert_eq!(code(client.simple_query("SELECT * FROM brief").await), "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_appears_under_the_patterns_when_the_agent_has_seen_it() {
    let stage = Stage::new(by_pattern()).await;
    let client = stage.client().await;
    dba(&stage, "CREATE TABLE leads (id int, email text); INSERT INTO leads VALUES (1, 'raw@example.com'); ALTER TABLE leads OWNER TO shop_owner")
        .await;
    let read = "SELECT email FROM public.leads";
    assert_eq!(code(client.simple_query(read).await), "42501");
    stage.look_again().await;
    assert!(one(&client, read).await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_dropped_and_made_again_work_as_before() {
    let rows = Grant { rows: Some("id > 0".to_owned()), ..grant("hr.staff", &[Verb::Select]) };
    let grants = vec![grant("public.users", &ALL), grant("public.orders", &ALL), rows];
    let stage = Stage::new(policies(grants, &[("public.users.email", Mask::Email)])).await;
    let (idle, other) = (stage.client().await, stage.client().await);
    for sql in ["SELECT email FROM users", "SELECT * FROM orders", "SELECT * FROM hr.staff"] {
        idle.batch_execute(sql).await.unwrap();
    }
    dba(
        &stage,
        "SELECT pg_sleep(0.2); \
         CREATE TABLE users2 (LIKE users INCLUDING ALL); ALTER TABLE users2 OWNER TO shop_owner; \
         CREATE TABLE orders2 (LIKE orders INCLUDING ALL); ALTER TABLE orders2 OWNER TO shop_owner; \
         CREATE TABLE staff2 (LIKE hr.staff INCLUDING ALL); ALTER TABLE staff2 OWNER TO shop_owner; \
         DROP TABLE users CASCADE; DROP TABLE orders CASCADE; DROP TABLE hr.staff; \
         ALTER TABLE users2 RENAME TO users; ALTER TABLE orders2 RENAME TO orders; \
         ALTER TABLE staff2 SET SCHEMA hr; ALTER TABLE hr.staff2 RENAME TO staff; \
         INSERT INTO users (email, region) VALUES ('new@example.com', 'eu'); INSERT INTO orders VALUES (1, 1, 1); \
         INSERT INTO hr.staff VALUES (1, 1)",
    )
    .await;
    stage.look_again().await;
    let fresh = stage.client().await;
    for client in [&idle, &other, &fresh] {
        assert!(one(client, "SELECT email FROM users").await.unwrap().contains('*'));
        assert_eq!(one(client, "SELECT count(*) FROM orders").await.unwrap(), "1");
        assert_eq!(one(client, "SELECT count(*) FROM hr.staff").await.unwrap(), "1");
        client.batch_execute("UPDATE users SET name = 'x'; DELETE FROM orders WHERE id > 100").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_renamed_takes_no_privilege_along() {
    let stage = Stage::new(policies(vec![grant("public.orders", &ALL)], &[])).await;
    let client = stage.client().await;
    client.batch_execute("SELECT * FROM orders").await.unwrap();
    dba(
        &stage,
        "ALTER TABLE orders RENAME TO orders_old; CREATE TABLE orders (LIKE orders_old); \
         ALTER TABLE orders OWNER TO shop_owner",
    )
    .await;
    stage.look_again().await;
    client.batch_execute("SELECT * FROM orders").await.unwrap();
    let left = "SELECT g.grantee FROM information_schema.role_table_grants g \
                WHERE g.table_name = 'orders_old' AND starts_with(g.grantee, 'daam_')";
    assert_eq!(stage.world.strings(left).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_dropped_and_made_again_is_readable_again() {
    let stage = Stage::new(by_pattern()).await;
    let client = stage.client().await;
    client.batch_execute("SELECT total FROM orders").await.unwrap();
    dba(
        &stage,
        "ALTER TABLE orders DROP COLUMN total CASCADE; ALTER TABLE orders ADD COLUMN total numeric(10,2)",
    )
    .await;
    stage.look_again().await;
    client.batch_execute("SELECT total, * FROM orders").await.unwrap();
    client.batch_execute("SELECT ctid, xmin, tableoid FROM orders FOR UPDATE").await.unwrap();
    client
        .batch_execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE; LOCK orders IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let locked = "SELECT mode FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessShareLock'";
    assert!(!stage.world.strings(locked).await.is_empty(), "the lock is held to the end of the transaction");
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_meets_a_change_is_told_so_and_the_agent_looks_again() {
    let set = policies(vec![grant("public.users", &ALL)], &[("public.users.email", Mask::Email)]);
    let stage = Stage::new(set).await;
    let client = stage.client().await;
    dba(&stage, "ALTER TABLE users DROP COLUMN tags").await;
    let told = message(client.simple_query("SELECT email FROM users").await);
    assert!(told.contains("has just changed") && told.contains("run the statement again"), "{told}");
    assert!(!told.contains("tags") && !told.contains("CREATE VIEW"), "{told}");
    tokio::time::timeout(crate::proxy::stage::SOON, stage.ctx.drift.notified()).await.unwrap();
    stage.look_again().await;
    assert!(one(&client, "SELECT email FROM users").await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_change_places_never_show_what_is_masked() {
    let set = policies(vec![grant("public.users", &ALL)], &[("public.users.email", Mask::Email)]);
    let stage = Stage::with_linger(set, std::time::Duration::ZERO).await;
    let (before, repeatable) = (stage.client().await, stage.client().await);
    // Its snapshot is older than the change.
    repeatable.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders").await.ok();
    repeatable.batch_execute("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    dba(
        &stage,
        "ALTER TABLE users RENAME COLUMN email TO x; ALTER TABLE users RENAME COLUMN name TO email; \
         ALTER TABLE users RENAME COLUMN x TO name",
    )
    .await;
    let after = stage.client().await;
    for client in [&before, &repeatable, &after] {
        for sql in ["SELECT name FROM users", "UPDATE users SET region = 'eu' RETURNING name"] {
            let told = client.simple_query(sql).await;
            assert_eq!(code(told), "42703", "{sql}");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
    stage.look_again().await;
    // What is called so now is what the policy means.
    assert_ne!(one(&before, "SELECT email FROM users WHERE id = 1").await.unwrap(), "Jane");
    assert_ne!(one(&after, "SELECT email FROM users WHERE id = 1").await.unwrap(), "Jane");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_granted_column_by_column_is_locked_by_every_protocol_as_it_is_without_the_agent() {
    let stage = Stage::new(by_pattern()).await;
    let client = stage.client().await;
    let locked = "SELECT l.mode::text FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                  WHERE l.relation = 'orders'::regclass AND starts_with(a.usename::text, 'daam_s_')";
    for prepared in [true, false] {
        client.batch_execute("BEGIN").await.unwrap();
        let lock = "LOCK TABLE orders IN ACCESS SHARE MODE";
        if prepared {
            let statement = client.prepare(lock).await.unwrap();
            client.execute(&statement, &[]).await.unwrap();
        } else {
            let told = client.simple_query(lock).await.unwrap();
            assert_eq!(told.len(), 1, "one statement, one answer: {told:?}");
        }
        assert_eq!(stage.world.strings(locked).await, ["AccessShareLock"], "{prepared}");
        client.batch_execute("COMMIT").await.unwrap();
        assert!(stage.world.strings(locked).await.is_empty());
        assert_eq!(code(client.simple_query(lock).await), "25P01");
    }
}
