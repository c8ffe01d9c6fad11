//! Masks over values that are easy to get wrong, in a real view of a real server.

use crate::database::{open, prepare};
use crate::shop::{all, id, policy, table};
use daam_catalog::{Catalog, ServerVersion};
use daam_model::{EffectiveMask, JsonMask, Mask, TruncateUnit, Verb};
use std::collections::BTreeMap;

/// HMAC-SHA-256 of both values with the key 07…07 (32 bytes), computed elsewhere.
const EXPECTED: &str = "4968a55b56e7fe49f52f5372ef4fd0bdfe2e85a98c3a38d7d9a07c8831820b32;05f7849a66cb3eda8c413b2a4f2579a0a9e8e23de604b4944572ccb772ad86d2";

struct Case {
    mask: Mask,
    sql_type: &'static str,
    values: &'static [(&'static str, &'static str)],
}

fn case(mask: Mask, sql_type: &'static str, values: &'static [(&'static str, &'static str)]) -> Case {
    Case { mask, sql_type, values }
}

fn json(paths: &[&[&str]], with: Mask) -> Mask {
    let paths = paths.iter().map(|path| path.iter().map(|key| (*key).to_owned()).collect()).collect();
    Mask::Json(JsonMask { paths, with: Box::new(EffectiveMask::new(with)) })
}

fn text_cases() -> Vec<Case> {
    vec![
        case(Mask::Null, "text", &[("'x'", "∅"), ("NULL", "∅")]),
        case(Mask::Redact, "text", &[("'x'", "***"), ("''", "***"), ("NULL", "∅")]),
        case(Mask::Redact, "integer", &[("1", "∅")]),
        case(Mask::Constant("n/a".to_owned()), "text", &[("'x'", "n/a"), ("NULL", "∅")]),
        case(Mask::Constant("0".to_owned()), "numeric(10,2)", &[("5", "0.00")]),
        case(
            Mask::Email,
            "text",
            &[
                ("'john@example.com'", "j***@e***.com"),
                ("'j@example.com'", "***"),
                ("'john@x.com'", "***"),
                ("'john@localhost'", "***"),
                ("'a@b@c.com'", "***"),
                ("'@example.com'", "***"),
                ("'john@example.'", "***"),
                ("''", "***"),
                ("'ünal@größe.de'", "ü***@g***.de"),
                ("'x'", "***"),
            ],
        ),
        case(Mask::Email, "character varying(8)", &[("'a@bb.cc'", "***"), ("'aa@bb.cc'", "a***@b**")]),
        case(Mask::Email, "character(20)", &[("'john@example.com'", "j***@e***.com       ")]),
        case(
            Mask::Domain,
            "text",
            &[("'john@example.com'", "***@example.com"), ("'x@'", "***"), ("'@x'", "***")],
        ),
        case(
            Mask::Name,
            "text",
            &[
                ("'Ann Jones'", "A*** J***"),
                ("'Ann Mary Jones'", "A*** J***"),
                ("'X'", "***"),
                ("''", "***"),
                ("'  Bo  '", "B***"),
                ("'A B'", "*** ***"),
            ],
        ),
        case(
            Mask::Phone,
            "text",
            &[("'+1 (555) 010-1234'", "***-***-1234"), ("'123456'", "***"), ("'none'", "***")],
        ),
        case(Mask::Ssn, "text", &[("'123-45-6789'", "***-**-6789"), ("'6789'", "***")]),
        case(
            Mask::CreditCard,
            "text",
            &[("'4111 1111 1111 1111'", "****-****-****-1111"), ("'1111'", "***")],
        ),
        case(
            Mask::Partial { prefix: 2, suffix: 2 },
            "text",
            &[("'abcdef'", "ab****ef"), ("'abcd'", "***"), ("''", "***")],
        ),
        case(Mask::Partial { prefix: u32::MAX, suffix: 0 }, "text", &[("'abcdef'", "***")]),
    ]
}

