//! PostgreSQL's own programs against the agent.

use super::stage::{Stage, principal, writing};
use daam_agent::proxy::serve;
use std::process::{Command, Output};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A port that leads into the proxy.
async fn listen(stage: &Stage) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ctx = Arc::clone(&stage.ctx);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, principal(), Arc::clone(&ctx)));
        }
    });
    port
}

async fn run(port: u16, program: &'static str, arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-U",
            "jane",
            "-d",
            "shop",
            "--no-password",
        ]);
        command.env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable");
        command.args(arguments).output().unwrap()
    })
    .await
    .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// pg_dump refuses servers newer than itself.
async fn dumps(stage: &Stage) -> bool {
    let server = stage.world.strings("SELECT current_setting('server_version_num')").await;
    let version = text(&Command::new("pg_dump").arg("--version").output().unwrap().stdout);
    let own = version.split_whitespace().nth(2).and_then(|it| it.split('.').next()).map(str::to_owned);
    own.and_then(|own| own.parse::<u32>().ok()) >= server[0].parse::<u32>().ok().map(|number| number / 10_000)
}

const ROWS: &str = "INSERT INTO orders (user_id, total) VALUES (1, 10), (2, 500)";

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_gets_granted_tables_as_the_session_sees_them() {
    let stage = Stage::new(writing()).await;
    if !dumps(&stage).await {
        return;
    }
    stage.world.superuser.batch_execute(ROWS).await.unwrap();
    let port = listen(&stage).await;
    let users = run(port, "pg_dump", &["-t", "public.users", "--data-only"]).await;
    let (out, err) = (text(&users.stdout), text(&users.stderr));
    assert!(users.status.success(), "{err}");
    assert!(
        out.contains("COPY public.users (id, email, name,") && out.contains("j***@e***.com\tJane"),
        "{out}"
    );
    assert!(!out.contains("jane@example.com"), "{out}");
    let inserts = run(port, "pg_dump", &["-t", "public.users", "--inserts"]).await;
    let out = text(&inserts.stdout);
    assert!(inserts.status.success(), "{}", text(&inserts.stderr));
    assert!(out.contains("CREATE TABLE public.users") && out.contains("'j***@e***.com'"), "{out}");
    assert!(!out.contains("jane@example.com"), "{out}");
    let orders = run(port, "pg_dump", &["-t", "public.orders"]).await;
    let err = text(&orders.stderr);
    // What the sequence has come to would tell how many orders there are.
    assert!(!orders.status.success() && err.contains("`public.orders_id_seq`"), "{err}");
    assert!(err.contains("you see only some rows of `public.orders`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_of_what_is_not_granted_says_what_is() {
    let stage = Stage::new(writing()).await;
    if !dumps(&stage).await {
        return;
    }
    let port = listen(&stage).await;
    for arguments in [&["-t", "hr.staff"][..], &[]] {
        let dump = run(port, "pg_dump", arguments).await;
        let err = text(&dump.stderr);
        assert!(!dump.status.success(), "{arguments:?}");
        assert!(
            err.contains("`hr.staff` is not granted") && err.contains("`public.users`"),
            "{arguments:?}: {err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_both_ways() {
    let stage = Stage::new(writing()).await;
    let port = listen(&stage).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, "email,name\nzed@example.net,Zed\nzoe@example.net,Zoe\n").unwrap();
    let into = format!("\\copy users (email, name) from '{}' with (format csv, header)", file.display());
    let copied = run(port, "psql", &["-X", "-v", "ON_ERROR_STOP=1", "-c", &into]).await;
    assert_eq!(text(&copied.stdout).trim(), "COPY 2", "{}", text(&copied.stderr));
    let out = run(port, "psql", &["-X", "-q", "-c", "\\copy users (email, name) to stdout"]).await;
    let rows = text(&out.stdout);
    assert!(rows.contains("z***@e***.net\tZed") && !rows.contains("zed@"), "{rows}");
    std::fs::write(&file, rows).unwrap();
    let back = format!("\\copy users (email, name) from '{}'", file.display());
    let refused = run(port, "psql", &["-X", "-v", "ON_ERROR_STOP=1", "-c", &back]).await;
    let err = text(&refused.stderr);
    assert!(!refused.status.success() && err.contains("is a masked one"), "{err}");
}
