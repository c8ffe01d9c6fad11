//! Every statement is understood by the engine, tables, columns and types included.

use daam_store::Db;

pub(crate) async fn every_statement_prepares(db: Db) {
    let statements = daam_store::statements();
    assert!(statements.len() > 50, "only {}", statements.len());
    for (name, sql) in statements {
        if let Err(error) = db.prepare(sql).await {
            panic!("{name} does not prepare: {:?}", std::error::Error::source(&error));
        }
    }
    assert!(db.prepare("SELECT no_such_column FROM users").await.is_err());
}

#[tokio::test]
async fn an_embedded_file_has_one_server() {
    let (db, dir) = crate::engine::sqlite().await;
    let file = dir.path().join("daam.db");
    let refused = Db::open_sqlite(&file).await.unwrap_err();
    assert!(refused.to_string().starts_with("another control plane is using"), "{refused}");
    drop(db);
    assert!(Db::open_sqlite(&file).await.is_ok());
}

#[tokio::test]
async fn only_postgresql_urls_are_urls() {
    let refused = Db::open_postgres("mysql://x").await.unwrap_err();
    assert!(refused.to_string().contains("postgres://"));
}
