//! What a person is told: every refusal names its object, the policies, the reason and what can be done.

use super::stage::{Raw, Stage, writing};
use daam_model::{PolicySet, SessionLimits};
use daam_pgwire::Report;
use daam_pgwire::frontend::query;

struct Told {
    code: String,
    message: String,
    detail: String,
    hint: String,
}

fn told(report: &Report) -> Told {
    let field = |name| String::from_utf8_lossy(report.get(name).unwrap_or_default()).into_owned();
    Told { code: report.code().to_owned(), message: report.text(), detail: field(b'D'), hint: field(b'H') }
}

/// The errors and the notices of a statement.
async fn answer(raw: &mut Raw, sql: &str) -> (Vec<Told>, Vec<Told>) {
    raw.send(&query(sql)).await;
    let (mut errors, mut notices) = (Vec::new(), Vec::new());
    for frame in raw.until_ready().await {
        match frame.tag() {
            b'E' => errors.push(told(&Report::parse(frame.body()).unwrap())),
            b'N' => notices.push(told(&Report::parse(frame.body()).unwrap())),
            _ => {}
        }
    }
    (errors, notices)
}

/// Each statement is refused with that SQLSTATE; the message has the part, the detail the policy, and a hint is there.
async fn refused(stage: &Stage, cases: &[(&str, &str, &str)]) {
    let mut raw = stage.raw().await;
    let mut wrong = Vec::new();
    for (sql, code, part) in cases {
        let (errors, _) = answer(&mut raw, sql).await;
        match errors.first() {
            Some(told)
                if told.code == *code
                    && told.message.contains(part)
                    && told.detail.contains("`everyone`")
                    && !told.hint.is_empty() => {}
            Some(told) => wrong.push(format!(
                "{sql}\n  wanted {code} {part}\n  got    {} {} / {} / {}",
                told.code, told.message, told.detail, told.hint
            )),
            None => wrong.push(format!("{sql}\n  not refused")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_names_object_policy_reason_and_remedy() {
    let stage = Stage::new(writing()).await;
    let cases = [
        ("SELECT * FROM hr.staff", "42501", "`hr.staff`"),
        ("TRUNCATE users", "42501", "truncate on relation `public.users`"),
        ("SELECT * FROM contacts", "42501", "`public.users.email`, which is masked"),
        ("SELECT * FROM events", "42501", "`public.events`"),
        ("SELECT * FROM users TABLESAMPLE SYSTEM (10)", "0A000", "`public.users`"),
        ("SELECT ctid FROM users", "0A000", "`ctid`"),
        ("ALTER TABLE users ADD COLUMN x int", "0A000", "`public.users`"),
        ("CREATE INDEX ON users (email)", "0A000", "`public.users`"),
        ("LOCK TABLE users", "0A000", "`public.users`"),
        ("LOCK TABLE hr.staff IN ACCESS SHARE MODE", "42501", "`hr.staff`"),
        ("DROP TABLE public.users", "42501", "`public.users`"),
        (
            "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 1",
            "0A000",
            "`public.orders`",
        ),
        ("INSERT INTO users (email) VALUES ('x') ON CONFLICT (email) DO NOTHING", "42501", "`public.users`"),
        (
            "INSERT INTO users (email) VALUES ('x') ON CONFLICT ON CONSTRAINT c DO NOTHING",
            "0A000",
            "`public.users`",
        ),
        (
            "INSERT INTO users (email) VALUES ('x') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
            "42501",
            "`email`",
        ),
        ("INSERT INTO orders (user_id, total) VALUES (1, 1000)", "44000", "`public.orders`"),
        ("UPDATE users SET name = email", "42501", "`public.users`"),
        ("UPDATE users SET email = '***' WHERE id = 1", "42501", "column `email` of `public.users`"),
        ("COPY users FROM STDIN WITH (FREEZE)", "0A000", "`public.users`"),
        ("COPY users (nope) FROM STDIN", "42501", "`nope` of `public.users`"),
        ("COPY orders TO '/tmp/x'", "42501", "files"),
        ("COPY BINARY users TO STDOUT", "0A000", "`COPY BINARY`"),
        ("DO $$ BEGIN END $$", "42501", "`DO "),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "42501", "`CREATE FUNCTION`"),
        ("CREATE ROLE x", "42501", "`CREATE ROLE`"),
        ("GRANT SELECT ON users TO public", "42501", "`GRANT SELECT`"),
        ("LISTEN x", "42501", "`LISTEN X`"),
        ("CREATE TABLE t (a int)", "42501", "permanent objects"),
        ("CREATE TEMP TABLE users (a int)", "42501", "`public.users`"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "42501", "materialized view"),
        ("CREATE TYPE public.t AS (a int)", "42501", "permanent types"),
        ("SELECT query_to_xml('select 1', true, true, '')", "42501", "`query_to_xml`"),
        ("SELECT public.leak()", "42501", "`public.leak()`"),
        ("SELECT public.nope()", "42501", "`public.nope`"),
        ("SET ROLE postgres", "42501", "`role`"),
        ("SET SESSION AUTHORIZATION postgres", "42501", "`session_authorization`"),
        ("SELECT set_config('ro' || 'le', 'x', false)", "42501", "`set_config`"),
        ("UPDATE pg_settings SET setting = 'x'", "42501", "`pg_settings`"),
        ("PREPARE TRANSACTION 'x'", "42501", "two-phase"),
    ];
    refused(&stage, &cases).await;
}

fn limited(limits: &SessionLimits) -> PolicySet {
    let mut set = writing();
    for policy in &mut set.policies {
        policy.session = limits.clone();
    }
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_with_the_sqlstate_drivers_know() {
    let read_only =
        Stage::new(limited(&SessionLimits { read_only: Some(true), ..SessionLimits::default() })).await;
    let cases = [
        ("UPDATE users SET name = 'x'", "25006", "read-only"),
        ("INSERT INTO orders (user_id) VALUES (1)", "25006", "`public.orders`"),
        ("COPY users FROM STDIN", "25006", "`public.users`"),
        ("BEGIN READ WRITE", "42501", "read-only"),
    ];
    refused(&read_only, &cases).await;
    let procedural = limited(&SessionLimits { procedural: Some(true), ..SessionLimits::default() });
    let procedural = Stage::new(procedural).await;
    let code = "DO $$ BEGIN PERFORM email FROM public.users; END $$";
    refused(&procedural, &[(code, "42501", "`public.users`")]).await;
    let short = std::time::Duration::from_millis(100);
    let short =
        Stage::new(limited(&SessionLimits { statement_timeout: Some(short), ..SessionLimits::default() }))
            .await;
    let mut raw = short.raw().await;
    let (errors, _) = answer(&mut raw, "SELECT pg_sleep(60)").await;
    assert_eq!(errors[0].code, "57014");
    assert!(
        errors[0].detail.contains("100 ms") && errors[0].detail.contains("`everyone`"),
        "{}",
        errors[0].detail
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_touch_of_a_table_tells_what_is_masked_and_filtered_and_no_later_one_does() {
    let stage = Stage::new(writing()).await;
    let mut raw = stage.raw().await;
    let (_, none) = answer(&mut raw, "SELECT 1").await;
    assert!(none.is_empty());
    let (_, first) = answer(&mut raw, "SELECT id FROM users").await;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].message, "you see masked: `public.users.email` (`email`)");
    assert!(first[0].detail.contains("`everyone`") && first[0].hint.contains("comparisons"));
    let (_, second) = answer(&mut raw, "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.id").await;
    let messages: Vec<&str> = second.iter().map(|notice| notice.message.as_str()).collect();
    assert_eq!(messages, ["you see some rows only of: `public.orders`"]);
    for (sql, compared) in [
        ("SELECT 1 FROM users WHERE email = 'x'", true),
        ("SELECT 1 FROM users a JOIN users b ON a.email = b.email", true),
        ("SELECT id FROM users ORDER BY email", true),
        ("SELECT count(*) FROM users GROUP BY email", true),
        ("SELECT DISTINCT ON (email) id FROM users", true),
        ("SELECT email, total FROM users, orders", false),
    ] {
        let (_, notices) = answer(&mut raw, sql).await;
        assert_eq!(notices.len(), usize::from(compared), "{sql}");
        assert!(
            notices.iter().all(|notice| notice.message.contains("column `email` of `public.users`")),
            "{sql}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_want_notices_gets_none() {
    let stage = Stage::new(writing()).await;
    let mut raw = stage.raw().await;
    let compares = "SELECT 1 FROM users WHERE email = 'x'";
    for (sql, wanted) in [
        ("SELECT 1", true),
        ("SET client_min_messages = warning", false),
        ("RESET client_min_messages", true),
        ("BEGIN; SET LOCAL client_min_messages TO 'ERROR'", false),
        ("COMMIT", true),
        ("SELECT set_config('client_min_messages', 'error', false)", false),
        ("BEGIN; SET client_min_messages = debug1", true),
        ("ROLLBACK", false),
        ("DISCARD ALL", true),
    ] {
        answer(&mut raw, sql).await;
        let (errors, notices) = answer(&mut raw, compares).await;
        assert!(errors.is_empty(), "{sql}");
        let ours = notices.iter().filter(|notice| notice.message.contains("email")).count();
        assert_eq!(ours > 0, wanted, "after `{sql}`: {}", notices.len());
    }
    let quiet =
        stage.try_client("dbname=shop user=jane options='-c client_min_messages=warning'").await.unwrap();
    assert_eq!(super::stage::one(&quiet, compares).await.unwrap(), "no row");
}
