//! From connect to disconnect, and every way out in between: nothing of a session stays in the database.

use crate::proxy::stage::{SOON, Stage, code, masked, message, one, principal};
use crate::world::{World, eventually, grant, plan, policies};
use daam_agent::admin::SessionGrant;
use daam_agent::proxy::{Person, serve};
use daam_agent::session_id::SessionId;
use daam_model::{Mask, SessionLimits, Verb};
use daam_pgwire::frontend::{execute, flush, parse_statement, query};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio_postgres::NoTls;

const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";

/// Everything a session could leave, counted: roles, memberships, comments, privileges of every kind, and objects of
/// temporary schemas.
const REMAINS: &str = "\
SELECT concat_ws(' ', 'role', rolname) FROM pg_roles \
UNION ALL SELECT concat_ws(' ', 'membership', roleid::regrole, member::regrole) FROM pg_auth_members \
UNION ALL SELECT concat_ws(' ', 'comment', classoid::regclass, description) FROM pg_shdescription \
UNION ALL SELECT concat_ws(' ', 'description', classoid::regclass, objoid) FROM pg_description WHERE objoid >= 16384 \
UNION ALL SELECT concat_ws(' ', 'relation', oid::regclass, \
  coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner))) FROM pg_class WHERE oid >= 16384 AND relkind <> 't' \
UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, attacl) FROM pg_attribute WHERE attacl IS NOT NULL \
UNION ALL SELECT concat_ws(' ', 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner))) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_' \
UNION ALL SELECT concat_ws(' ', 'database', datname, coalesce(datacl, acldefault('d', datdba))) FROM pg_database \
UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure, coalesce(proacl, acldefault('f', proowner))) FROM pg_proc WHERE oid >= 16384 \
UNION ALL SELECT concat_ws(' ', 'type', typname, typacl) FROM pg_type WHERE oid >= 16384 \
UNION ALL SELECT concat_ws(' ', 'large object', oid) FROM pg_largeobject_metadata \
UNION ALL SELECT concat_ws(' ', 'default', oid) FROM pg_default_acl \
UNION ALL SELECT concat_ws(' ', 'setting', setdatabase, setrole) FROM pg_db_role_setting \
UNION ALL SELECT concat_ws(' ', 'dependency', classid::regclass, count(*)) FROM pg_shdepend GROUP BY classid \
ORDER BY 1";

async fn remains(world: &World) -> Vec<String> {
    world.strings(REMAINS).await
}

