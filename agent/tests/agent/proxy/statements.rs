//! What a developer notices: results, errors, transactions.

use super::stage::{Stage, code, masked, message, one, open};
use crate::world::eventually;
use futures_util::{SinkExt as _, StreamExt as _};
use std::pin::pin;
use std::time::Duration;

const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_reads_masked_and_the_session_leaves_no_roles() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    let email = one(&client, EMAIL).await.unwrap();
    assert!(email.starts_with('j') && email.contains('*'), "{email}");
    let row = client.query_one(EMAIL, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), email);
    assert_eq!(stage.ctx.sessions.count(), 1);
    assert!(!stage.world.roles().await.is_empty());
    drop(client);
    eventually("the roles are gone", async || stage.world.roles().await.is_empty()).await;
    assert_eq!(stage.ctx.sessions.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_survives_the_release_of_its_views() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let client = stage.client().await;
    let statement = client.prepare("SELECT email FROM users WHERE id = $1").await.unwrap();
    let views = "SELECT relname::text FROM pg_class WHERE relname = 'public.users'";
    for _ in 0..3 {
        let row = client.query_one(&statement, &[&1_i64]).await.unwrap();
        assert!(row.get::<_, String>(0).contains('*'));
        eventually("the views are released", async || stage.world.strings(views).await.is_empty()).await;
    }
    stage.world.superuser.batch_execute("ALTER TABLE users DROP COLUMN tags").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_a_rolled_back_transaction_are_made_again() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    one(&client, EMAIL).await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    one(&client, EMAIL).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("SAVEPOINT a").await.unwrap();
    one(&client, EMAIL).await.unwrap();
    client.batch_execute("ROLLBACK TO SAVEPOINT a").await.unwrap();
    one(&client, EMAIL).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_an_open_transaction_and_nothing_more() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    let refused = "SELECT * FROM hr.staff";
    assert_eq!(code(client.simple_query(refused).await), "42501");
    assert!(message(client.simple_query(refused).await).contains("hr.staff"));
    assert_eq!(code(client.query(refused, &[]).await), "42501");
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(code(client.simple_query(refused).await), "42501");
    assert_eq!(code(client.simple_query("SELECT 1").await), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(code(client.query(refused, &[]).await), "42501");
    assert_eq!(code(client.query("SELECT 1", &[]).await), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn discard_all_is_survived() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    one(&client, EMAIL).await.unwrap();
    for _ in 0..2 {
        client.batch_execute("DISCARD ALL").await.unwrap();
        assert!(one(&client, EMAIL).await.unwrap().contains('*'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_transactions_find_their_views() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
    client.batch_execute("COMMIT").await.unwrap();
    let client =
        stage.try_client("dbname=shop user=x options='-c default_transaction_read_only=on'").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
    assert!(client.query_one(EMAIL, &[]).await.unwrap().get::<_, String>(0).contains('*'));
    client.batch_execute("BEGIN").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
    client.batch_execute("COMMIT").await.unwrap();
}

/// What pg_dump, Hibernate and psycopg2 say first in their transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_can_be_told_its_isolation_and_that_it_only_reads_at_once() {
    let stage = Stage::new(masked()).await;
    for (modes, isolation, deferrable) in [
        ("ISOLATION LEVEL REPEATABLE READ, READ ONLY", "repeatable read", "off"),
        ("READ ONLY ISOLATION LEVEL SERIALIZABLE DEFERRABLE", "serializable", "on"),
        ("NOT DEFERRABLE, READ ONLY, ISOLATION LEVEL READ COMMITTED", "read committed", "off"),
    ] {
        let says = |name| format!("SELECT current_setting('transaction_{name}')");
        let set = format!("/* a */ SET TRANSACTION {modes} /* b */ ;");
        // Each in a session that has no view yet, and in one that has.
        let client = stage.client().await;
        for _ in 0..2 {
            client.batch_execute("BEGIN").await.unwrap();
            client.batch_execute(&set).await.unwrap();
            assert!(one(&client, EMAIL).await.unwrap().contains('*'), "{modes}");
            assert_eq!(one(&client, &says("isolation")).await.unwrap(), isolation);
            assert_eq!(one(&client, &says("deferrable")).await.unwrap(), deferrable);
            assert_eq!(one(&client, &says("read_only")).await.unwrap(), "on");
            assert_eq!(code(client.batch_execute("UPDATE users SET name = 'x'").await), "25006");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        let client = stage.client().await;
        client.batch_execute("BEGIN").await.unwrap();
        client.execute(&set, &[]).await.unwrap();
        assert!(client.query_one(EMAIL, &[]).await.unwrap().get::<_, String>(0).contains('*'), "{modes}");
        assert_eq!(one(&client, &says("isolation")).await.unwrap(), isolation);
        client.batch_execute("COMMIT").await.unwrap();
        // Too late, as PostgreSQL has it, and outside of a transaction a warning.
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute("SELECT 1").await.unwrap();
        let late = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY";
        assert_eq!(code(client.batch_execute(late).await), "25001");
        client.batch_execute("ROLLBACK").await.unwrap();
        client.batch_execute(late).await.unwrap();
        client.batch_execute("UPDATE users SET name = name").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_path_decides_what_a_name_means() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    client.batch_execute("SET search_path = hr").await.unwrap();
    assert_eq!(code(client.simple_query(EMAIL).await), "42P01");
    client.batch_execute("BEGIN; SET LOCAL search_path = public").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(code(client.query(EMAIL, &[]).await), "42P01");
    client.batch_execute("RESET search_path").await.unwrap();
    assert!(client.query_one(EMAIL, &[]).await.unwrap().get::<_, String>(0).contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_goes_both_ways() {
    let stage = Stage::new(open()).await;
    let client = stage.client().await;
    let sink = client.copy_in("COPY users (email, name) FROM STDIN").await.unwrap();
    let mut sink = pin!(sink);
    sink.send(bytes::Bytes::from_static(b"zoe@example.net\tZoe\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);
    // A failing COPY leaves the session in step.
    let sink = client.copy_in("COPY users (email, name) FROM STDIN").await.unwrap();
    let mut sink = pin!(sink);
    let _ = sink.send(bytes::Bytes::from_static(b"one\ttwo\tthree\n")).await;
    assert_eq!(code(sink.finish().await), "22P04");
    stage.publish(masked());
    eventually("the mask is there", async || {
        one(&client, EMAIL).await.is_ok_and(|email| email.contains('*'))
    })
    .await;
    let stream = client.copy_out("COPY users TO STDOUT").await.unwrap();
    let rows: Vec<_> = pin!(stream).collect().await;
    let text: String =
        rows.into_iter().map(|row| String::from_utf8(row.unwrap().to_vec()).unwrap()).collect();
    assert!(text.contains("Zoe") && !text.contains("zoe@example.net"), "{text}");
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_position_points_into_what_was_written() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    let sql = "SELECT u.email FROM users u WHERE u.nope = 1";
    let at = sql.find("u.nope").unwrap() + 1;
    for result in [client.simple_query(sql).await.err(), client.prepare(sql).await.err()] {
        let error = result.unwrap();
        let position = error.as_db_error().unwrap().position().cloned();
        let expected = tokio_postgres::error::ErrorPosition::Original(u32::try_from(at).unwrap());
        assert_eq!(position, Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqls_own_prepare_finds_its_views() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let client = stage.client().await;
    client.batch_execute("PREPARE q AS SELECT email FROM users ORDER BY id").await.unwrap();
    let views = "SELECT relname::text FROM pg_class WHERE relname = 'public.users'";
    eventually("the views are released", async || stage.world.strings(views).await.is_empty()).await;
    assert!(one(&client, "EXECUTE q").await.unwrap().contains('*'));
}
