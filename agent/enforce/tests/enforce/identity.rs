//! Views that change nothing: whatever is asked, through the session's views the answer is the one without them.

use crate::database::{open, prepare};
use crate::shop;
use daam_catalog::Catalog;
use daam_enforce::SessionPlan;
use daam_model::Verb;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_postgres::{Client, SimpleQueryMessage};

const CASES: usize = 400;

/// Every row reached by every verb, nothing masked, and yet through views.
fn plan(catalog: &Catalog) -> SessionPlan {
    let mut policy = shop::policy(catalog);
    for (name, access) in &mut policy.relations {
        access.masks.clear();
        access.rows.clear();
        if name.name.as_str() != "notes" {
            for verb in [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete] {
                access.rows.insert(verb, shop::filter(&name.to_string(), "id = id"));
            }
        }
    }
    daam_enforce::plan(&policy, catalog).unwrap()
}

fn table() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec!["users", "orders", "tickets"]);
    (plain, 0..6_usize).prop_map(|(name, how)| match how {
        0 => format!("public.{name}"),
        1 => format!("\"{name}\""),
        2 => format!("ONLY {name}"),
        3 => format!("{name} *"),
        4 => format!("PUBLIC . {name}"),
        _ => name.to_owned(),
    })
}

/// A value over the alias `a`.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        vec![
            "a.id",
            "a.region",
            "(a).id",
            "1",
            "'x''y'",
            "E'\\\\'",
            "$q$a$q$",
            "NULL",
            "a.id::text",
            "a IS NULL",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>(),
    );
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|value| format!("upper(({value})::text)")),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| format!("coalesce(({one})::text, ({other})::text)")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!(
                "CASE WHEN a.id = 1 THEN ({one})::text ELSE ({other})::text END"
            )),
            (inner.clone(), table()).prop_map(|(value, table)| format!(
                "(SELECT max(({value})::text) FROM {table} AS b WHERE b.id = a.id)"
            )),
            table().prop_map(|table| format!("EXISTS (TABLE {})", table.replace('*', ""))),
            (inner, table()).prop_map(|(value, table)| {
                format!("ARRAY(SELECT ({value})::text || b.region FROM {table} b ORDER BY b.id)::text")
            }),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let list = prop::collection::vec(value(), 1..4).prop_map(|values| values.join(" /* c */, "));
    (list, value(), table(), table(), 0..10_usize).prop_map(|(list, value, one, other, shape)| match shape {
        0 => format!("SELECT {list} FROM {one} AS a"),
        1 => format!("SELECT a.*, {list} FROM {one} a JOIN {other} b USING (id)"),
        2 => format!("SELECT {list}, b.region FROM {one} a LEFT JOIN {other} AS b ON a.id = b.id AND b.region <> 'x'"),
        3 => format!("WITH a AS (SELECT * FROM {one}) SELECT {list} FROM a WHERE ({value})::text IS NOT NULL"),
        4 => format!("SELECT {list} FROM (SELECT * FROM {one} UNION ALL SELECT * FROM {one}) a"),
        5 => format!("SELECT a.region, count(*), max(({value})::text) FROM {one} a GROUP BY a.region, a.id HAVING count(*) > 0"),
        6 => format!("SELECT x.v FROM {one} a, LATERAL (SELECT ({value})::text AS v FROM {other} b) x"),
        7 => format!("SELECT DISTINCT ON (a.region) {list} FROM {one} a ORDER BY a.region, a.id -- end"),
        8 => format!("SELECT row_number() OVER (PARTITION BY a.region ORDER BY a.id), {list} FROM {one} a"),
        _ => format!("SELECT to_jsonb(a) - 'zz', a::text, {list} FROM {one} a"),
    })
}

async fn asked(client: &Client, sql: &str) -> Result<String, String> {
    let messages = client.simple_query(sql).await.map_err(|error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    Ok(sorted(&rows.collect::<Vec<_>>().join(";")))
}

fn sorted(rows: &str) -> String {
    let mut rows: Vec<&str> = rows.split(';').collect();
    rows.sort_unstable();
    rows.join(";")
}

#[tokio::test]
async fn through_views_that_change_nothing_every_query_answers_the_same() {
    let (cluster, owner, agent, version) = prepare(shop::SCHEMA).await;
    let catalog = shop::catalog(version);
    let plan = plan(&catalog);
    let session = open(cluster, owner, agent, catalog, plan).await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut answered = 0;
    for _ in 0..CASES {
        let sql = statement().new_tree(&mut runner).unwrap().current();
        let Ok(expected) = asked(&session.owner, &sql).await else { continue };
        answered += 1;
        let found = session.run(&sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(sorted(&found), expected, "{sql}");
    }
    assert!(answered > CASES / 2, "only {answered} of the queries mean anything");
}
