//! Backups of both kinds of databases, and what the operator does beside a running server.

use crate::world::{Postgres, World, path_of};
use daam_control_plane::backup::{BackupError, backup, restore};
use daam_control_plane::{Config, Server, server};
use reqwest::Method;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[tokio::test]
async fn a_backup_taken_under_load_has_every_change_from_before_it() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    for index in 0..20 {
        world.put_user(&org, &format!("before{index}@example.com"), false).await;
    }
    let out = world.dir.path().join("backup");
    let writes = async {
        for index in 0..20 {
            world.put_user(&org, &format!("during{index}@example.com"), false).await;
        }
    };
    let ((), taken) = tokio::join!(writes, backup(&world.config, &out));
    taken.unwrap();
    assert!(
        matches!(backup(&world.config, &out).await, Err(BackupError::Taken(_))),
        "nothing is written over"
    );

    let config = Config { data_dir: world.dir.path().join("restored"), ..world.config.clone() };
    restore(&config, &out).await.unwrap();
    assert!(matches!(restore(&config, &out).await, Err(BackupError::Taken(_))));
    let restored = Server::start(&config).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", restored.address());
    let users: Vec<Value> = reqwest::Client::new()
        .get(url("/v1/users"))
        .bearer_auth(&org.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for index in 0..20 {
        let email = format!("before{index}@example.com");
        assert!(users.iter().any(|user| user["email"] == email.as_str()), "{email} is missing");
    }
    // The sealed keys open, and the audit is whole.
    let sign = reqwest::Client::new().post(url("/v1/audit/checkpoints")).bearer_auth(&org.token);
    assert_eq!(sign.send().await.unwrap().status().as_u16(), 200);
    let ca = reqwest::Client::new().get(url("/v1/ca")).bearer_auth(&org.token).send().await.unwrap();
    assert_eq!(ca.text().await.unwrap(), world.get("/v1/ca", &org.token).await.ok(200).text());
    restored.stop().await;
}

#[tokio::test]
async fn a_backup_put_back_where_later_entries_were_signed_is_signed_again() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let out = world.dir.path().join("backup");
    backup(&world.config, &out).await.unwrap();
    world.put_user(&org, "after@example.com", false).await;
    let path = "/v1/audit/checkpoints";
    world.call(Method::POST, path, &org.token, &serde_json::json!({})).await.ok(200);
    let World { server, dir, config, .. } = world;
    server.stop().await;
    for name in ["daam.db", "daam.db-wal", "daam.db-shm", "keys.key"] {
        drop(std::fs::rename(config.data_dir.join(name), dir.path().join(name)));
    }
    // One that fails moves nothing.
    assert!(restore(&config, &dir.path().join("none")).await.is_err());
    let remembered = config.data_dir.join("audit-signed").join(format!("{}.json", org.slug));
    assert!(remembered.exists());
    let aside = restore(&config, &out).await.unwrap().unwrap();
    assert!(!remembered.exists() && aside.join(format!("{}.json", org.slug)).exists());
    let server = Server::start(&config).await.unwrap();
    let url = format!("http://{}{path}", server.address());
    let signed = reqwest::Client::new().post(url).bearer_auth(&org.token).send().await.unwrap();
    assert_eq!(signed.status().as_u16(), 200);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_backup_is_not_put_back_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(None).await;
    world.bootstrap().await;
    let out = world.dir.path().join("backup");
    backup(&world.config, &out).await.unwrap();
    std::fs::write(out.join("daam.db"), "not a database").unwrap();
    let config = Config { data_dir: dir.path().join("data"), ..world.config.clone() };
    assert!(matches!(restore(&config, &out).await, Err(BackupError::Open(_))));
    assert!(!config.data_dir.join("daam.db").exists() && !config.data_dir.join("keys.key").exists());
    let url = "postgres://nobody:hush@127.0.0.1:1/none".to_owned();
    let postgres = Config { database_url: Some(url), data_dir: world.config.data_dir.clone(), ..config };
    let told = backup(&postgres, &dir.path().join("none")).await.unwrap_err().to_string();
    assert!(told.contains("`pg_dump` failed") && !told.contains("hush"), "{told}");
}

