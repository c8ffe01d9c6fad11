//! What somebody with a session of their own tried, who knows PostgreSQL well.

use super::stage::{Stage, code, masked, one};
use crate::world::{grant, policies};
use daam_model::{Grant, Mask, PolicySet, SessionLimits, Verb};
use daam_pgwire::frontend::query;

const ALL: [Verb; 4] = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];

async fn stage(sql: &str, set: PolicySet) -> Stage {
    let stage = Stage::new(set).await;
    stage.world.superuser.batch_execute(sql).await.unwrap();
    stage.look_again().await;
    stage
}

fn filtered(rows: &str) -> PolicySet {
    policies(vec![Grant { rows: Some(rows.to_owned()), ..grant("public.words", &[Verb::Select]) }], &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filters_constants_mean_the_same_whatever_the_session_has_set() {
    let words = "CREATE TABLE public.words (word text, at timestamptz DEFAULT '2030-01-01 00:00+00'); \
                 ALTER TABLE public.words OWNER TO shop_owner; INSERT INTO public.words VALUES ('y')";
    let stage = stage(words, filtered("word <> all ('{x,NULL}'::text[])")).await;
    for setting in ["SELECT 1", "SET array_nulls = off", "SET timezone_abbreviations = 'Australia'"] {
        let client = stage.client().await;
        client.batch_execute(setting).await.unwrap();
        assert_eq!(one(&client, "SELECT count(*) FROM words").await.unwrap(), "0", "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_compares_values_of_a_type_as_the_type_does() {
    let words = "CREATE EXTENSION citext; CREATE TABLE public.words (word citext, other citext); \
                 ALTER TABLE public.words OWNER TO shop_owner; INSERT INTO public.words VALUES ('Ab', 'aB'), ('c', 'd')";
    let stage = stage(words, filtered("true")).await;
    for (rows, expected) in [
        ("word = 'AB'", "1"),
        ("word <> 'AB'", "1"),
        ("word in ('AB', 'C')", "2"),
        ("word not in ('AB', 'C')", "0"),
        ("word like 'A%'", "1"),
        ("word = other", "1"),
        ("word is distinct from 'AB'", "1"),
        ("word is not distinct from 'AB'", "1"),
        ("word between 'AA' and 'AC'", "1"),
        ("case word when 'AB' then true else false end", "1"),
        ("word = any ('{AB,C}')", "2"),
        ("word in (select w.other from public.words w)", "1"),
        ("word = 'AB'::text", "0"),
    ] {
        let directly =
            stage.world.strings(&format!("SELECT count(*)::text FROM public.words WHERE {rows}")).await;
        assert_eq!(directly, [expected], "PostgreSQL itself: {rows}");
        stage.publish(filtered(rows));
        let client = stage.client().await;
        assert_eq!(one(&client, "SELECT count(*) FROM words").await.unwrap(), expected, "{rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_rule_shows_nothing() {
    let rules = "CREATE TABLE public.words (word text); CREATE VIEW public.lines AS SELECT word FROM public.words; \
                 CREATE VIEW public.over AS SELECT word FROM public.lines; \
                 CREATE RULE tell AS ON INSERT TO public.words DO ALSO SELECT email FROM public.users; \
                 CREATE RULE gone AS ON DELETE TO public.lines DO INSTEAD UPDATE public.users SET name = name RETURNING email; \
                 ALTER TABLE public.words OWNER TO shop_owner; ALTER VIEW public.lines OWNER TO shop_owner; \
                 ALTER VIEW public.over OWNER TO shop_owner; INSERT INTO public.words VALUES ('y')";
    let grants = ["public.users", "public.words", "public.lines", "public.over"].map(|on| grant(on, &ALL));
    let stage = stage(rules, policies(grants.into(), &[("public.users.email", Mask::Email)])).await;
    let client = stage.client().await;
    for sql in [
        "INSERT INTO words VALUES ('x')",
        "DELETE FROM lines RETURNING *",
        "DELETE FROM over",
        "INSERT INTO over VALUES ('x')",
    ] {
        let refused = client.simple_query(sql).await.unwrap_err();
        let refused = refused.as_db_error().unwrap();
        assert_eq!(refused.code().code(), "42501", "{sql}");
        let said = format!("{} {}", refused.message(), refused.detail().unwrap_or_default());
        assert!(said.contains("CREATE RULE"), "{sql}: {said}");
    }
    assert_eq!(one(&client, "SELECT word FROM over").await.unwrap(), "y");
    // What no rule rewrites.
    client.batch_execute("UPDATE users SET name = 'n'; UPDATE over SET word = 'z'").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_only_reads_is_not_told_otherwise_in_other_words() {
    let only_reads = || PolicySet {
        policies: masked()
            .policies
            .into_iter()
            .map(|policy| daam_model::Policy {
                session: SessionLimits { read_only: Some(true), ..SessionLimits::default() },
                ..policy
            })
            .collect(),
        ..masked()
    };
    let read_only = Stage::new(only_reads()).await;
    let client = read_only.client().await;
    for sql in [
        "BEGIN READ /* x */ WRITE",
        "SET U&\"default_transaction_read\\005fonly\" = off",
        "SET default_transaction_read_only = 0",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ /* x */ WRITE",
        "SELECT set_config(E'transaction_read\\x5fonly', 'off', false)",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
    ] {
        assert_eq!(code(client.simple_query(sql).await), "42501", "{sql}");
    }
    for sql in ["RESET default_transaction_read_only", "RESET ALL", "BEGIN READ ONLY; COMMIT", "DISCARD ALL"]
    {
        client.batch_execute(sql).await.unwrap();
        assert_eq!(one(&client, "SHOW transaction_read_only").await.unwrap(), "on", "{sql}");
    }
    // A session that lives when the policy says so, idle or in a transaction.
    let stage = Stage::new(masked()).await;
    let (idle, open) = (stage.client().await, stage.client().await);
    open.batch_execute("BEGIN; UPDATE users SET name = 'x'").await.unwrap();
    stage.publish(only_reads());
    crate::world::eventually("the transaction has failed", async || {
        code(open.simple_query("SELECT 1").await) == "25P02"
    })
    .await;
    open.batch_execute("ROLLBACK").await.unwrap();
    for client in [&idle, &open] {
        crate::world::eventually("the session only reads", async || {
            one(client, "SHOW transaction_read_only").await.unwrap() == "on"
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_a_transaction_can_be_set_in_it() {
    let stage = Stage::with_linger(masked(), std::time::Duration::ZERO).await;
    let client = stage.client().await;
    for before in [
        "SELECT 1",
        "SET client_min_messages = warning",
        "SET search_path = public",
        "SELECT email FROM users",
    ] {
        client.batch_execute(before).await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await.unwrap();
        assert_eq!(one(&client, "SHOW transaction_isolation").await.unwrap(), "serializable", "{before}");
        assert!(one(&client, "SELECT email FROM users LIMIT 1").await.unwrap().contains('*'));
        client.batch_execute("COMMIT").await.unwrap();
        // And as drivers send it, prepared.
        client.batch_execute("BEGIN; SET LOCAL search_path = public").await.unwrap();
        client.execute("set transaction isolation level repeatable read", &[]).await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_too_long_to_be_read_is_refused_and_others_go_on() {
    let stage = Stage::new(masked()).await;
    let (mut raw, client) = (stage.raw().await, stage.client().await);
    let long = format!("SELECT 1 WHERE 1 IN (1{})", ",1".repeat(200_000));
    raw.send(&query(&long)).await;
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
    assert_eq!(raw.summary().await, "E:54000 ZI");
    // Long values are no matter.
    raw.send(&query(&format!("SELECT length('{}')", "x".repeat(1 << 20)))).await;
    assert_eq!(raw.summary().await, "T D C ZI");
}