async fn nothing_but(world: &World, before: &[String]) {
    let deadline = Instant::now() + SOON;
    loop {
        let now = remains(world).await;
        let left: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
        let gone: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
        if left.is_empty() && gone.is_empty() && now.len() == before.len() {
            return;
        }
        assert!(Instant::now() < deadline, "left: {left:#?}\ngone: {gone:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_sessions_side_by_side_leave_nothing() {
    let stage = Arc::new(Stage::new(masked()).await);
    let before = remains(&stage.world).await;
    let turns = Arc::new(Semaphore::new(40));
    let sessions: Vec<_> = (0..500)
        .map(|n: usize| {
            let (stage, turns) = (Arc::clone(&stage), Arc::clone(&turns));
            tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                match n % 5 {
                    // Gone before the first answer.
                    0 => drop(stage.stream()),
                    // Gone in a transaction, with a temporary table and a view on a view of ours.
                    1 => {
                        let client = stage.client().await;
                        client
                            .batch_execute("CREATE TEMP TABLE mine (id int); CREATE TEMP VIEW over AS SELECT email FROM users; BEGIN")
                            .await
                            .unwrap();
                        client.batch_execute(EMAIL).await.unwrap();
                    }
                    // Gone while a statement runs.
                    2 => {
                        let mut raw = stage.raw().await;
                        raw.send(&query("SELECT email, pg_sleep(600) FROM users")).await;
                    }
                    _ => {
                        let client = stage.client().await;
                        assert!(one(&client, EMAIL).await.unwrap().contains('*'));
                    }
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
    eventually("every session is over", async || stage.ctx.sessions.count() == 0).await;
    nothing_but(&stage.world, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_session_owns_goes_with_it() {
    let stage = Stage::new(masked()).await;
    let before = remains(&stage.world).await;
    let client = stage.client().await;
    for sql in [
        "CREATE TEMP TABLE t (id serial, mail text)",
        "CREATE TEMP SEQUENCE s",
        "CREATE TEMP VIEW v AS SELECT email FROM users",
        "CREATE TEMP TABLE copied AS SELECT * FROM users",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'abc')",
        "LISTEN changes",
        "SELECT pg_advisory_lock(1)",
        "PREPARE p AS SELECT email FROM users",
        "DECLARE held CURSOR WITH HOLD FOR SELECT email FROM users",
    ] {
        // Not everything is allowed; what is must not stay.
        let _ = client.batch_execute(sql).await;
    }
    assert_eq!(code(client.simple_query("BEGIN; PREPARE TRANSACTION 'stays'").await), "42501");
    drop(client);
    nothing_but(&stage.world, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_takes_its_statement_along() {
    let stage = Stage::new(masked()).await;
    let before = remains(&stage.world).await;
    for sql in [
        "SELECT email, pg_sleep(600) FROM users",
        "BEGIN; UPDATE users SET name = 'x'; SELECT pg_sleep(600)",
        "COPY (SELECT email, repeat('x', 10000) FROM users, generate_series(1, 1000000)) TO STDOUT",
        "SELECT email, repeat('x', 10000) FROM users, generate_series(1, 1000000)",
    ] {
        let mut raw = stage.raw().await;
        raw.send(&query(sql)).await;
        let active = "SELECT 'x' FROM pg_stat_activity WHERE usename LIKE 'daam_s_%' AND state = 'active'";
        eventually("the statement runs", async || !stage.world.strings(active).await.is_empty()).await;
        drop(raw);
        nothing_but(&stage.world, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_and_recovers_is_served_again_and_the_roles_are_swept() {
    let stage = Stage::new(masked()).await;
    let before = remains(&stage.world).await;
    let client = stage.client().await;
    client
        .batch_execute(
            "CREATE TEMP VIEW v AS SELECT email FROM users; CREATE TEMP TABLE t AS SELECT * FROM v",
        )
        .await
        .unwrap();
    let mut raw = stage.raw().await;
    raw.send(&query("SELECT email, pg_sleep(600) FROM users")).await;
    // Only the statement meant: the agent's own errands run as the session's role, too.
    let asleep =
        "SELECT pid::text FROM pg_stat_activity WHERE usename LIKE 'daam_s_%' AND wait_event = 'PgSleep'";
    let mut asleep_in = Vec::new();
    eventually("the statement runs", async || {
        asleep_in = stage.world.strings(asleep).await;
        !asleep_in.is_empty()
    })
    .await;
    // One process that dies makes the server end all others and recover.
    assert!(std::process::Command::new("kill").args(["-KILL", &asleep_in[0]]).status().unwrap().success());
    let mut told = String::new();
    while let Some(frame) = raw.next().await {
        if frame.tag() == b'E' {
            told = daam_pgwire::Report::parse(frame.body()).unwrap().code().to_owned();
        }
    }
    assert!(told.starts_with("57P") || told.starts_with("08"), "the client was told `{told}`");
    eventually("the other session is over, too", async || client.is_closed()).await;
    let superuser = stage.world.cluster.superuser_dsn("shop");
    eventually("the server is back", async || tokio_postgres::connect(&superuser, NoTls).await.is_ok()).await;
    eventually("a session opens again", async || match stage.try_client("dbname=shop user=jane").await {
        Ok(client) => one(&client, EMAIL).await.is_ok_and(|email| email.contains('*')),
        Err(_) => false,
    })
    .await;
    let (client, connection) = tokio_postgres::connect(&superuser, NoTls).await.unwrap();
    tokio::spawn(connection);
    let deadline = Instant::now() + SOON;
    loop {
        let swept = stage.ctx.admin.sweep().await.unwrap();
        let rows = client.query(REMAINS, &[]).await.unwrap();
        let now: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let left: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "left: {left:#?}\nswept: {swept:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_one_cluster_work_side_by_side_and_sweep_their_own() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "CREATE ROLE daam_s_custom; CREATE ROLE daam_p_custom; \
             COMMENT ON ROLE daam_p_custom IS 'daam agent=a1/shop session=x created=1'; \
             CREATE ROLE daam_reports; COMMENT ON ROLE daam_reports IS 'ours'",
        )
        .await
        .unwrap();
    let before = remains(&world).await;
    let set = policies(vec![grant("public.*", &[Verb::Select])], &[("public.users.email", Mask::Email)]);
    let plan = plan(&set, &*world.catalog().await);
    let agents = [world.admin("a1").await, world.admin("a2").await, world.admin("a3").await];
    let mut opening = Vec::new();
    for admin in &agents {
        for _ in 0..20 {
            let (admin, plan) = (admin.clone(), plan.clone());
            opening.push(tokio::spawn(async move {
                let grant = admin.open(&SessionId::fresh(), &plan).await.unwrap();
                (admin, grant)
            }));
        }
    }
    let mut kept: Vec<SessionGrant> = Vec::new();
    for (n, opened) in opening.into_iter().enumerate() {
        let (admin, grant) = opened.await.unwrap();
        match n % 3 {
            0 => kept.push(grant),
            1 => admin.close(grant).await.unwrap(),
            // Lost without a word: the sweep's business.
            _ => drop(grant),
        }
    }
    let sessions = kept.iter().map(|grant| grant.role().to_owned()).collect::<Vec<_>>();
    for admin in &agents {
        let swept = admin.sweep().await.unwrap();
        assert!(swept.kept.is_empty(), "{swept:?}");
        assert!(swept.dropped.iter().all(|role| !sessions.contains(role)), "{swept:?}");
    }
    let roles = world.roles().await;
    assert!(sessions.iter().all(|role| roles.contains(role)), "a live session was swept");
    drop(kept);
    for admin in &agents {
        admin.sweep().await.unwrap();
    }
    nothing_but(&world, &before).await;
}

fn limited(limits: SessionLimits) -> daam_model::PolicySet {
    let mut set = masked();
    set.policies[0].session = limits;
    set
}

/// Whatever a session could say to be left alone.
const DEFIANT: [&str; 6] = [
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET idle_session_timeout = 0",
    "SET default_transaction_read_only = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('statement_timeout', '0', false)",
];

async fn defiant(stage: &Stage) -> tokio_postgres::Client {
    let client = stage.client().await;
    for sql in DEFIANT {
        let _ = client.batch_execute(sql).await;
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_as_long_as_the_policy_says_idle_busy_or_in_a_transaction() {
    let limit = Duration::from_millis(1500);
    let stage =
        Stage::new(limited(SessionLimits { max_duration: Some(limit), ..SessionLimits::default() })).await;
    let started = Instant::now();
    let (idle, open, busy) = (defiant(&stage).await, defiant(&stage).await, defiant(&stage).await);
    open.batch_execute("BEGIN").await.unwrap();
    let told = message(busy.simple_query("SELECT email, pg_sleep(600) FROM users").await);
    assert!(told.contains("57P01") && told.contains("the longest the policy allows"), "{told}");
    eventually("all sessions are over", async || idle.is_closed() && open.is_closed()).await;
    assert!(started.elapsed() >= limit);
    eventually("nothing is left", async || stage.world.roles().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_not_idle_for_longer_than_the_policy_says_whatever_it_has_begun() {
    let limit = Duration::from_millis(400);
    let stage =
        Stage::new(limited(SessionLimits { idle_timeout: Some(limit), ..SessionLimits::default() })).await;
    let (idle, open) = (defiant(&stage).await, defiant(&stage).await);
    open.batch_execute("BEGIN").await.unwrap();
    // A batch without an end, with and without its answers asked for.
    let (mut flushed, mut silent) = (stage.raw().await, stage.raw().await);
    let parse = parse_statement(b"", "SELECT 1", b"");
    flushed.send(&[parse.clone(), flush()].concat()).await;
    silent.send(&parse).await;
    let mut running = stage.raw().await;
    running.send(&query("SELECT pg_sleep(1.5)")).await;
    assert_eq!(running.summary().await, "T D C ZI", "a statement that runs is not a pause");
    eventually("idle sessions are over", async || idle.is_closed() && open.is_closed()).await;
    for mut raw in [flushed, silent, running] {
        while raw.next().await.is_some() {}
    }
    eventually("nothing is left", async || stage.world.roles().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_takes_no_longer_than_the_policy_says_however_it_is_run() {
    let limit = Duration::from_millis(500);
    let limits =
        SessionLimits { statement_timeout: Some(limit), procedural: Some(true), ..SessionLimits::default() };
    let stage = Stage::new(limited(limits)).await;
    let client = defiant(&stage).await;
    let statement = client.prepare("SELECT pg_sleep(600)").await.unwrap();
    let told = message(client.query(&statement, &[]).await);
    assert!(told.contains("57014") && told.contains("policy's statement timeout"), "{told}");
    for sql in [
        "SELECT pg_sleep(600)",
        "SET statement_timeout = 0; SELECT pg_sleep(600)",
        "DO $$ BEGIN PERFORM pg_sleep(600); END $$",
        "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_sleep(600)",
    ] {
        let told = message(client.simple_query(sql).await);
        assert!(told.contains("57014") && told.contains("policy's statement timeout"), "`{sql}`: {told}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    // One that catches its cancelling goes with its session.
    let stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$";
    let told = message(client.simple_query(stubborn).await);
    assert!(told.contains("57P01") && told.contains("could not be cancelled"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_statements_sent_ahead_are_not_one_long_one() {
    let limits =
        SessionLimits { statement_timeout: Some(Duration::from_secs(1)), ..SessionLimits::default() };
    let stage = Stage::new(limited(limits)).await;
    let mut raw = stage.raw().await;
    raw.send(&query("SELECT pg_sleep(0.4)").repeat(5)).await;
    for _ in 0..5 {
        assert_eq!(raw.summary().await, "T D C ZI");
    }
    // Without Sync in between, too.
    let one = [
        parse_statement(b"", "SELECT pg_sleep(0.4)", b""),
        daam_pgwire::frontend::bind(b"", b""),
        execute(b""),
        flush(),
    ]
    .concat();
    raw.send(&[one.repeat(5), daam_pgwire::frontend::sync().to_vec()].concat()).await;
    assert_eq!(raw.summary().await, "1 2 D C 1 2 D C 1 2 D C 1 2 D C 1 2 D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_session_writes_nothing_whatever_it_sets() {
    let stage =
        Stage::new(limited(SessionLimits { read_only: Some(true), ..SessionLimits::default() })).await;
    let client = defiant(&stage).await;
    for sql in [
        "UPDATE users SET name = 'x'",
        "INSERT INTO users (email) VALUES ('x@example.com')",
        "DELETE FROM users",
        "BEGIN READ WRITE; UPDATE users SET name = 'x'",
        "BEGIN; SET TRANSACTION READ WRITE; DELETE FROM users",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
        "SELECT nextval('orders_id_seq')",
    ] {
        let refused = code(client.simple_query(sql).await);
        assert!(["42501", "25006"].contains(&refused.as_str()), "`{sql}`: {refused}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(
        stage.world.strings("SELECT name::text FROM users WHERE name = 'x'").await,
        Vec::<String>::new()
    );
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_serves_the_same_database_at_the_same_time() {
    let stage = Stage::new(masked()).await;
    let other = Arc::new(daam_agent::ProxyContext {
        admin: stage.world.admin("a2").await,
        state: stage.ctx.state.clone(),
        database: stage.ctx.database.clone(),
        upstream: stage.world.upstream(),
        sessions: Arc::default(),
        holds: Arc::default(),
        drift: Arc::default(),
        linger: stage.ctx.linger,
        audit: daam_agent::audit::Audit::off(),
        hash_key: stage.ctx.hash_key.clone(),
        events: stage.ctx.events.clone(),
    });
    let mut open = Vec::new();
    for n in 0..20 {
        let client = if n % 2 == 0 {
            stage.client().await
        } else {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(serve(theirs, principal(), Arc::clone(&other)));
            let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
            let (client, connection) = config.connect_raw(ours, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        };
        assert!(one(&client, EMAIL).await.unwrap().contains('*'));
        open.push(client);
    }
    stage.publish(crate::proxy::stage::open());
    for client in &open {
        eventually("the mask is gone", async || {
            one(client, EMAIL).await.is_ok_and(|email| !email.contains('*'))
        })
        .await;
    }
    drop(open);
    eventually("nothing is left", async || stage.world.roles().await.is_empty()).await;
}

/// Sleep, or a train in a tunnel: what nobody waits for stays, what others wait for goes.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_keeps_an_idle_session_and_no_transaction() {
    let stage = Stage::new(masked()).await;
    let (computer, here) = watch::channel(true);
    let session = async || {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let person = Person { user: principal(), here: here.clone() };
        let session = tokio::spawn(serve(theirs, person, Arc::clone(&stage.ctx)));
        let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
        let (client, connection) = config.connect_raw(ours, NoTls).await.unwrap();
        tokio::spawn(connection);
        (client, session)
    };
    let ((idle, _), (writing, written)) = (session().await, session().await);
    writing.batch_execute("BEGIN; UPDATE users SET name = 'away' WHERE id = 1").await.unwrap();
    computer.send_replace(false);
    let end = tokio::time::timeout(SOON, written).await.unwrap().unwrap();
    assert!(end.reason.contains("away for 45 seconds in the middle of a transaction"), "{}", end.reason);
    // The lock is free, and nothing was kept.
    eventually("the transaction is rolled back", async || {
        let row = "SELECT name FROM users WHERE id = 1 AND name <> 'away' FOR UPDATE SKIP LOCKED";
        stage.world.strings(row).await.len() == 1
    })
    .await;
    computer.send_replace(true);
    assert!(one(&idle, EMAIL).await.unwrap().contains('*'), "the idle session goes on");
}
