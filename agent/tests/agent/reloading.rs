//! SIGHUP under load: many busy sessions, a table that leaves the scope, and nobody who reads it afterwards.

use crate::author::{Author, jane};
use crate::plane::Plane;
use crate::program::{Program, bundle_status, files, offer, write_config};
use crate::world::{World, eventually, grant, policies};
use daam_api::link::ToAgent;
use daam_model::{Grant, Mask, PolicySet, Verb};
use daam_tunnel::Tunnel;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

const SESSIONS: usize = 100;
/// Sessions through one tunnel.
const TOGETHER: usize = 25;
const BOTH: &str = "  scope: [public.users, public.orders]\n";
const ONE: &str = "  scope: [public.users]\n";
const HANDLED: &str = "the scope is in force on every session";

/// Reads both tables; orders through a view of each session's own, because only some rows are visible.
fn set() -> PolicySet {
    let orders = Grant { rows: Some("total < 1000".to_owned()), ..grant("public.orders", &[Verb::Select]) };
    policies(vec![grant("public.users", &[Verb::Select]), orders], &[("public.users.email", Mask::Email)])
}

async fn started() -> (World, Plane, Program) {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let orders = "INSERT INTO public.orders (user_id, total) SELECT 1, n FROM generate_series(1, 50) n";
    world.superuser.batch_execute(orders).await.unwrap();
    let program = Program::start(files(&world, &plane, &author, BOTH)).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
    plane.say(&offer(&author, 1, &set()));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    (world, plane, program)
}

async fn sessions(plane: &Plane, program: &Program) -> (Vec<Client>, Vec<Tunnel>) {
    let (mut clients, mut tunnels) = (Vec::new(), Vec::new());
    while clients.len() < SESSIONS {
        let tunnel = program.dial(plane).await.unwrap();
        for _ in 0..TOGETHER {
            let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
            let stream = tunnel.open_stream().await.unwrap();
            let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
            tokio::spawn(connection);
            clients.push(client);
        }
        tunnels.push(tunnel);
    }
    (clients, tunnels)
}

/// What a session is busy with.
enum Busy {
    /// One short statement after the other.
    Reading,
    /// A statement without an end.
    Running,
    /// A cursor in a transaction, fetched from again and again.
    Fetching,
}

/// Goes on until it is refused; panics if it is served with what it asked for after the reload was handled.
async fn work(client: Client, busy: Busy, handled: Arc<AtomicBool>, begun: Arc<AtomicUsize>) {
    let read = match busy {
        Busy::Reading => "SELECT count(*) FROM public.orders",
        Busy::Running => "SELECT count(*) FROM public.orders, generate_series(1, 1000000000)",
        Busy::Fetching => {
            client
                .batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT total FROM public.orders")
                .await
                .unwrap();
            "FETCH 1 FROM c; MOVE BACKWARD 1 FROM c"
        }
    };
    begun.fetch_add(1, Ordering::Relaxed);
    loop {
        let after = handled.load(Ordering::SeqCst);
        let answer = tokio::time::timeout(Duration::from_secs(60), client.simple_query(read)).await.unwrap();
        match answer {
            Ok(_) => assert!(!after, "`{read}` was answered after the reload was handled"),
            Err(error) => {
                let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned();
                assert!(["42501", "57014", "25P02", "57P01"].contains(&code.as_str()), "{error:?}");
                // A result of which a part was out already cannot be refused; its session ends.
                if code == "57P01" {
                    return;
                }
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = client.simple_query("ROLLBACK").await;
    for sql in ["SELECT count(*) FROM public.orders", "TABLE public.orders"] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{error:?}");
    }
    client.simple_query("SELECT count(email) FROM public.users").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_a_hundred_reads_a_table_once_the_reload_that_removed_it_is_handled() {
    let (world, plane, program) = started().await;
    let (clients, tunnels) = sessions(&plane, &program).await;
    let (handled, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<JoinHandle<()>> = clients
        .into_iter()
        .enumerate()
        .map(|(n, client)| {
            let busy = match n % 20 {
                0 => Busy::Running,
                1 | 2 => Busy::Fetching,
                _ => Busy::Reading,
            };
            tokio::spawn(work(client, busy, Arc::clone(&handled), Arc::clone(&begun)))
        })
        .collect();
    eventually("everybody is busy", async || begun.load(Ordering::Relaxed) == SESSIONS).await;
    write_config(program.dir.path(), &plane, ONE);
    program.hang_up();
    eventually("the reload is handled", async || program.log().contains(HANDLED)).await;
    handled.store(true, Ordering::SeqCst);
    // In the database itself nobody has a right to it, whatever the proxy would say.
    let rights = "SELECT DISTINCT c.relname::text FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r \
                  ON r.oid = a.grantee WHERE starts_with(r.rolname::text, 'daam_') AND c.relname = 'orders'";
    assert_eq!(world.strings(rights).await, Vec::<String>::new());
    for worker in workers {
        worker.await.unwrap();
    }
    let views = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind = 'v' AND starts_with(n.nspname::text, 'pg_temp') AND \
                 EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid \
                 WHERE w.ev_class = c.oid AND d.refobjid = 'public.orders'::regclass)";
    eventually("the views of it are gone", async || world.strings(views).await.is_empty()).await;
    let policy = program.detailed().await["policy"].clone();
    assert_eq!(policy["generation"], policy["enforced_generation"], "{policy}");
    drop(tunnels);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_names_the_settings_that_wait_for_a_restart() {
    let (_world, plane, program) = started().await;
    let path = program.dir.path().join("config.yaml");
    write_config(program.dir.path(), &plane, BOTH);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}views: {{ linger: 5s }}\n")).unwrap();
    program.hang_up();
    eventually("the reload is handled", async || program.log().contains(HANDLED)).await;
    let log = program.log();
    let line = log.lines().find(|line| line.contains("take effect with a restart only")).unwrap_or(&log);
    assert!(line.contains("views.linger") && !line.contains("scope"), "{line}");
    program.stop().await;
}
