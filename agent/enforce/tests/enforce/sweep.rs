//! Every preset on every type it is allowed on, over values that are easy to get wrong: no mask raises an error, each
//! keeps the column's type, NULL stays NULL, and saving back what was read changes nothing that is stored.

use crate::database::{Session, open, prepare};
use crate::shop::{all, id, policy, relation_name};
use daam_catalog::{Catalog, Column, DataType, Relation, RelationKind, ServerVersion, TypeClass};
use daam_model::{EffectiveMask, JsonMask, Mask, TruncateUnit, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const SCHEMA: &str = "CREATE TYPE public.mood AS ENUM ('good', 'bad', '***');
    CREATE TYPE public.pair AS (a int, b text);
    CREATE DOMAIN public.code AS text NOT NULL CHECK (value <> 'no');
    CREATE DOMAIN public.amount AS numeric(6,2) CHECK (value < 1000);";

const TEXTS: &[&str] = &[
    "''",
    "' '",
    "'x'",
    "'@'",
    "'@@'",
    "'a@'",
    "'@b'",
    "'a@b@c.de'",
    "'no at sign'",
    "'john@example.com'",
    "'j***@e***.com'",
    "'***'",
    "'****'",
    "'*'",
    "'ünal@größe.de'",
    "E'e\\u0301a@e\\u0301x.fr'",
    "'🙂🙂@🙂🙂.🙂🙂'",
    "repeat('a', 100000) || '@example.com'",
    "E'line\\nbreak@ex.com'",
    "E'back\\\\slash'",
    "'  Ann   Jones  '",
    "'+1 (555) 010-1234'",
    "'123-45-6789'",
    "'4111 1111 1111 1111'",
    "'١٢٣٤٥٦٧٨٩'",
    "'%_%'",
    "''''",
    "'deadbeef'",
    "repeat('ab', 32)",
    "'NULL'",
];
const SHORT_TEXTS: &[&str] =
    &["''", "'x'", "'@'", "'a@b.cc'", "'aa@bb.cc'", "'***'", "'🙂@🙂.🙂'", "'Al Bo'", "'12345678'", "'ab'"];
const INTEGERS: &[&str] = &["0", "1", "-1", "999", "1000", "-1000", "32767", "-32768"];
const WIDE: &[&str] = &["0", "-1", "2147483647", "-2147483648", "1000", "-999"];
const WIDEST: &[&str] = &["0", "-1", "9223372036854775807", "-9223372036854775808", "1000"];
const NUMBERS: &[&str] = &["0", "-0.004", "999.99", "-999.99", "1000", "0.005", "'NaN'", "48213.7"];
const ANY_NUMBERS: &[&str] =
    &["0", "'NaN'", "1e1000", "-1e1000", "1e-1000", "-0.5", "0.49999999999999999999"];
const FLOATS: &[&str] =
    &["0", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "1e37", "1e-37", "-2.5", "0.1", "123456789"];
const DATES: &[&str] = &[
    "'infinity'",
    "'-infinity'",
    "'0001-01-01'",
    "'4713-01-01 BC'",
    "'4000-01-01 BC'",
    "'2000-02-29'",
    "'2026-01-01'",
    "'9999-12-31'",
    "'199999-12-31'",
];
const STAMPS: &[&str] = &[
    "'infinity'",
    "'-infinity'",
    "'0001-01-01 00:00:00'",
    "'4000-06-01 BC'",
    "'2026-05-04 10:11:12.123456'",
    "'2026-01-01'",
    "'294000-12-31 23:59:59'",
    "'1969-12-31 23:59:59.999999'",
];
const ADDRESSES: &[&str] = &[
    "'0.0.0.0'",
    "'10.2.3.4'",
    "'10.2.3.4/8'",
    "'255.255.255.255'",
    "'::'",
    "'::1'",
    "'2001:db8::1/48'",
    "'::ffff:10.2.3.4'",
    "'10.2.3.0/24'",
];
const DOCUMENTS: &[&str] = &[
    "'null'",
    "'{}'",
    "'[]'",
    "'\"s\"'",
    "'1e400'",
    "'{\"a\":null}'",
    "'{\"a\":{\"b\":\"john@example.com\"},\"t\":\"x\"}'",
    "'{\"a\":[{\"b\":\"john@example.com\"}]}'",
    "'[{\"t\":\"x\"}]'",
    "'{\"t\":{\"deep\":[1,{\"x\":[]}]}}'",
    "'{\"t\":\"***\"}'",
    "'{\"\":{\"\":\"\"}}'",
    "'{\"a\":\"not an object\"}'",
    "'{\"t\":\"ü🙂\"}'",
];
const RAW_DOCUMENTS: &[&str] =
    &["'{\"t\":\"\\u0000\"}'", "'{\"n\":1e999999}'", "' {\"t\" : 1, \"t\" : 2} '", "'{\"t\":\"\\ud800\"}'"];

struct Type {
    sql: &'static str,
    class: TypeClass,
    values: Vec<&'static str>,
}

fn kind(sql: &'static str, class: TypeClass, values: &[&'static str]) -> Type {
    Type { sql, class, values: values.to_vec() }
}

