//! What somebody with a session of their own tried, who knows PostgreSQL well.

use super::stage::{Stage, code, masked, one};
use crate::world::{grant, policies};
use daam_catalog::RelationPattern;
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

fn only_reads() -> PolicySet {
    let mut set = masked();
    for policy in &mut set.policies {
        policy.session = SessionLimits { read_only: Some(true), ..SessionLimits::default() };
    }
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_only_reads_is_not_told_otherwise_in_other_words() {
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
        begins_no_more(client).await;
    }
}

/// What a session began with is no way back.
async fn begins_no_more(client: &tokio_postgres::Client) {
    for sql in [
        "RESET default_transaction_read_only",
        "SET default_transaction_read_only TO DEFAULT",
        "RESET ALL",
        "DISCARD ALL",
    ] {
        let (reset, shown) =
            tokio::join!(client.batch_execute(sql), one(client, "SHOW transaction_read_only"));
        reset.unwrap();
        assert_eq!(shown.unwrap(), "on", "{sql}");
    }
    client.batch_execute("BEGIN; RESET default_transaction_read_only").await.unwrap_err();
    client.batch_execute("ROLLBACK; BEGIN").await.unwrap();
    let reset = client.batch_execute("RESET ALL");
    let (reset, committed, shown) =
        tokio::join!(reset, client.batch_execute("COMMIT"), one(client, "SHOW transaction_read_only"));
    reset.unwrap();
    committed.unwrap();
    assert_eq!(shown.unwrap(), "on");
    assert_eq!(code(client.simple_query("RESET transaction_read_only").await), "42501");
    assert_eq!(code(client.simple_query("RESET ALL; SELECT 1").await), "42501");
}

/// A domain's check runs whenever a value becomes one of it, or of a type that is made of it.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_no_type_call_a_function_with_its_owners_rights() {
    let types = "CREATE FUNCTION public.told(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS \
                   $$ BEGIN RAISE NOTICE '%', (SELECT email FROM public.users WHERE id = length($1)); RETURN true; END $$; \
                 CREATE FUNCTION public.leak(pair public.orders, more int DEFAULT 0) RETURNS text LANGUAGE sql SECURITY DEFINER \
                   AS $$ SELECT string_agg(email, ',') FROM public.users $$; \
                 CREATE TYPE public.kind AS (a text); \
                 CREATE FUNCTION public.leak(public.kind) RETURNS text LANGUAGE sql SECURITY DEFINER \
                   AS $$ SELECT string_agg(email, ',') FROM public.users $$; \
                 CREATE OPERATOR public.!~! (FUNCTION = public.told, RIGHTARG = text); \
                 CREATE DOMAIN public.one AS text CHECK (public.told(value)); \
                 CREATE DOMAIN public.two AS public.one; CREATE TYPE public.three AS (a int, b public.two); \
                 CREATE DOMAIN public.four AS text CHECK (OPERATOR(public.!~!) value); \
                 CREATE DOMAIN public.plain AS text CHECK (value <> '')";
    let stage = stage(types, masked()).await;
    let client = stage.client().await;
    for sql in [
        "SELECT 'a'::public.one",
        "SELECT 'a'::one",
        "SELECT '{a}'::public.one[]",
        "SELECT 'a'::public.two",
        "SELECT '(1,a)'::public.three",
        "SELECT 'a'::public.four",
        "CREATE TEMP TABLE t (c public.two)",
        "CREATE TEMP TABLE t OF public.three",
        "CREATE TYPE pg_temp.five AS (a public.one)",
    ] {
        assert_eq!(code(client.simple_query(sql).await), "42501", "{sql}");
    }
    client.batch_execute("CREATE TEMP TABLE t OF public.kind").await.unwrap();
    assert_eq!(code(client.simple_query("SELECT t.leak FROM t").await), "42501");
    assert_eq!(one(&client, "SELECT 'a'::public.plain").await.unwrap(), "a");
}

/// A function of the customer's with its caller's rights is no way around what a statement may not do itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_what_statements_may_not_is_granted_or_not_called() {
    let bodies = "CREATE FUNCTION public.secret(i int) RETURNS text LANGUAGE sql SECURITY DEFINER \
                    AS $$ SELECT email FROM public.users WHERE id = i $$; \
                  CREATE FUNCTION public.\"Odd one\"(i int) RETURNS text LANGUAGE sql SECURITY DEFINER \
                    AS $$ SELECT email FROM public.users WHERE id = i $$; \
                  CREATE FUNCTION public.wrapped(i int) RETURNS text LANGUAGE sql AS 'SELECT public.secret(i)'; \
                  CREATE FUNCTION public.again(i int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT public.wrapped(i); END; \
                  CREATE FUNCTION public.odd(i int) RETURNS text LANGUAGE sql AS 'SELECT public.\"Odd one\"(i)'; \
                  CREATE FUNCTION public.ran(q text) RETURNS text LANGUAGE plpgsql \
                    AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $$; \
                  CREATE PROCEDURE public.done(q text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; END $$; \
                  CREATE FUNCTION public.plain(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN -- executed \n RETURN i + 1; END $$; \
                  CREATE FUNCTION public.my_secret_x(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 1'";
    let stage = stage(bodies, masked()).await;
    let client = stage.client().await;
    for sql in [
        "SELECT wrapped(1)",
        "SELECT public.again(1)",
        "SELECT odd(1)",
        "SELECT ran('select 1')",
        "CALL done('select 1')",
        "SELECT * FROM ran('select 1')",
    ] {
        assert_eq!(code(client.simple_query(sql).await), "42501", "{sql}");
    }
    assert_eq!(one(&client, "SELECT plain(1) + my_secret_x(1)").await.unwrap(), "4");
    // A policy can allow it.
    let mut granted = masked();
    for grant in granted.policies.iter_mut().flat_map(|policy| &mut policy.grants) {
        grant.functions = vec![RelationPattern::parse("public.ran").unwrap()];
    }
    stage.publish(granted);
    let client = stage.client().await;
    assert_eq!(one(&client, "SELECT ran('select 1')").await.unwrap(), "1");
    assert_eq!(code(client.simple_query("SELECT wrapped(1)").await), "42501");
}