fn other_cases() -> Vec<Case> {
    vec![
        case(
            Mask::Truncate(TruncateUnit::Year),
            "date",
            &[
                ("'2026-05-04'", "2026-01-01"),
                ("'infinity'", "∅"),
                ("'5874897-12-31'", "∅"),
                ("'4713-01-01 BC'", "∅"),
            ],
        ),
        case(Mask::Truncate(TruncateUnit::Day), "date", &[("'2026-05-04'", "∅")]),
        case(
            Mask::Truncate(TruncateUnit::Quarter),
            "timestamp without time zone",
            &[("'2026-05-04 10:11:12'", "2026-04-01 00:00:00"), ("'-infinity'", "∅")],
        ),
        case(
            Mask::Truncate(TruncateUnit::Day),
            "timestamp with time zone",
            &[("'2026-05-04 10:11:12+00'", "2026-05-04 00:00:00+00"), ("'infinity'", "∅")],
        ),
        case(Mask::Bucket(1000), "integer", &[("48213", "48000"), ("-1", "-1000"), ("-2147483648", "∅")]),
        case(Mask::Bucket(100_000), "smallint", &[("5", "0"), ("-5", "∅")]),
        case(
            Mask::Bucket(10),
            "bigint",
            &[("9223372036854775807", "9223372036854775800"), ("-9223372036854775808", "∅")],
        ),
        case(Mask::Round(1000), "numeric(5,2)", &[("999.99", "∅"), ("1.5", "0.00"), ("'NaN'", "∅")]),
        case(
            Mask::Bucket(10),
            "numeric",
            &[("48213.7", "48210"), ("'NaN'", "NaN"), ("-('1' || repeat('0', 131071))::numeric - 1", "∅")],
        ),
        case(Mask::Round(10), "numeric", &[("55", "60"), ("repeat('9', 131072)::numeric", "∅")]),
        case(
            Mask::Bucket(10),
            "double precision",
            &[
                ("48.5", "40"),
                ("'NaN'", "∅"),
                ("'Infinity'", "∅"),
                ("1e308", "∅"),
                ("5e-324", "0"),
                ("-5e-324", "-10"),
            ],
        ),
        case(Mask::Round(18_000_000_000_000_000_000), "double precision", &[("5e-324", "0"), ("0", "0")]),
        case(Mask::Bucket(10), "real", &[("48.5", "40"), ("3e38", "∅")]),
    ]
}

fn structured_cases() -> Vec<Case> {
    vec![
        case(
            Mask::Network(24),
            "inet",
            &[
                ("'10.2.3.4'", "10.2.3.0/24"),
                ("'10.2.3.4/8'", "10.0.0.0/8"),
                ("'2001:db8::1'", "2001:d00::/24"),
            ],
        ),
        case(Mask::Network(40), "inet", &[("'10.2.3.4'", "∅"), ("'2001:db8::1'", "2001:db8::/40")]),
        case(Mask::Network(16), "cidr", &[("'10.2.3.0/24'", "10.2.0.0/16")]),
        case(Mask::Null, "public.code", &[("'x'", "∅")]),
        case(
            json(&[&["a", "email"], &["token"]], Mask::Email),
            "jsonb",
            &[
                (
                    "'{\"a\":{\"email\":\"john@example.com\",\"k\":1}}'",
                    "{\"a\": {\"k\": 1, \"email\": \"j***@e***.com\"}}",
                ),
                ("'{\"a\":[{\"email\":\"john@example.com\"}]}'", "{\"a\": null}"),
                ("'[{\"token\":\"x\"}]'", "null"),
                ("'{\"token\":{\"x\":1}}'", "{\"token\": \"***\"}"),
                ("'\"s\"'", "\"s\""),
                ("'{}'", "{}"),
            ],
        ),
        case(
            json(&[&["t"]], Mask::Null),
            "json",
            &[
                ("'{\"t\":\"x\"}'", "{\"t\": null}"),
                ("'{\"t\":\"\\u0000\"}'", "∅"),
                ("'{\"n\":1e999999}'", "∅"),
                ("'{\"n\":1e-99999}'", "∅"),
                ("('{\"n\":0.' || repeat('1', 20000) || '}')::json", "∅"),
                ("(repeat('[', 8100) || repeat(']', 8100))::json", "∅"),
                (
                    "'{\"t\":\"x\",\"n\":1.5E+12,\"d\":\"date20240131\"}'",
                    "{\"d\": \"date20240131\", \"n\": 1500000000000, \"t\": null}",
                ),
            ],
        ),
    ]
}

