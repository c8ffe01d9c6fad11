//! Databases of other versions: older ones are brought forward with all they have, newer ones are left alone.

use crate::engine::{Postgres, user};
use daam_bundle::SigningKey;
use daam_store::{Caller, Checkpointed, ConnectionFilter, Db, Role, StoreError};
use sqlx::sqlite::SqlitePoolOptions;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The tables and rows of an early version, the same for both engines.
const EARLY: &str = include_str!("early.sql");
/// What that version noted of its migrations. One that is changed afterwards is refused wherever it was run before.
const NOTED: [(i64, &str, &str); 4] = [
    (
        1,
        "start",
        "1eab658e2fac4ba31a1ed92b1be07d44aa6ec4148eb3eb553c3d87373e3a68bc8c6b410a0f4e43bab51788c71d184554",
    ),
    (
        2,
        "revocation",
        "04358067f8869e63170ab77c1eeeadb801a3efc2e1e256175c2e73b88d7a79bdb6dfc215e6a1db119e8b5db6a007ed5c",
    ),
    (
        3,
        "rotation",
        "d17f88456efda9d7679a3af47fb326fb7fbcdbf476a16c38ff8d0e04585bc0ae3587ca782a9cf820f33dedb4fdf8cae8",
    ),
    (
        4,
        "agent audit",
        "cac6acd33f9534c4d9b5e2059b32a4f198e67aa6bf230d78da0231d323f61d1fda81f81d7aee5e93ff735fe6b64b53d3",
    ),
];
/// When its rows were written.
const THEN: i64 = 1_790_000_000;

/// Where migrations are noted; `bytes` is what the engine calls them.
fn notes(bytes: &str, literal: impl Fn(&str) -> String) -> String {
    let mut sql = format!(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, \
         execution_time BIGINT NOT NULL);"
    );
    for (version, name, checksum) in NOTED {
        let checksum = literal(checksum);
        write!(
            sql,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES ({version}, '{name}', TRUE, {checksum}, 1);"
        )
        .unwrap();
    }
    sql
}

async fn sqlite_of(file: &Path, sql: &str) {
    std::fs::File::create(file).unwrap().set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    let pool = SqlitePoolOptions::new().connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    pool.close().await;
}

async fn postgres_of(dsn: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
    let served = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    served.await.unwrap().unwrap();
}

/// All that was there is there, under the rules there are now.
async fn is_whole(db: &Db) {
    let ana = user(db, "daam_pat_an-early-admin", THEN + 100).await.unwrap();
    assert_eq!((ana.email(), ana.role()), ("ana@example.com", Role::Admin));
    let bo = user(db, "daam_pat_an-early-member", THEN + 100).await.unwrap();
    assert_eq!(bo.role(), Role::Member);
    let agent = match db.authenticate("daam_agt_an-early-agent", THEN + 100).await.unwrap() {
        Some(Caller::Agent(agent)) => agent,
        other => panic!("{other:?}"),
    };
    assert_eq!(agent.database(), "shop");
    assert!(db.authenticate("daam_agt_a-removed-agent", THEN + 100).await.unwrap().is_none());

    let users = db.users(ana.scope()).await.unwrap();
    let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
    assert_eq!(emails, ["ana@example.com", "bo@example.com", "cy@example.com"]);
    assert!(users[1].groups.contains("eu") && users[2].disabled);
    let (version, authorities) = db.authorities(ana.scope()).await.unwrap();
    assert_eq!((version, authorities.len()), (1, 1));
    assert_eq!(authorities[0].certificate, "certificate of o1");
    assert_eq!(authorities[0].sealed.as_deref(), Some("sealed ca"));
    assert_eq!(db.trust_versions(ana.scope()).await.unwrap(), ["trust version 1", "trust version 2"]);
    assert_eq!(db.bundle(ana.scope(), "shop").await.unwrap().unwrap().serial, 2);
    // The session of an agent that was removed is over, the other one goes on.
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 1);
    let ended = ConnectionFilter { open: Some(false), ..ConnectionFilter::default() };
    let ended = db.connections(ana.scope(), &ended, 10).await.unwrap();
    let said: Vec<_> =
        ended.iter().map(|one| (one.id.as_str(), one.ended_at, one.reason.as_deref())).collect();
    let removed = Some("the agent was removed");
    assert_eq!(said, [("left behind", Some(THEN + 20), removed), ("ended", Some(THEN + 15), Some("left"))]);
    // Signed only if it is whole: nothing that was written before is written anew.
    let key = SigningKey::generate().unwrap();
    let at = THEN + 200;
    let signed = db.checkpoint(
        ana.scope(),
        (None, at),
        |_| true,
        |tip| tip.checkpoint(ana.scope().org(), at).sign(&key),
    );
    match signed.await.unwrap() {
        Checkpointed::Signed(signed) => assert_eq!(signed.unverified().size, 3),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_early_embedded_database_comes_forward_with_all_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daam.db");
    let checksum = |hex: &str| format!("x'{hex}'");
    sqlite_of(&file, &format!("{EARLY}{}", notes("BLOB", checksum))).await;
    let db = Db::open_sqlite(&file).await.unwrap();
    is_whole(&db).await;
    db.close().await;
    drop(db);
    let again = Db::open_sqlite(&file).await.unwrap();
    assert!(user(&again, "daam_pat_an-early-admin", THEN).await.is_some());
}