fn types() -> Vec<Type> {
    use TypeClass as C;
    // Shown, a document is written out anew; a number then has other digits and the same value.
    let plain = DOCUMENTS.iter().filter(|document| !document.contains("1e400"));
    let raw: Vec<&str> = plain.chain(RAW_DOCUMENTS).copied().collect();
    vec![
        kind("text", C::Text, TEXTS),
        kind("character varying(8)", C::Text, SHORT_TEXTS),
        kind("character(10)", C::Text, SHORT_TEXTS),
        kind("character varying(2)", C::Text, &["''", "'x'", "'@'", "'ab'", "'**'"]),
        kind(
            "uuid",
            C::Uuid,
            &["'00000000-0000-0000-0000-000000000000'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
        ),
        kind("smallint", C::Integer, INTEGERS),
        kind("integer", C::Integer, WIDE),
        kind("bigint", C::Integer, WIDEST),
        kind("numeric", C::Numeric, ANY_NUMBERS),
        kind("numeric(7,2)", C::Numeric, NUMBERS),
        kind("numeric(2,2)", C::Numeric, &["0", "0.99", "-0.99", "'NaN'"]),
        kind("real", C::Float, FLOATS),
        kind("double precision", C::Float, FLOATS),
        kind("boolean", C::Boolean, &["true", "false"]),
        kind("date", C::Date, DATES),
        kind("timestamp without time zone", C::Timestamp, STAMPS),
        kind("timestamp(0) without time zone", C::Timestamp, STAMPS),
        kind("timestamp with time zone", C::TimestampTz, STAMPS),
        kind("time without time zone", C::Time, &["'00:00'", "'24:00'"]),
        kind("interval", C::Time, &["'0'", "'-178000000 years'"]),
        kind("inet", C::Inet, ADDRESSES),
        kind("cidr", C::Cidr, &["'0.0.0.0/0'", "'10.2.3.0/24'", "'2001:db8::/32'", "'10.2.3.4'", "'::/0'"]),
        kind("json", C::Json, &raw),
        kind("jsonb", C::Jsonb, DOCUMENTS),
        kind("bytea", C::Bytea, &["''", "'\\x00ff'"]),
        kind("text[]", C::Array, &["'{}'", "'{NULL,x}'", "'{{a,b},{c,d}}'"]),
        kind("integer[]", C::Array, &["'{}'", "'[2:3]={1,2}'"]),
        kind("public.mood", C::Enum, &["'good'", "'***'"]),
        kind("public.code", C::Domain, &["''", "'x'"]),
        kind("public.amount", C::Domain, &["999.99", "-0.01"]),
        kind("public.pair", C::Other, &["'(1,x)'", "'(,)'"]),
        kind("point", C::Other, &["'(0,0)'", "'(NaN,Infinity)'"]),
        kind("int4range", C::Other, &["'empty'", "'(,)'", "'[1,5)'"]),
        kind("xml", C::Other, &["'<a/>'"]),
    ]
}

fn json(with: Mask) -> Mask {
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let paths = BTreeSet::from([path(&["a", "b"]), path(&["t"]), path(&["", ""])]);
    Mask::Json(JsonMask { paths, with: Box::new(EffectiveMask::new(with)) })
}

fn presets() -> Vec<Mask> {
    use TruncateUnit as T;
    let constants = ["***", "0", "100000", "-123456789012.5", "true", "2000-01-01", "2000-01-01 10:00:00"];
    let constants = constants.iter().chain(&["00000000-0000-0000-0000-000000000000", "\"x\"", "{}"]);
    let partial = |prefix, suffix| Mask::Partial { prefix, suffix };
    let mut all = vec![
        Mask::Null,
        Mask::Redact,
        Mask::Hash,
        Mask::CreditCard,
        Mask::Ssn,
        Mask::Phone,
        Mask::Name,
        Mask::Email,
        Mask::Domain,
        partial(0, 0),
        partial(1, 1),
        partial(3, 0),
        partial(0, 4),
        partial(u32::MAX, u32::MAX),
    ];
    all.extend(constants.map(|value| Mask::Constant((*value).to_owned())));
    all.extend([T::Hour, T::Day, T::Month, T::Quarter, T::Year].map(Mask::Truncate));
    all.extend([1, 2, 7, 1000, u64::MAX].into_iter().flat_map(|n| [Mask::Bucket(n), Mask::Round(n)]));
    all.extend([0, 1, 24, 32, 64, 127].map(Mask::Network));
    all.extend([Mask::Null, Mask::Redact, Mask::Email, Mask::Hash, partial(0, 1)].map(json));
    all
}

/// The presets a type takes, and one it does not.
fn masks(class: TypeClass) -> Vec<Mask> {
    let (fit, other): (Vec<Mask>, Vec<Mask>) = presets().into_iter().partition(|mask| mask.fits(class));
    fit.into_iter().chain(other.into_iter().next()).collect()
}

struct Swept {
    name: String,
    sql: &'static str,
    masks: Vec<Mask>,
    rows: usize,
}

async fn swept(types: Vec<Type>) -> (Session, Vec<Swept>) {
    let mut schema = SCHEMA.to_owned();
    let (mut relations, mut accesses, mut swept) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (at, kind) in types.iter().enumerate() {
        let name = format!("public.t{at}");
        let masks = masks(kind.class);
        let mut columns =
            vec![Column::new(id("id"), DataType { sql: "integer".to_owned(), class: TypeClass::Integer })];
        let data_type = || DataType { sql: kind.sql.to_owned(), class: kind.class };
        columns.extend((0..masks.len()).map(|at| Column::new(id(&format!("c{at}")), data_type())));
        let listed: Vec<String> = (0..masks.len()).map(|at| format!("c{at} {}", kind.sql)).collect();
        let _ = writeln!(schema, "CREATE TABLE {name} (id integer PRIMARY KEY, {});", listed.join(", "));
        // A domain may refuse NULL, but not in a row without the column.
        let null = if kind.sql == "public.code" { "'null'" } else { "NULL" };
        for (row, value) in kind.values.iter().chain(&[null]).enumerate() {
            let values = vec![*value; masks.len()].join(", ");
            let _ = writeln!(schema, "INSERT INTO {name} VALUES ({row}, {values});");
        }
        let relation = Relation {
            columns,
            primary_key: vec![id("id")],
            ..Relation::new(relation_name(&name), RelationKind::Table, id("shop_owner"))
        };
        let mut access = all(&relation, &[Verb::Select, Verb::Update, Verb::Insert]);
        for (at, mask) in masks.iter().enumerate() {
            access.masks.insert(id(&format!("c{at}")), EffectiveMask::new(mask.clone()));
        }
        accesses.insert(relation.name.clone(), access);
        relations.insert(relation.name.clone(), relation);
        swept.push(Swept { name, sql: kind.sql, masks, rows: kind.values.len() + 1 });
    }
    let (cluster, owner, agent, version) = prepare(&schema).await;
    let catalog = Catalog { server: ServerVersion(version), relations, ..Catalog::default() };
    let mut policy = policy(&crate::shop::catalog(version));
    policy.relations = accesses;
    let plan = daam_enforce::plan(&policy, &catalog).unwrap();
    (open(cluster, owner, agent, catalog, plan).await, swept)
}

async fn count(session: &Session, sql: &str) -> i64 {
    session.owner.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[tokio::test]
async fn no_mask_raises_an_error_and_each_keeps_the_type_and_null() {
    let (session, swept) = swept(types()).await;
    session.client.batch_execute("SET TimeZone = 'Pacific/Chatham'; SET DateStyle = 'German'").await.unwrap();
    let mut cells = 0;
    for table in &swept {
        let bare = table.name.trim_start_matches("public.");
        for (at, mask) in table.masks.iter().enumerate() {
            let sql = format!(
                "SELECT count(*), count(c{at}::text) FILTER (WHERE id = {}) FROM {bare}",
                table.rows - 1
            );
            let seen = session.run(&sql).await;
            let nulls =
                if table.sql == "public.code" { seen.clone() } else { Ok(format!("{}|0", table.rows)) };
            assert_eq!(seen, nulls, "{mask:?} on {}", table.sql);
            assert!(seen.is_ok(), "{mask:?} on {}: {seen:?}", table.sql);
            let types = format!(
                "SELECT count(DISTINCT (atttypid, atttypmod, attcollation)) FROM pg_attribute WHERE attname = 'c{at}' \
                 AND attrelid IN (SELECT oid FROM pg_class WHERE relname IN ('{bare}', '{}'))",
                table.name
            );
            assert_eq!(count(&session, &types).await, 1, "the type of {mask:?} on {}", table.sql);
            cells += table.rows;
        }
    }
    assert!(cells > 2000, "{cells}");
}

#[tokio::test]
async fn saving_back_what_was_read_changes_nothing() {
    let (session, swept) = swept(types()).await;
    for table in &swept {
        let bare = table.name.trim_start_matches("public.");
        session
            .owner
            .batch_execute(&format!("CREATE TABLE public.kept_{bare} AS TABLE {}", table.name))
            .await
            .unwrap();
        session.run(&format!("UPDATE {bare} SET id = id WHERE false")).await.unwrap();
        session.run(&format!("SELECT count(*) FROM {bare}")).await.unwrap();
        let (read, write) = (format!("pg_temp.\"{}\"", table.name), format!("pg_temp.\"w:{}\"", table.name));
        let mut block = String::from("DO $$ BEGIN FOR k IN 0..99 LOOP\n");
        for at in 0..table.masks.len() {
            let _ = writeln!(
                block,
                "BEGIN UPDATE {write} SET c{at} = (SELECT c{at} FROM {read} WHERE id = k) WHERE id = k; \
                 EXCEPTION WHEN insufficient_privilege OR not_null_violation THEN NULL; END;"
            );
        }
        block.push_str("END LOOP; END $$");
        let block = block.replace("0..99", &format!("0..{}", table.rows - 1));
        session.client.batch_execute(&block).await.unwrap_or_else(|error| panic!("{}: {error:?}", table.sql));
        for (at, mask) in table.masks.iter().enumerate() {
            // Shown, a document is written out anew, with other spaces.
            let text = |it: &str| match table.sql {
                "json" => format!("regexp_replace({it}.c{at}::text, ' ', '', 'g')"),
                _ => format!("{it}.c{at}::text"),
            };
            let lost = format!(
                "SELECT coalesce(string_agg(k.c{at}::text || ' became ' || coalesce(t.c{at}::text, 'NULL'), '; '), '') \
                 FROM {} t JOIN public.kept_{bare} k USING (id) WHERE {} IS DISTINCT FROM {}",
                table.name,
                text("k"),
                text("t")
            );
            let lost: String = session.owner.query_one(&lost, &[]).await.unwrap().get(0);
            assert_eq!(lost.chars().take(300).collect::<String>(), "", "{mask:?} on {}", table.sql);
        }
    }
}
