//! The second wall: what PostgreSQL itself keeps apart, whatever a statement asks for.

use crate::engine::Postgres;
use daam_store::{Db, StoreError};
use tokio_postgres::{Client, NoTls, error::SqlState};

/// Tables without the wall, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("_sqlx_migrations", "which migrations ran"),
    ("bootstrap", "one row: that the first organization was made"),
    ("people", "somebody who belongs to several organizations; an id and a date"),
    ("passkeys", "of a person, like these; nothing of an organization is in them"),
    ("passkey_ceremonies", "what an authenticator was asked, before it is known who answers"),
];

/// What nobody reaches but the organization itself.
const PRIVATE: &[&str] = &[
    "audit",
    "audit_gone",
    "agent_audit",
    "agent_audit_chains",
    "bundles",
    "databases",
    "schema_reports",
    "scope_violations",
    "sessions",
    "certificates",
    "trust",
    "trust_versions",
    "freshness_keys",
    "audit_keys",
    "access_requests",
    "access_events",
    "access_reports",
    "identity_links",
    "workload_uses",
];

async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// As a connection of the server does it: an organization or a kind of work.
async fn reach(client: &Client, org: &str, kind: &str) {
    client
        .execute(
            "SELECT set_config('daam.org', $1, false), set_config('daam.reach', $2, false)",
            &[&org, &kind],
        )
        .await
        .unwrap();
}

async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT COUNT(*) FROM {table}"), &[]).await.unwrap().get(0)
}

async fn tables(client: &Client) -> Vec<(String, bool, bool)> {
    let walled = "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity \
                  AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL), \
                  EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id') \
                  FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relnamespace = 'public'::regnamespace ORDER BY 1";
    client.query(walled, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// A row of `org` in a table that has none: whatever its columns take, of whatever that names.
async fn fill(client: &Client, table: &str, org: &str) {
    let needed = "SELECT column_name::text, data_type::text FROM information_schema.columns \
                  WHERE table_schema = 'public' AND table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL";
    let columns: Vec<(String, String)> =
        client.query(needed, &[&table]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let values = columns.iter().map(|(name, kind)| match (name.as_str(), kind.as_str()) {
        ("org_id", _) => format!("'{org}'"),
        (_, "text") => format!("'{table} of {org}'"),
        (_, "boolean") => "FALSE".to_owned(),
        _ => "0".to_owned(),
    });
    let values: Vec<String> = values.collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let row = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    let checks =
        "SELECT conname::text FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c'";
    for check in client.query(checks, &[&table]).await.unwrap() {
        let check: String = check.get(0);
        client.batch_execute(&format!("ALTER TABLE {table} DROP CONSTRAINT {check}")).await.unwrap();
    }
    // What it refers to need not be there.
    let row =
        format!("SET session_replication_role = replica; {row}; SET session_replication_role = DEFAULT");
    client.batch_execute(&row).await.unwrap_or_else(|error| panic!("{row}: {error}"));
}

#[tokio::test]
async fn every_table_of_tenants_has_a_wall_and_a_wrong_scope_gives_nothing() {
    let server = Postgres::start();
    let db = server.database("walls").await;
    crate::tenants::no_tenant_sees_or_changes_another_ones_rows(db.clone()).await;
    let client = connect(&server.dsn("walls")).await;
    let tables = tables(&client).await;
    for (table, walled, _) in &tables {
        let without = WITHOUT.iter().any(|(name, _)| name == table);
        assert_ne!(*walled, without, "`{table}` needs a row-level security policy, or a reason in WITHOUT");
    }
    let org = async |slug: &str| -> String {
        client.query_one("SELECT id FROM organizations WHERE slug = $1", &[&slug]).await.unwrap().get(0)
    };
    let (hers, eves) = (org("calm-otter").await, org("sly-fox").await);
    for (table, ..) in tables.iter().filter(|(_, walled, of_org)| *walled && *of_org) {
        client.batch_execute("RESET ROLE").await.unwrap();
        let theirs = format!("SELECT COUNT(*) FROM {table} WHERE org_id = $1");
        let mut there: i64 = client.query_one(&theirs, &[&eves]).await.unwrap().get(0);
        if there == 0 {
            fill(&client, table, &eves).await;
            there = 1;
        }
        client.batch_execute("SET ROLE daam_control_plane").await.unwrap();
        for (org, kind) in [("", ""), ("no such organization", ""), (&hers, "everything"), ("", "everything")]
        {
            reach(&client, org, kind).await;
            let seen: i64 = client.query_one(&theirs, &[&eves]).await.unwrap().get(0);
            assert_eq!(seen, 0, "`{table}` shows another organization's rows to `{org}`, `{kind}`");
        }
        reach(&client, &eves, "").await;
        assert_eq!(count(&client, table).await, there, "`{table}` shows more or less than what is its own");
        if PRIVATE.contains(&table.as_str()) {
            for kind in ["arrival", "upkeep"] {
                reach(&client, "", kind).await;
                assert_eq!(count(&client, table).await, 0, "`{table}` is in reach of `{kind}`");
            }
        }
    }
    reach(&client, &hers, "").await;
    let steal = client.execute("UPDATE users SET org_id = $1", &[&eves]).await.unwrap_err();
    assert_eq!(steal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{steal}");
    assert_eq!(client.execute("DELETE FROM bundles WHERE org_id = $1", &[&eves]).await.unwrap(), 0);
    let plant =
        "INSERT INTO audit_keys (org_id, public_part, sealed_part, created_at) VALUES ($1, '', '', 0)";
    let planted = client.execute(plant, &[&eves]).await.unwrap_err();
    assert_eq!(planted.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{planted}");
}

#[tokio::test]
async fn a_user_that_owns_the_tables_is_behind_the_wall_and_one_above_it_is_refused() {
    let server = Postgres::start();
    let operator = connect(&server.dsn("postgres")).await;
    for (role, options) in [("walled", ""), ("above", "BYPASSRLS")] {
        operator.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x' {options}")).await.unwrap();
        operator.batch_execute(&format!("CREATE DATABASE {role} OWNER {role}")).await.unwrap();
    }
    let dsn = server.dsn_of("walled", "x", "walled");
    let db = Db::open_postgres(&dsn).await.unwrap();
    crate::tenants::no_tenant_sees_or_changes_another_ones_rows(db.clone()).await;
    let client = connect(&dsn).await;
    for table in ["users", "audit", "bundles", "api_tokens"] {
        assert_eq!(count(&client, table).await, 0, "the owner of `{table}` sees it without a word");
    }
    // A second start finds everything as it has to be, also while the first one serves.
    drop(Db::open_postgres(&dsn).await.unwrap());
    let refused = Db::open_postgres(&server.dsn_of("above", "x", "above")).await.unwrap_err();
    assert!(matches!(refused, StoreError::AboveRows), "{refused}");
    assert!(refused.to_string().contains("without BYPASSRLS"), "{refused}");

    // As the operator's documentation has it.
    let program = daam_postgres::find_binaries(None).unwrap().dir.join("pg_dump");
    let dumped = |options: Option<&str>| {
        let mut dump = std::process::Command::new(&program);
        dump.args(["--dbname", &dsn, "--enable-row-security", "--data-only", "--table", "users"]);
        let out = dump.envs(options.map(|options| ("PGOPTIONS", options))).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(dumped(Some("-c daam.reach=migration")).contains("admin@sly-fox.example"));
    assert!(!dumped(None).contains("admin@sly-fox.example"));
}