#[tokio::test]
async fn an_early_postgresql_comes_forward_with_all_it_has() {
    let server = Postgres::start();
    postgres_of(&server.dsn("postgres"), "CREATE DATABASE early").await;
    let dsn = server.dsn("early");
    let checksum = |hex: &str| format!("'\\x{hex}'");
    let early = EARLY.replace("TIMESTAMP ", "TIMESTAMPTZ ");
    postgres_of(&dsn, &format!("{early}{}", notes("BYTEA", checksum).replace("TIMESTAMP ", "TIMESTAMPTZ ")))
        .await;
    let db = Db::open_postgres(&dsn).await.unwrap();
    is_whole(&db).await;
    db.close().await;
    // Several at once, and again.
    let opened = tokio::join!(Db::open_postgres(&dsn), Db::open_postgres(&dsn), Db::open_postgres(&dsn));
    for db in [opened.0, opened.1, opened.2] {
        assert!(user(&db.unwrap(), "daam_pat_an-early-admin", THEN).await.is_some());
    }
}

#[tokio::test]
async fn several_begin_at_once_on_an_empty_postgresql() {
    let server = Postgres::start();
    for round in 0..3 {
        postgres_of(&server.dsn("postgres"), &format!("CREATE DATABASE empty{round}")).await;
        let dsn = server.dsn(&format!("empty{round}"));
        let opened = tokio::join!(
            Db::open_postgres(&dsn),
            Db::open_postgres(&dsn),
            Db::open_postgres(&dsn),
            Db::open_postgres(&dsn)
        );
        for db in [opened.0, opened.1, opened.2, opened.3] {
            assert!(!db.unwrap().has_organization().await.unwrap());
        }
    }
}

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (999999, 'of another day', TRUE, '', 1)";

fn says_what_to_do(refused: &StoreError) {
    let said = refused.to_string();
    assert!(matches!(refused, StoreError::Newer { .. }), "{refused:?}");
    for part in ["999999", "newer", "that version", "backup"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daam.db");
    Db::open_sqlite(&file).await.unwrap().close().await;
    sqlite_changed(&file).await;
    says_what_to_do(&Db::open_sqlite(&file).await.unwrap_err());

    let server = Postgres::start();
    server.database("newer").await.close().await;
    let dsn = server.dsn("newer");
    postgres_of(&dsn, NEWER).await;
    says_what_to_do(&Db::open_postgres(&dsn).await.unwrap_err());
}

async fn sqlite_changed(file: &Path) {
    let pool = SqlitePoolOptions::new().connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql(NEWER).execute(&pool).await.unwrap();
    pool.close().await;
}