/// As the page says, by a superuser and by a user who owns the database and is none.
#[tokio::test]
async fn a_backup_of_postgresql_is_put_back_whole() {
    let postgres = Postgres::start();
    let owner = "CREATE ROLE daam LOGIN PASSWORD 's%c+r t'; CREATE DATABASE owned OWNER daam; CREATE DATABASE owned2 OWNER daam";
    for statement in owner.split("; ") {
        postgres.execute("postgres", statement).await;
    }
    let of = |database: &str| postgres.dsn("daam", "s%25c+r%20t", database);
    let first = postgres.database("first").await;
    let second = postgres.database("second").await;
    for (from, to) in [(first, second), (of("owned"), of("owned2"))] {
        put_back(from, to).await;
    }
}

async fn put_back(from: String, to: String) {
    let world = World::start(Some(from.clone())).await;
    let org = world.bootstrap().await;
    world.put_user(&org, "before@example.com", false).await;
    let out = world.dir.path().join("backup");
    let (stop, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let during = async {
        while !stop.load(Ordering::Relaxed) {
            let number = writes.fetch_add(1, Ordering::Relaxed);
            world.put_user(&org, &format!("during{number}@example.com"), false).await;
        }
    };
    let taken = async {
        backup(&world.config, &out).await.unwrap();
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(during, taken);

    let data_dir = world.dir.path().join("restored");
    let config = Config { data_dir, database_url: Some(to), ..world.config.clone() };
    // Only into an empty one, and then nothing is changed.
    let same = Config { database_url: Some(from), ..config.clone() };
    assert!(matches!(restore(&same, &out).await, Err(BackupError::Failed { .. })));
    assert!(!same.data_dir.join("keys.key").exists());
    restore(&config, &out).await.unwrap();
    let restored = Server::start(&config).await.unwrap();
    let http = reqwest::Client::new();
    let url = |path: &str| format!("http://{}{path}", restored.address());
    let users: Vec<Value> =
        http.get(url("/v1/users")).bearer_auth(&org.token).send().await.unwrap().json().await.unwrap();
    assert!(users.iter().any(|user| user["email"] == "before@example.com"), "{users:?}");
    // Each change with its entry, or neither: the audit of what is there is whole, and its keys open.
    let sign = http.post(url("/v1/audit/checkpoints")).bearer_auth(&org.token).send().await.unwrap();
    assert_eq!(sign.status().as_u16(), 200);
    let puts: Vec<Value> = http
        .get(url("/v1/audit?action=user.put&limit=500"))
        .bearer_auth(&org.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(puts.len() + 1, users.len(), "but for the first admin");
    let ca = http.get(url("/v1/ca")).bearer_auth(&org.token).send().await.unwrap().text().await.unwrap();
    assert_eq!(ca, world.get("/v1/ca", &org.token).await.ok(200).text());
    restored.stop().await;
}

#[tokio::test]
async fn the_operator_lets_somebody_in_while_the_server_runs() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let link =
        server::recovery_link(&world.config, (&org.slug, "ana@example.com", false)).await.unwrap().unwrap();
    let cookie = world.submit(path_of(&link), None, "").await.cookie();
    assert!(world.look("/account", &cookie).await.ok(200).text().contains("ana@example.com"));
    let none = server::recovery_link(&world.config, (&org.slug, "nobody@example.com", false)).await.unwrap();
    assert_eq!(none, None);
    // What both wrote is one chain.
    let signed = world.call(Method::POST, "/v1/audit/checkpoints", &org.token, &serde_json::json!({})).await;
    signed.ok(200);
    // A second server is refused as before.
    assert!(Server::start(&world.config).await.unwrap_err().to_string().contains("could not open the store"));
}
