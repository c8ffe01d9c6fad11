//! What the control plane cannot see: every byte an agent sends over a whole life, and what a hostile control plane
//! gets by asking.

use crate::author::{Author, jane};
use crate::plane::Plane;
use crate::program::{Program, bundle_status, files, offer, report, write_config};
use crate::world::{World, eventually, grant, policies};
use axum::extract::ws::Message;
use daam_api::link::{FromAgent, ToAgent};
use daam_model::{Mask, Verb};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Every name, comment and type below carries it; nothing in scope does.
const TOKEN: &str = "xqzjv";
/// In every pattern of the scope that a catalogue does not show.
const PATTERN: &str = "wvkgh";
/// How many relations are out of scope for this reason alone.
const HIDDEN: usize = 173;

async fn hide(world: &World) {
    let mut sql = String::from(
        "CREATE SCHEMA xqzjv_s AUTHORIZATION shop_owner; COMMENT ON SCHEMA xqzjv_s IS 'xqzjv_remark';
         CREATE TYPE xqzjv_s.xqzjv_kind AS ENUM ('xqzjv_a');
         CREATE TABLE xqzjv_s.xqzjv_base (xqzjv_id int PRIMARY KEY, xqzjv_kind xqzjv_s.xqzjv_kind, at timestamptz NOT NULL DEFAULT now());
         COMMENT ON TABLE xqzjv_s.xqzjv_base IS 'xqzjv_table'; COMMENT ON COLUMN xqzjv_s.xqzjv_base.xqzjv_id IS 'xqzjv_column';
         CREATE SEQUENCE xqzjv_s.xqzjv_numbers;
         CREATE FUNCTION xqzjv_s.xqzjv_fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
         CREATE FUNCTION public.xqzjv_open() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RAISE EXCEPTION $$xqzjv_raised$$; END';
         CREATE TABLE xqzjv_s.xqzjv_parent (id int, n int) PARTITION BY RANGE (id);
         ALTER TABLE public.orders ADD COLUMN extra int DEFAULT nextval('xqzjv_s.xqzjv_numbers') REFERENCES xqzjv_s.xqzjv_base (xqzjv_id);
         CREATE TRIGGER xqzjv_trigger BEFORE INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION xqzjv_s.xqzjv_fire();
         CREATE TABLE public.part PARTITION OF xqzjv_s.xqzjv_parent FOR VALUES FROM (0) TO (10);
         CREATE VIEW public.sight AS SELECT 1 AS n FROM xqzjv_s.xqzjv_base;
         GRANT SELECT ON xqzjv_s.xqzjv_base TO PUBLIC;",
    );
    for n in 0..HIDDEN {
        write!(sql, "CREATE TABLE xqzjv_s.xqzjv_{n} (xqzjv int);").unwrap();
    }
    sql.push_str(
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND \
         relnamespace IN ('public'::regnamespace, 'xqzjv_s'::regnamespace) LOOP \
         EXECUTE format('ALTER TABLE %s OWNER TO shop_owner', t); END LOOP; END $$;",
    );
    world.superuser.batch_execute(&sql).await.unwrap();
}

fn numbers(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Number(number) => found.extend(number.as_u64()),
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| numbers(field, found)),
        _ => {}
    }
}

/// The kinds of messages there are; another one would be a new way out.
fn kind(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(value["type"].as_str()?.to_owned())
}

/// A session that does what is allowed and tries what is not.
async fn try_everything(program: &Program, plane: &mut Plane) {
    let session = program.session(plane).await;
    for sql in [
        "SELECT count(*) FROM users",
        "SELECT * FROM xqzjv_s.xqzjv_base",
        "SELECT * FROM xqzjv_s.xqzjv_parent",
        "SELECT public.xqzjv_open()",
        "SELECT xqzjv_open()",
        "SET search_path = xqzjv_s; SELECT xqzjv_id FROM xqzjv_base",
        "INSERT INTO public.orders (user_id) VALUES (1)",
        "xqzjv syntax error",
    ] {
        // Some work, some do not; none may be told to anybody.
        session.client.simple_query(sql).await.map(drop).unwrap_or_default();
    }
    drop(session);
    plane
        .hear("the session's end", |message| {
            matches!(message, FromAgent::SessionEvent { event, .. } if event == "ended").then_some(())
        })
        .await;
}

