//! In which order PostgreSQL's rows are locked: the organization first. Whoever waits for it holds nothing that whoever has
//! it wants, and decides nothing by what it read before.

use crate::engine::{NOW, Postgres, admin, agent, put};
use daam_ledger::Tip;
use daam_store::{Db, Hello, UserAuth};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

async fn connect(server: &Postgres, database: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.dsn(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Until somebody waits for a lock.
async fn somebody_waits(client: &Client) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(tokio::time::Instant::now() < until, "nobody waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A transaction that has the organization.
async fn held(client: &Client, by: &UserAuth) {
    let hold = format!(
        "BEGIN; SET LOCAL lock_timeout = '5s'; UPDATE organizations SET audit_seq = audit_seq WHERE slug = '{}'",
        by.scope().org()
    );
    client.batch_execute(&hold).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_connects_while_it_is_removed_waits_without_holding_its_row() {
    let server = Postgres::start();
    let db: Db = server.database("connecting").await;
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    let (first, second) = (connect(&server, "connecting").await, connect(&server, "connecting").await);
    held(&first, &ana).await;
    let connecting = tokio::spawn(async move {
        let hello = Hello {
            link_id: "l",
            addresses: &[],
            agent_version: "0",
            bundle_serial: 0,
            directory_version: 0,
        };
        db.agent_connected(&one, &hello, NOW).await
    });
    somebody_waits(&second).await;
    first.batch_execute("UPDATE agents SET removed_at = 1 WHERE id = 'one'; COMMIT").await.unwrap();
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn of_two_servers_that_remove_old_entries_the_slower_one_takes_nothing_back() {
    let server = Postgres::start();
    let db: Db = server.database("cutting").await;
    let ana = admin(&db, "calm-otter").await;
    let sign = async |at: i64| {
        let key = daam_bundle::SigningKey::generate().unwrap();
        let sign = |tip: &Tip| tip.checkpoint("calm-otter", at).sign(&key);
        db.checkpoint(ana.scope(), (None, at), |_| true, sign).await.unwrap();
    };
    put(&db, &ana, "bo@example.com", false).await;
    sign(NOW + 1).await;
    put(&db, &ana, "cy@example.com", false).await;
    sign(NOW + 2).await;
    let (first, second) = (connect(&server, "cutting").await, connect(&server, "cutting").await);
    held(&first, &ana).await;
    let (theirs, scope) = (db.clone(), ana.scope().clone());
    // The slower one looks for what is older than the first checkpoint's time.
    let slower = tokio::spawn(async move { theirs.cut_audit(&scope, NOW + 2, NOW + 9).await });
    somebody_waits(&second).await;
    first.batch_execute("UPDATE organizations SET audit_cut = 1000; COMMIT").await.unwrap();
    assert_eq!(slower.await.unwrap().unwrap(), None);
    let cut: i64 = second.query_one("SELECT audit_cut FROM organizations", &[]).await.unwrap().get(0);
    assert_eq!(cut, 1000);
}
