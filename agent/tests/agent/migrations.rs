//! Migrations beside live sessions that have used the table: none is ever in the way.

use crate::proxy::stage::{Stage, code, message, one};
use crate::world::{eventually, grant, policies};
use daam_agent::quiesce::Hold;
use daam_catalog::RelationName;
use daam_model::{Grant, Mask, PolicySet, Verb};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Masked, row-filtered and plain tables, partitions among them.
fn policy() -> PolicySet {
    let all = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let filtered =
        Grant { rows: Some("id > 0".to_owned()), ..grant("public.events*", &[Verb::Select, Verb::Update]) };
    let grants = vec![grant("public.users", &all), grant("public.orders", &all), filtered];
    policies(grants, &[("public.users.email", Mask::Email)])
}

const USES: [&str; 5] = [
    "SELECT email FROM users",
    "UPDATE users SET name = name",
    "SELECT * FROM orders",
    "SELECT * FROM events",
    "SELECT * FROM events_2026",
];

/// Sessions that have used every table, in a transaction, prepared and alone, and are idle now.
async fn idle_sessions(stage: &Stage) -> Vec<Client> {
    let mut sessions = Vec::new();
    for n in 0..3 {
        let client = stage.client().await;
        if n == 1 {
            client.batch_execute("BEGIN").await.unwrap();
        }
        for sql in USES {
            if n == 2 {
                client.execute(&client.prepare(sql).await.unwrap(), &[]).await.unwrap();
            } else {
                client.batch_execute(sql).await.unwrap();
            }
        }
        if n == 1 {
            client.batch_execute("COMMIT").await.unwrap();
        }
        sessions.push(client);
    }
    sessions
}