/// In EUC_JP two bytes are one character, and other ones in UTF-8: what the agent reads would not be what runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_means_to_the_agent_what_it_means_to_the_server() {
    let leak = "CREATE FUNCTION public.\"年\"() RETURNS text LANGUAGE sql SECURITY DEFINER \
                AS $$ SELECT string_agg(email, ',') FROM public.users $$";
    let stage = stage(leak, masked()).await;
    let client = stage.client().await;
    assert_eq!(code(client.simple_query("SELECT \"年\"()").await), "42501");
    // The bytes of that name in EUC_JP, which are `ǯ` in UTF-8.
    let text = "SELECT \u{1ef}()";
    assert_eq!(text.as_bytes()[7..9], [0xc7, 0xaf]);
    for set in ["SET client_encoding = EUC_JP", "SELECT set_config('client_encoding', 'EUC_JP', false)"] {
        let (set, answer) = tokio::join!(client.batch_execute(set), client.simple_query(text));
        set.unwrap();
        let error = answer.expect_err("refused");
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("22021"), "{error:?}");
        assert_eq!(one(&client, "SELECT 'plain'").await.unwrap(), "plain");
        client.batch_execute("RESET client_encoding").await.unwrap();
        assert_eq!(one(&client, "SELECT '年'").await.unwrap(), "年");
    }
    client.batch_execute("SET client_encoding = SQL_ASCII").await.unwrap();
    assert_eq!(one(&client, "SELECT '年'").await.unwrap(), "年");
}

/// Before 16, who inherits from a role can become it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_what_was_taken_away_as_another_role() {
    let procedural = |grants| PolicySet {
        policies: policies(grants, &[])
            .policies
            .into_iter()
            .map(|policy| daam_model::Policy {
                session: SessionLimits { procedural: Some(true), ..SessionLimits::default() },
                ..policy
            })
            .collect(),
        ..policies(Vec::new(), &[])
    };
    let both = || vec![grant("public.users", &ALL), grant("public.orders", &[Verb::Select])];
    let stage = Stage::new(procedural(both())).await;
    let (client, other) = (stage.client().await, stage.client().await);
    let permission = "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
                      JOIN pg_roles s ON s.oid = m.member WHERE s.rolname = session_user AND g.rolname LIKE 'daam\\_p%'";
    let role = one(&client, permission).await.unwrap();
    assert_eq!(
        code(
            client
                .batch_execute(&format!("CREATE TEMP TABLE t (a int); ALTER TABLE t OWNER TO \"{role}\""))
                .await
        ),
        "42501"
    );
    // Where the server lets it, the session is another role from now on.
    let become_it = format!("DO $$ BEGIN EXECUTE 'SET ROLE \"{role}\"'; END $$");
    let became = client.batch_execute(&become_it).await.is_ok();
    stage.publish(procedural(vec![grant("public.users", &ALL)]));
    let read = "DO $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM public.orders' INTO n; END $$";
    crate::world::eventually("the orders are gone", async || client.batch_execute(read).await.is_err()).await;
    let error = client.batch_execute(read).await.expect_err("still gone");
    if became {
        assert!(client.is_closed() || error.is_closed(), "{error:?}");
    }
    let after = other.simple_query("SELECT count(*) FROM orders").await;
    assert!(after.is_err());
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

