//! What must not come out, though PostgreSQL itself would let it.

use super::stage::{Raw, Stage, code, masked, message, one, open, writing};
use crate::world::eventually;
use daam_model::Mask;
use daam_model::SessionLimits;
use daam_pgwire::frontend::{self, query};

const TALKING: &str = "CREATE FUNCTION public.talk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    RAISE NOTICE 'row %', OLD; IF NEW.name = 'bad' THEN RAISE EXCEPTION 'no, %', OLD USING DETAIL = OLD.email, ERRCODE = 'P0099'; \
    END IF; RETURN NEW; END $$; \
    CREATE TRIGGER talk BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.talk(); \
    CREATE FUNCTION public.talk_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'late %', NEW; RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON public.users DEFERRABLE INITIALLY DEFERRED \
    FOR EACH ROW EXECUTE FUNCTION public.talk_late()";

async fn heard(raw: &mut Raw, sql: &str) -> String {
    raw.send(&query(sql)).await;
    let mut all = String::new();
    for frame in raw.until_ready().await {
        if matches!(frame.tag(), b'N' | b'E') {
            let text = String::from_utf8_lossy(frame.body());
            all.extend([char::from(frame.tag()).to_string(), format!(": {text}\n")]);
        }
    }
    assert!(!all.contains("example.com"), "{sql}: {all}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_a_protected_table_do_not_print_its_rows() {
    let mut set = masked();
    for policy in &mut set.policies {
        policy.session = SessionLimits { procedural: Some(true), ..SessionLimits::default() };
    }
    let stage = Stage::new(set).await;
    stage.world.superuser.batch_execute(TALKING).await.unwrap();
    let mut raw = stage.raw().await;
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 1",
        "UPDATE users SET name = 'bad' WHERE id = 1",
        "PREPARE u AS UPDATE users SET name = 'y'",
        "EXECUTE u",
        "DO $$ BEGIN UPDATE pg_temp.\"w:public.users\" SET name = 'z'; END $$",
        "UPDATE pg_temp.\"w:public.users\" SET name = 'z'",
        "CREATE TEMP VIEW mine AS SELECT * FROM users",
        "UPDATE mine SET name = 'w'",
        "SET client_min_messages = debug1",
    ] {
        let said = heard(&mut raw, sql).await;
        assert_eq!(
            said.contains("withheld"),
            sql.contains("UPDATE") && !sql.contains("PREPARE") || sql.contains("EXECUTE"),
            "{sql}: {said}"
        );
    }
    heard(&mut raw, "BEGIN").await;
    heard(&mut raw, "UPDATE users SET name = 'v'").await;
    heard(&mut raw, "COMMIT").await;
    assert!(heard(&mut raw, "DO $$ BEGIN RAISE NOTICE 'mine'; END $$").await.contains("N: "));
    let refused = stage.client().await.batch_execute("UPDATE users SET name = 'bad' WHERE id = 1").await;
    assert_eq!(code(refused), "P0099");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_hold_the_lock_of_the_agents() {
    let stage = Stage::new(masked()).await;
    let rude = stage.client().await;
    let take = "SELECT pg_advisory_lock(1684103533, 1919904869)";
    // The one that holds it, and those that would have it next.
    let waiting = [stage.client().await, stage.client().await, stage.client().await];
    rude.batch_execute(take).await.unwrap();
    let waiting = waiting.map(|client| {
        tokio::spawn(
            async move { client.batch_execute(take).await.and(client.batch_execute("SELECT 1").await) },
        )
    });
    let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND classid = 1684103533";
    eventually("all want it", async || stage.world.strings(locks).await == ["4"]).await;
    let other = stage.client().await;
    assert!(one(&other, "SELECT email FROM users").await.unwrap().contains('*'));
    assert!(rude.batch_execute("SELECT 1").await.is_err());
    for ended in waiting {
        assert!(ended.await.unwrap().is_err());
    }
    assert_eq!(stage.world.strings(locks).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_vanish_come_back() {
    let mut set = masked();
    for policy in &mut set.policies {
        policy.session = SessionLimits { procedural: Some(true), ..SessionLimits::default() };
    }
    let stage = Stage::with_linger(set, std::time::Duration::from_secs(60)).await;
    let client = stage.client().await;
    let read = "SELECT email FROM users WHERE id = 1";
    for lose in [
        "SELECT pg_temp.\"daam:release\"(ARRAY['\"public\".\"users\"'])",
        "DO $$ BEGIN EXECUTE 'DISCARD TEMP'; END $$",
    ] {
        one(&client, read).await.unwrap();
        client.batch_execute(lose).await.unwrap();
        let told = message(client.simple_query(read).await);
        assert!(told.contains("run the statement again"), "{told}");
        let mut last = String::new();
        for _ in 0..3 {
            match one(&client, read).await {
                Ok(email) => last = email,
                Err(error) => last = error.to_string(),
            }
        }
        assert!(last.contains('*'), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_statement_is_taken_from_the_client() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let mut batch = Vec::new();
    batch.extend_from_slice(&frontend::parse_statement(b"daam", "SELECT 42", b""));
    batch.extend_from_slice(&frontend::parse_statement(b"", "SELECT email FROM users", b""));
    batch.extend_from_slice(&frontend::bind(b"", b"daam"));
    batch.extend_from_slice(&frontend::execute(b""));
    batch.extend_from_slice(&frontend::sync());
    raw.send(&batch).await;
    assert_eq!(raw.summary().await, "1 1 2 D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_speak_of_what_the_client_wrote() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    let unknown = message(client.simple_query("SELECT * FROM nosuch").await);
    assert!(unknown.contains("relation \\\"nosuch\\\" does not exist"), "{unknown}");
    let copied = message(client.simple_query("UPDATE users SET name = email").await);
    assert!(copied.contains("RETURNING"), "{copied}");
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_built_on_the_views_do_not_stand_in_the_way_of_a_new_policy() {
    let stage = Stage::new(open()).await;
    let client = stage.client().await;
    stage.publish(masked());
    eventually("the new policy is in force", async || {
        one(&client, "SELECT email FROM users WHERE id = 1").await.is_ok_and(|email| email.contains('*'))
    })
    .await;
    client.batch_execute("CREATE TEMP VIEW mine AS SELECT email FROM users").await.unwrap();
    let mut tighter = masked();
    for mask in tighter.policies.iter_mut().flat_map(|policy| &mut policy.masks) {
        mask.with = Mask::Redact;
    }
    stage.publish(tighter);
    eventually("the tighter policy is in force", async || {
        one(&client, "SELECT email FROM users WHERE id = 1").await.unwrap() == "***"
    })
    .await;
    assert_ne!(code(client.simple_query("SELECT * FROM mine").await), "no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_survives_its_cancelling_says_nothing_any_more() {
    let mut set = masked();
    let mut tighter = masked();
    for policy in set.policies.iter_mut().chain(&mut tighter.policies) {
        policy.session = SessionLimits { procedural: Some(true), ..SessionLimits::default() };
    }
    for mask in tighter.policies.iter_mut().flat_map(|policy| &mut policy.masks) {
        mask.with = Mask::Redact;
    }
    let stage = Stage::new(set).await;
    let mut raw = stage.raw().await;
    raw.send(&query("SELECT email FROM users")).await;
    raw.until_ready().await;
    let stubborn = "DO $$ DECLARE c refcursor; e text; BEGIN OPEN c FOR SELECT email FROM pg_temp.\"public.users\"; \
        BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; \
        FETCH c INTO e; RAISE NOTICE 'still %', e; RAISE EXCEPTION 'and %', e; END $$";
    raw.send(&query(stubborn)).await;
    let asleep = "SELECT 1::text FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually("it sleeps", async || !stage.world.strings(asleep).await.is_empty()).await;
    stage.publish(tighter);
    // Before 16 the session ends.
    let mut last = None;
    while last != Some(b'Z')
        && let Some(frame) = raw.next().await
    {
        let text = String::from_utf8_lossy(frame.body()).into_owned();
        assert!(!text.contains("j***@") && !text.contains("still") && !text.contains("and "), "{text}");
        last = Some(frame.tag());
    }
    assert!(matches!(last, Some(b'Z' | b'E')), "{last:?}");
}

/// The planner calls an operator's function with the most common values of a column before anything is checked,
/// wherever it believes that whoever stands behind the view may read them.
#[tokio::test(flavor = "multi_thread")]
async fn operators_of_ones_own_are_not_shown_the_common_values_of_masked_columns() {
    let mut set = masked();
    for policy in &mut set.policies {
        policy.session = SessionLimits { procedural: Some(true), ..SessionLimits::default() };
    }
    let stage = Stage::with_linger(set, std::time::Duration::from_secs(60)).await;
    let common = "ALTER TABLE public.users DROP CONSTRAINT users_email_key; \
        INSERT INTO public.users (name, email) SELECT 'n', 'common@example.com' FROM generate_series(1, 400); ANALYZE public.users";
    stage.world.superuser.batch_execute(common).await.unwrap();
    let mut raw = stage.raw().await;
    let operator = "DO $$ BEGIN EXECUTE 'CREATE FUNCTION pg_temp.look(text, text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS \
        ''BEGIN RAISE WARNING ''''saw % and %'''', $1, $2; RETURN false; END'''; \
        EXECUTE 'CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.look, RESTRICT = eqsel, JOIN = eqjoinsel)'; \
        END $$";
    assert!(!heard(&mut raw, operator).await.contains("E: "));
    for activate in [
        "SELECT email FROM users LIMIT 0",
        "UPDATE users SET name = name WHERE false",
        "DELETE FROM users WHERE false",
        "INSERT INTO users (email) SELECT 'x' WHERE false",
        "COPY users (email) FROM STDIN",
    ] {
        raw.send(&query(activate)).await;
        if activate.starts_with("COPY") {
            raw.send(&frontend::copy_fail("enough")).await;
        }
        raw.until_ready().await;
    }
    let mut judged = 0;
    for view in ["public.users", "w:public.users", "i:public.users", "d:public.users", "c:public.users"] {
        for attempt in [
            "EXPLAIN SELECT 1 FROM pg_temp.\"VIEW\" v WHERE v.email OPERATOR(pg_temp.===) 'x'",
            "EXPLAIN UPDATE pg_temp.\"VIEW\" SET name = 'x' WHERE email OPERATOR(pg_temp.===) 'x'",
            "EXPLAIN DELETE FROM pg_temp.\"VIEW\" WHERE email OPERATOR(pg_temp.===) 'x'",
            "EXPLAIN SELECT 1 FROM pg_temp.\"VIEW\" v JOIN pg_temp.\"VIEW\" o ON v.email OPERATOR(pg_temp.===) o.email",
        ] {
            let sql = attempt.replace("VIEW", view);
            let said = heard(&mut raw, &format!("DO $x$ BEGIN EXECUTE $y${sql}$y$; END $x$")).await;
            judged += usize::from(!said.contains("does not exist"));
            heard(&mut raw, &sql).await;
        }
    }
    assert!(judged >= 12, "most of the views are there: {judged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_words_about_its_own_work_count_no_hidden_rows() {
    for (set, heard_of) in [(masked(), true), (writing(), false)] {
        let stage = Stage::new(set).await;
        let mut raw = stage.raw().await;
        heard(&mut raw, "SET debug_print_plan = on").await;
        heard(&mut raw, "SET client_min_messages = log").await;
        let said = heard(&mut raw, "SELECT count(*) FROM orders WHERE total > 1").await;
        assert_eq!(said.contains("plan_rows"), heard_of, "{said}");
    }
}