/// Looks at every text and number of what was sent.
fn inspect(record: &[String], total: usize) {
    assert!(record.len() > 8, "{record:?}");
    for text in record {
        for secret in [TOKEN, PATTERN, "pattern", "in_scope", "filtered", "unexpected"] {
            assert!(!text.to_lowercase().contains(secret), "{secret} is in {text}");
        }
        let mut counts = BTreeSet::new();
        if let Ok(value) = serde_json::from_str(text) {
            numbers(&value, &mut counts);
        }
        for count in [HIDDEN, total, total - 4, total - 1, total + 1] {
            assert!(!counts.contains(&u64::try_from(count).unwrap()), "{count} is in {text}");
        }
    }
    let kinds: BTreeSet<String> = record.iter().filter_map(|text| kind(text)).collect();
    let known = [
        "audit_batch",
        "bundle_status",
        "directory_status",
        "heartbeat",
        "hello",
        "open_sessions",
        "schema_report",
        "scope_violation",
        "session_event",
    ];
    assert!(kinds.iter().all(|kind| known.contains(&kind.as_str())), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_out_of_scope_leaves_the_agent_in_its_whole_life() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    hide(&world).await;
    let total = world.full().await.relation_names().count();
    let scope = "  scope: [public.users, public.orders, public.part, public.sight, 'wvkgh.*', '*.wvkgh_*']\n";
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    assert_eq!(plane.hear("report", report).await.len(), 4);
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
    let reads = |on: &str| grant(on, &[Verb::Select, Verb::Insert]);
    plane.say(&offer(&author, 1, &policies(vec![reads("*.*")], &[("hr.staff.salary", Mask::Null)])));
    plane.hear("refused", |message| bundle_status(message).filter(|(_, state)| state == "refused")).await;
    plane.say(&offer(&author, 2, &policies(vec![reads("*.*"), reads("hr.staff")], &[])));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;

    try_everything(&program, &mut plane).await;
    plane.say(&ToAgent::AuditHeld { chain: String::new(), through: 0, hash: String::new() });
    plane.hear("the audit", |message| matches!(message, FromAgent::AuditBatch { .. }).then_some(())).await;
    world.superuser.batch_execute("CREATE TABLE xqzjv_s.xqzjv_late (id int)").await.unwrap();
    plane.say(&ToAgent::SchemaRequest {});
    assert_eq!(plane.hear("report on request", report).await.len(), 4);
    write_config(program.dir.path(), &plane, "  scope: [public.users, 'wvkgh.*', 'wvkghmore.*']\n");
    program.hang_up();
    eventually("the change is in the local log", async || program.log().contains("the scope was reloaded"))
        .await;
    assert_eq!(plane.hear("report after SIGHUP", report).await, ["public.users"]);
    write_config(program.dir.path(), &plane, "  scope: ['wvkgh', xqzjv]\n");
    program.hang_up();
    eventually("the refusal is in the local log", async || program.log().contains("previous scope stays"))
        .await;
    let log = program.log();
    let reloaded = log.lines().find(|line| line.contains("the scope was reloaded")).unwrap();
    assert!(reloaded.contains("wvkghmore.*") && reloaded.contains("public.orders"), "{reloaded}");
    program.stop().await;
    inspect(&plane.record(), total);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violation_says_policy_schema_table_and_site_and_nothing_else() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "  scope: [public.users]\n")).await;
    let set = policies(vec![grant("hr.staff", &[Verb::Select]), grant("public.users", &[Verb::Select])], &[]);
    plane.say(&offer(&author, 1, &set));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    plane
        .hear("violation", |message| matches!(message, FromAgent::ScopeViolation { .. }).then_some(()))
        .await;
    let texts: Vec<String> =
        plane.record().into_iter().filter(|text| kind(text).as_deref() == Some("scope_violation")).collect();
    let expected = serde_json::json!({
        "type": "scope_violation", "policy_id": "everyone", "schema": "hr", "table": "staff", "site": "grant_issuance",
    });
    assert_eq!(
        texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()).collect::<Vec<_>>(),
        [expected]
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_asks_for_more_gets_nothing() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "  scope: [public.users]\n")).await;
    assert_eq!(plane.hear("report", report).await, ["public.users"]);
    plane.unheard();
    let deep = "[".repeat(100_000);
    for ask in [
        r#"{"type":"scope_request"}"#,
        r#"{"type":"health_request"}"#,
        r#"{"type":"schema_request","unfiltered":true}"#,
        r#"{"type":"schema_request","scope":["*.*"]}"#,
        r#"{"type":"set_scope","scope":["*.*"]}"#,
        r#"{"type":"scope_update","patterns":["hr.*"]}"#,
        r#"{"type":"query","sql":"SELECT * FROM hr.staff"}"#,
        r#"{"type":"reload"}"#,
        r#"{"type":["schema_request"]}"#,
        "null",
        "not JSON",
        "",
        deep.as_str(),
    ] {
        plane.say_raw(Message::text(ask));
    }
    plane.say_raw(Message::binary(br#"{"type":"schema_request"}"#.to_vec()));
    // The answer to the first question that exists is the first answer there is.
    plane.say(&ToAgent::DirectoryUpdate { version: 9, users: vec![jane(false)] });
    plane
        .hear("directory", |message| match message {
            FromAgent::DirectoryStatus { version: 9 } => Some(()),
            FromAgent::Heartbeat {} => None,
            other => panic!("an answer to a question that does not exist: {other:?}"),
        })
        .await;
    assert_eq!(program.detailed().await["scope"]["patterns"], serde_json::json!(["public.users"]));
    for path in ["/health/detailed", "/v1/scope"] {
        assert!(plane.record().iter().all(|text| !text.contains(path)));
    }
    program.stop().await;
}
