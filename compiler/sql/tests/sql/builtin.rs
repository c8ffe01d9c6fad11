//! The checked-in catalogue of built-in objects says what the running server says.

use daam_postgres::Cluster;
use std::collections::BTreeSet;

const CATALOG: &str = include_str!("../../builtin/catalog.txt");

fn has(range: &str, major: u32) -> bool {
    let number = |text: &str| text.parse::<u32>().unwrap();
    match (range.strip_prefix('<'), range.strip_prefix('>')) {
        (Some(before), _) => major < number(before),
        (_, Some(after)) => major > number(after),
        _ => range.split(',').any(|one| number(one) == major),
    }
}

/// The lines of the resource one major version has, without their range.
fn lines(major: u32) -> BTreeSet<String> {
    let count = |kind: &str| match kind {
        "T" => 13,
        "C" => 6,
        "O" => 7,
        "F" => 10,
        _ => 2,
    };
    CATALOG
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let expected = count(fields[0]);
            let there = fields.get(expected).is_none_or(|range| has(range, major));
            there.then(|| fields[..expected].join("\t"))
        })
        .collect()
}

#[tokio::test]
async fn the_catalogue_of_built_in_objects_is_what_the_server_has() {
    let cluster = Cluster::for_test().unwrap();
    let (client, connection) =
        tokio_postgres::connect(&cluster.superuser_dsn("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await.unwrap().get(0);
    let names: Vec<&str> = daam_sql::filter::callable().collect();
    let rows = client.query(include_str!("../../builtin/query.sql"), &[&names]).await.unwrap();
    let found: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let written = lines(u32::try_from(version / 10_000).unwrap());
    let missing: Vec<&String> = found.difference(&written).collect();
    let gone: Vec<&String> = written.difference(&found).collect();
    assert!(missing.is_empty() && gone.is_empty(), "run ci/builtin\nmissing: {missing:#?}\ngone: {gone:#?}");
}