/// What a session made for itself goes on doing what everyone in the database may do: such a loss ends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_made_does_not_outlast_what_was_taken_away() {
    let made = "CREATE FUNCTION public.secret(i int) RETURNS text LANGUAGE sql SECURITY DEFINER \
                AS $$ SELECT email FROM public.users WHERE id = i $$";
    let with = |functions: &[&str], procedural| {
        let mut set = policies(vec![grant("public.orders", &ALL)], &[]);
        for policy in &mut set.policies {
            policy.session = SessionLimits { procedural: Some(procedural), ..SessionLimits::default() };
            for grant in &mut policy.grants {
                grant.functions =
                    functions.iter().map(|name| RelationPattern::parse(name).unwrap()).collect();
            }
        }
        set
    };
    let stage = stage(made, with(&["public.secret"], true)).await;
    let view = "CREATE TEMP VIEW v AS SELECT public.secret(1) AS email";
    let run = "CREATE FUNCTION pg_temp.run(t text) RETURNS text LANGUAGE plpgsql AS \
               $$ DECLARE r text; BEGIN EXECUTE t INTO r; RETURN r; END $$";
    for fewer in [with(&[], true), with(&["public.secret"], false)] {
        stage.publish(with(&["public.secret"], true));
        let client = stage.client().await;
        client.batch_execute(view).await.unwrap();
        client.batch_execute(run).await.unwrap();
        assert!(one(&client, "SELECT email FROM v").await.unwrap().contains('@'));
        stage.publish(fewer);
        crate::world::eventually("the session is over", async || {
            client.simple_query("SELECT 1").await.is_err() && client.is_closed()
        })
        .await;
    }
}

/// As drivers begin a transaction that only reads: in one batch with its first query.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_only_reads_can_send_several_statements_at_once() {
    let stage = Stage::with_linger(only_reads(), std::time::Duration::ZERO).await;
    let mut raw = stage.raw().await;
    let steps = |sql: &str| {
        let bind = daam_pgwire::frontend::bind(b"", b"");
        let parse = daam_pgwire::frontend::parse_statement(b"", sql, b"");
        [parse.to_vec(), bind.to_vec(), daam_pgwire::frontend::execute(b"").to_vec()].concat()
    };
    let sync = daam_pgwire::frontend::sync().to_vec();
    for _ in 0..2 {
        let read = "SELECT email FROM users WHERE id = 1";
        let first = [steps("BEGIN"), steps(read), sync.clone()].concat();
        let second = [steps("SELECT 1"), steps(read), steps("COMMIT"), sync.clone()].concat();
        raw.send(&[first, second].concat()).await;
        let mut rows = 0;
        for _ in 0..2 {
            for frame in raw.until_ready().await {
                assert_ne!(frame.tag(), b'E', "{}", String::from_utf8_lossy(frame.body()));
                rows += usize::from(frame.tag() == b'D');
            }
        }
        assert_eq!(rows, 3);
    }
}

/// A key's cascade and a trigger's own writes fire the triggers of other tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_reaches_triggers_of_others_says_nothing_of_their_rows() {
    let tables = "CREATE TABLE public.parts (id int PRIMARY KEY); \
                  CREATE TABLE public.kept (id int PRIMARY KEY, part int REFERENCES public.parts ON DELETE CASCADE, secret text); \
                  CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'gone %', old; \
                    IF old.id = 2 THEN RAISE EXCEPTION 'not %', old; END IF; RETURN old; END $$; \
                  CREATE TRIGGER told BEFORE DELETE ON public.kept FOR EACH ROW EXECUTE FUNCTION public.told(); \
                  INSERT INTO public.parts VALUES (1), (2); INSERT INTO public.kept VALUES (1, 1, 'zzz'), (2, 2, 'zzz'); \
                  ALTER TABLE public.parts OWNER TO shop_owner; ALTER TABLE public.kept OWNER TO shop_owner";
    let stage = stage(tables, policies(vec![grant("public.parts", &ALL)], &[])).await;
    let mut raw = stage.raw().await;
    for sql in ["DELETE FROM parts WHERE id = 1", "DELETE FROM parts WHERE id = 2"] {
        raw.send(&query(sql)).await;
        for frame in raw.until_ready().await {
            assert!(!String::from_utf8_lossy(frame.body()).contains("zzz"), "{sql}: {frame:?}");
        }
    }
    assert_eq!(stage.world.strings("SELECT id::text FROM public.kept").await, ["2"]);
}

/// PostgreSQL shows common values of whatever everyone may read.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_show_no_values_of_what_everyone_but_the_session_may_read() {
    let stage = stage("GRANT SELECT ON public.users TO PUBLIC; ANALYZE public.users", masked()).await;
    let client = stage.client().await;
    let mine = "CREATE TEMP TABLE mine AS SELECT 1 AS a FROM generate_series(1, 9); ANALYZE mine";
    client.batch_execute(mine).await.unwrap();
    for (sql, expected) in [
        ("SELECT count(*) FROM pg_stats WHERE tablename = 'users'", "0"),
        ("SELECT count(*) FROM pg_catalog.pg_stats AS \"daam:statistics\" WHERE tablename = 'users'", "0"),
        ("SELECT count(*) FROM pg_stats_ext_exprs s WHERE s.tablename = 'users'", "0"),
        ("SELECT most_common_vals FROM pg_stats WHERE pg_stats.tablename = 'mine'", "{1}"),
    ] {
        assert_eq!(one(&client, sql).await.unwrap(), expected, "{sql}");
    }
    assert_eq!(code(client.simple_query("COPY pg_stats TO STDOUT").await), "0A000");
    let directly = "SELECT count(*)::text FROM pg_stats WHERE tablename = 'users'";
    assert_ne!(stage.world.strings(directly).await, ["0"]);
}
