//! The guides: every row of the scope guide's table names a test that exists, and the SQL of the operations guide works.

use crate::world;
use daam_postgres::Cluster;
use std::path::{Path, PathBuf};
use std::process::Command;

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_the_scope_guide_names_exists_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(root.join("policy-examples/scope.md")).unwrap();
    let rows: Vec<Vec<&str>> = guide
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(".rs`"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 30, "{} rows", rows.len());
    for row in &rows {
        let [behaviour, test, file] = row.as_slice() else { panic!("{row:?}") };
        let (test, file) = (test.trim_matches('`'), file.trim_matches('`'));
        let source =
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let marked = source
            .split("fn ")
            .skip(1)
            .any(|rest| rest.strip_prefix(test).is_some_and(|rest| rest.starts_with('(')));
        assert!(marked, "no test `{test}` in {file} for: {behaviour}");
    }
}

#[test]
fn every_test_of_the_scope_is_in_the_guide() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent");
    let guide = std::fs::read_to_string(tests.join("../../../policy-examples/scope.md")).unwrap();
    let mut files = Vec::new();
    sources(&tests, &mut files);
    let names = ["scope.rs", "scope_live.rs", "blind.rs", "reloading.rs"];
    for file in files.iter().filter(|file| names.iter().any(|name| file.ends_with(name))) {
        let source = std::fs::read_to_string(file).unwrap();
        for after in source.split("#[tokio::test(flavor = \"multi_thread\")]\nasync fn ").skip(1) {
            let name = after.split('(').next().unwrap();
            assert!(guide.contains(&format!("`{name}`")), "`{name}` is not in the guide");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_operations_guide_is_all_an_agent_needs() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/operations.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let sql = guide.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let cluster = tokio::task::spawn_blocking(|| Cluster::for_test().unwrap()).await.unwrap();
    let postgres = world::connect(&cluster.superuser_dsn("postgres")).await;
    postgres.batch_execute("CREATE ROLE shop_owner NOLOGIN").await.unwrap();
    postgres.batch_execute("CREATE DATABASE shop OWNER shop_owner").await.unwrap();
    let shop = world::connect(&cluster.superuser_dsn("shop")).await;
    shop.batch_execute(sql).await.unwrap();
    let tables = "CREATE SCHEMA app AUTHORIZATION shop_owner; SET ROLE shop_owner; CREATE TABLE app.t (id serial PRIMARY KEY)";
    shop.batch_execute(tables).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dsn"), cluster.dsn("daam_agent", "change me", "shop")).unwrap();
    std::fs::write(dir.path().join("config.yaml"), "upstream: { dsn_file: dsn, scope: [app.*] }\n").unwrap();
    let doctor = |config: PathBuf| {
        Command::new(env!("CARGO_BIN_EXE_daam-agent")).args(["doctor", "--config"]).arg(config).output()
    };
    let found = doctor(dir.path().join("config.yaml")).unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&found.stderr));
    // Without the owner's rights it could grant nothing, and the doctor says so.
    shop.batch_execute("RESET ROLE; REVOKE shop_owner FROM daam_agent").await.unwrap();
    let found = doctor(dir.path().join("config.yaml")).unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(2), "{said}");
    assert!(said.contains("app.t"), "{said}");
}