async fn check(cases: Vec<Case>) {
    let columns: Vec<(String, &str)> =
        cases.iter().enumerate().map(|(at, case)| (format!("c{at}"), case.sql_type)).collect();
    let mut definition: Vec<(&str, &str)> = vec![("id", "integer")];
    definition.extend(columns.iter().map(|(name, sql)| (name.as_str(), *sql)));
    let relation = table("public.odd", &definition);
    let list: Vec<String> = definition.iter().map(|(name, sql)| format!("{name} {sql}")).collect();
    let schema = format!(
        "CREATE DOMAIN public.code AS text NOT NULL DEFAULT 'd'; CREATE TABLE public.odd ({})",
        list.join(", ")
    );
    let (cluster, owner, agent, version) = prepare(&schema).await;
    let mut access = all(&relation, &[Verb::Select]);
    for ((name, _), case) in columns.iter().zip(&cases) {
        access.masks.insert(id(name), EffectiveMask::new(case.mask.clone()));
    }
    let catalog = Catalog {
        server: ServerVersion(version),
        relations: BTreeMap::from([(relation.name.clone(), relation.clone())]),
        ..Catalog::default()
    };
    let mut policy = policy(&crate::shop::catalog(version));
    policy.relations = BTreeMap::from([(relation.name.clone(), access)]);
    let plan = daam_enforce::plan(&policy, &catalog).unwrap();
    let session = open(cluster, owner, agent, catalog, plan).await;
    session.client.batch_execute("SET TimeZone = 'UTC'").await.unwrap();
    for ((name, sql_type), case) in columns.iter().zip(&cases) {
        for (value, masked) in case.values {
            let sql = format!("TRUNCATE public.odd; INSERT INTO public.odd (id, {name}) VALUES (1, {value})");
            session.owner.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let seen = session.run(&format!("SELECT {name} FROM odd")).await;
            assert_eq!(seen.as_deref(), Ok(*masked), "{:?} on {sql_type} {value}", case.mask);
        }
        let types = "SELECT count(DISTINCT atttypid::text || atttypmod) FROM pg_attribute WHERE attname = ";
        let same = session.owner.simple_query(&format!("{types}'{name}' AND attrelid IN (SELECT oid FROM pg_class WHERE relname IN ('odd', 'public.odd'))")).await.unwrap();
        let tokio_postgres::SimpleQueryMessage::Row(row) = &same[1] else { panic!("{same:?}") };
        assert_eq!(row.get(0), Some("1"), "the type of {name} ({sql_type}) changes");
    }
}

#[tokio::test]
async fn text_masks_are_total_and_keep_the_type() {
    check(text_cases()).await;
}

#[tokio::test]
async fn masks_inside_values_are_total_and_keep_the_type() {
    check(structured_cases()).await;
}

#[tokio::test]
async fn other_masks_are_total_and_keep_the_type() {
    check(other_cases()).await;
}

#[tokio::test]
async fn the_keyed_hash_is_stable_and_its_key_is_out_of_reach() {
    let schema = "CREATE TABLE public.people (id integer, email text, ref uuid);
        INSERT INTO public.people VALUES (1, E'a\\\\b', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (2, 'Jefe', NULL)";
    let (cluster, owner, agent, version) = prepare(schema).await;
    let relation = table("public.people", &[("id", "integer"), ("email", "text"), ("ref", "uuid")]);
    let mut access = all(&relation, &[Verb::Select]);
    access.masks = BTreeMap::from([
        (id("email"), EffectiveMask::new(Mask::Hash)),
        (id("ref"), EffectiveMask::new(Mask::Hash)),
    ]);
    let mut policy = policy(&crate::shop::catalog(version));
    policy.relations = BTreeMap::from([(relation.name.clone(), access)]);
    let catalog = Catalog {
        server: ServerVersion(version),
        relations: BTreeMap::from([(relation.name.clone(), relation)]),
        ..Catalog::default()
    };
    let plan = daam_enforce::plan(&policy, &catalog).unwrap();
    let session = open(cluster, owner, agent, catalog, plan).await;
    let seen = session.run("SELECT email FROM people ORDER BY id").await.unwrap();
    assert_eq!(seen, EXPECTED);
    let uuid = session.run("SELECT ref FROM people WHERE id = 1").await.unwrap();
    assert_eq!(uuid.len(), 36);
    assert_eq!(session.run("SELECT count(DISTINCT ref) FROM people").await.as_deref(), Ok("1"));
    let stolen = session.raw("SELECT * FROM pg_temp.\"daam:key\"").await;
    assert!(stolen.unwrap_err().starts_with("42501"));
    let definitions = session.raw("SELECT string_agg(pg_get_viewdef(oid), '') FROM pg_class WHERE relkind = 'v' AND relname LIKE 'public.%'").await.unwrap();
    assert!(!definitions.contains("0707") && !definitions.contains("3131"));
    let sources =
        session.raw("SELECT string_agg(prosrc, '') FROM pg_proc WHERE proname LIKE 'daam:%'").await.unwrap();
    assert!(sources.contains("people") && !sources.contains("0707") && !sources.contains("3131"));
}
