//! The whole program beside programs that crash, and as one that does.

use crate::program::Program;
use crate::quiesce::{EMAIL, Scene};
use crate::world::eventually;
use tokio_postgres::{Client, NoTls};

async fn superuser(scene: &Scene) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&scene.world.cluster.superuser_dsn("shop"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

const ROLES: &str = "SELECT count(*) FROM pg_roles WHERE starts_with(rolname::text, 'daam_')";

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_gives_nothing_away_and_its_next_start_cleans_up() {
    let scene = Scene::open().await;
    let (idle, busy) = (scene.session().await, scene.session().await);
    let running =
        tokio::spawn(async move { busy.client.batch_execute("SELECT email, pg_sleep(3) FROM users").await });
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND state = 'active' \
                  AND usename LIKE 'daam_s_%'";
    eventually("the statement runs", async || count(&scene.world.superuser, asleep).await > 0).await;
    let Scene { world, plane, program } = scene;
    let dir = program.kill().await;
    assert!(count(&world.superuser, ROLES).await > 0, "there is something to clean up");
    let usable = "SELECT count(*) FROM pg_authid WHERE starts_with(rolname::text, 'daam_') AND (rolcanlogin OR rolpassword IS NOT NULL)";
    assert_eq!(count(&world.superuser, usable).await, 0, "no role that is left can be logged in with");
    let program = Program::start(dir).await;
    // The statement goes on to its end in the server; its role goes after it.
    eventually("the roles of the first run are gone", async || count(&world.superuser, ROLES).await == 0)
        .await;
    drop((idle, running));
    let scene = Scene { world, plane, program };
    scene.session().await;
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_is_served_again_and_its_changes_are_seen() {
    let scene = Scene::open().await;
    let session = scene.session().await;
    let pids =
        scene.world.strings("SELECT pid::text FROM pg_stat_activity WHERE usename LIKE 'daam_s_%'").await;
    assert!(std::process::Command::new("kill").args(["-KILL", &pids[0]]).status().unwrap().success());
    eventually("the session is over", async || session.client.is_closed()).await;
    eventually("the server is back", async || {
        tokio_postgres::connect(&scene.world.cluster.superuser_dsn("shop"), NoTls).await.is_ok()
    })
    .await;
    let superuser = superuser(&scene).await;
    superuser
        .batch_execute("ALTER TABLE users ADD COLUMN new_email text DEFAULT 'raw@example.com'")
        .await
        .unwrap();
    eventually("a session reads, masked, what is new", async || {
        let Ok(session) = scene.try_session().await else { return false };
        let row = session.client.query_one("SELECT new_email FROM users LIMIT 1", &[]).await;
        row.is_ok_and(|row| {
            let email: String = row.get(0);
            assert!(email.contains('*') && !email.contains("raw"), "{email}");
            true
        })
    })
    .await;
    eventually("nothing of the crashed session is left", async || count(&superuser, ROLES).await == 0).await;
    let email: String = scene.session().await.client.query_one(EMAIL, &[]).await.unwrap().get(0);
    assert!(email.contains('*'));
    scene.program.stop().await;
}