/// Runs a migration as the DBA would. One that meets a view that is not released yet fails at once, as it does beside
/// any other view, and is tried again; one that waits for a session fails by its lock timeout.
async fn migrate(stage: &Stage, sql: &str) {
    stage.world.superuser.batch_execute("SET lock_timeout = '2s'").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match stage.world.superuser.batch_execute(sql).await {
            Ok(()) => return,
            Err(error) => {
                let told = message::<()>(Err(error));
                assert!(!told.contains("55P03"), "`{sql}` waited for a session: {told}");
                assert!(Instant::now() < deadline, "`{sql}` is blocked: {told}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_migration_is_blocked_by_idle_sessions() {
    let stage = Stage::new(policy()).await;
    let sessions = idle_sessions(&stage).await;
    for sql in [
        "CREATE INDEX CONCURRENTLY by_name ON users (name)",
        "REINDEX INDEX CONCURRENTLY by_name",
        "DROP INDEX CONCURRENTLY by_name",
        "ALTER TABLE users DROP COLUMN tags",
        "ALTER TABLE users ALTER COLUMN region TYPE varchar(80)",
        "DROP VIEW contacts CASCADE",
        "DROP VIEW whole",
        "ALTER TABLE users ALTER COLUMN email TYPE varchar(300)",
        "ALTER TABLE users ADD COLUMN added int NOT NULL DEFAULT 1",
        "ALTER TABLE orders ALTER COLUMN id TYPE bigint",
        "CREATE TABLE events_2027 (LIKE events)",
        "ALTER TABLE events ATTACH PARTITION events_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "ALTER TABLE events DETACH PARTITION events_2027 CONCURRENTLY",
        "ALTER TABLE events DETACH PARTITION events_2026",
        "ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "ALTER TABLE events DROP COLUMN id CASCADE",
        "VACUUM FULL users",
        "TRUNCATE orders",
        "DROP TABLE events_2026",
        "DROP TABLE orders CASCADE",
        "DROP TABLE users CASCADE",
    ] {
        for client in &sessions {
            // What the migrations before have taken away fails, and that is no matter here.
            for used in USES {
                let _ = client.batch_execute(used).await;
            }
        }
        migrate(&stage, sql).await;
    }
    for client in &sessions {
        assert_eq!(one(client, "SELECT 1").await.unwrap(), "1", "the session lives on");
    }
}

fn hold(stage: &Stage, tables: &[&str], patience: Duration) -> Hold {
    let tables: BTreeSet<_> =
        tables.iter().map(|name| RelationName::stored("public", *name).unwrap()).collect();
    stage.ctx.holds.begin(tables, patience)
}

const VIEWS: &str = "SELECT relname::text FROM pg_class WHERE relname = 'public.users'";

#[tokio::test(flavor = "multi_thread")]
async fn held_tables_lose_their_views_at_once_and_statements_wait_for_the_end() {
    let stage = Stage::with_linger(policy(), Duration::from_secs(600)).await;
    let client = stage.client().await;
    assert!(one(&client, "SELECT email FROM users ORDER BY id LIMIT 1").await.unwrap().contains('*'));
    assert_eq!(stage.world.strings(VIEWS).await.len(), 1);
    let held = hold(&stage, &["users"], Duration::from_secs(60));
    eventually("the session has given its views back", async || held.unsettled().is_empty()).await;
    eventually("the view is gone", async || stage.world.strings(VIEWS).await.is_empty()).await;
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await.unwrap(), "0", "other tables are not held");
    let prepared = stage.client().await;
    let waiting = tokio::spawn(async move {
        let simple = one(&client, "SELECT email FROM users ORDER BY id LIMIT 1").await.unwrap();
        let extended = client.query_one("SELECT email FROM users ORDER BY id LIMIT 1", &[]).await.unwrap();
        (simple, extended.get::<_, String>(0))
    });
    let also = tokio::spawn(async move { prepared.prepare("SELECT email FROM users").await.map(drop) });
    stage
        .world
        .superuser
        .batch_execute("ALTER TABLE users ALTER COLUMN region TYPE varchar(80)")
        .await
        .unwrap();
    assert!(!waiting.is_finished() && !also.is_finished());
    drop(held);
    let (simple, extended) = waiting.await.unwrap();
    assert!(simple.contains('*') && extended.contains('*'), "{simple} {extended}");
    also.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_too_long_for_a_held_table_is_refused_and_nothing_else() {
    let stage = Stage::new(policy()).await;
    let client = stage.client().await;
    let statement = client.prepare("SELECT email FROM users").await.unwrap();
    let held = hold(&stage, &["users"], Duration::from_millis(50));
    eventually("the session has taken note", async || held.unsettled().is_empty()).await;
    let told = message(client.simple_query("SELECT email FROM users").await);
    assert!(
        told.contains("55P03") && told.contains("`public.users`") && told.contains("migration"),
        "{told}"
    );
    assert_eq!(code(client.query("SELECT email FROM users", &[]).await), "55P03");
    assert_eq!(code(client.query(&statement, &[]).await), "55P03");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await.unwrap(), "0");
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(code(client.query(&statement, &[]).await), "55P03");
    assert_eq!(code(client.simple_query("SELECT 1").await), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    drop(held);
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_for_a_held_table_can_be_cancelled() {
    let stage = Stage::new(policy()).await;
    let client = stage.client().await;
    let held = hold(&stage, &["users"], Duration::from_secs(600));
    eventually("the session has taken note", async || held.unsettled().is_empty()).await;
    let token = client.cancel_token();
    let waiting = tokio::spawn(async move { code(client.simple_query("SELECT email FROM users").await) });
    // The first requests may come before the statement does.
    eventually("the statement is refused", async || {
        let (stream, end) = stage.stream();
        token.cancel_query_raw(stream, tokio_postgres::NoTls).await.unwrap();
        end.await.unwrap();
        waiting.is_finished()
    })
    .await;
    assert_eq!(waiting.await.unwrap(), "55P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_uses_a_held_table_may_finish_first() {
    let stage = Stage::new(policy()).await;
    let client = stage.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    assert!(one(&client, "SELECT email FROM users ORDER BY id LIMIT 1").await.unwrap().contains('*'));
    let held = hold(&stage, &["users"], Duration::ZERO);
    assert!(one(&client, "SELECT email FROM users ORDER BY id LIMIT 1").await.unwrap().contains('*'));
    assert_eq!(held.unsettled().len(), 1, "the migration must wait for it");
    client.batch_execute("COMMIT").await.unwrap();
    eventually("the session has given its views back", async || held.unsettled().is_empty()).await;
    assert_eq!(code(client.simple_query("SELECT email FROM users").await), "55P03");
}
