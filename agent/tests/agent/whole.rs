//! The whole program against a small control plane: enrolment, reports, bundles, SIGHUP, and life without the link.

use crate::bundles::{Author, jane};
use crate::plane::{Plane, now};
use crate::world::{World, eventually, grant, policies};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::{FromAgent, ToAgent};
use daam_model::{Mask, PolicySet, Verb};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The program under test, its files, and what it says about itself. Ends with the value.
struct Program {
    dir: TempDir,
    child: Child,
    health: String,
}

fn write_config(dir: &Path, plane: &Plane, scope: &str) {
    let text = format!(
        "agent: {{ name: shop-1, database: shop, listen: 127.0.0.1:0, state_dir: state, health: 127.0.0.1:0 }}\n\
         control_plane: {{ url: http://{}, enrolment_token_file: token }}\n\
         trust: {{ file: trust.json, identity_ca: ca.pem }}\n\
         upstream:\n  dsn_file: dsn\n{scope}",
        plane.address
    );
    std::fs::write(dir.join("config.yaml"), text).unwrap();
}

fn files(world: &World, plane: &Plane, author: &Author, scope: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("token", "once\n");
    write("dsn", &world.agent_dsn());
    write("ca.pem", &plane.ca_pem);
    write("trust.json", &author.trust().to_json());
    write_config(dir.path(), plane, scope);
    dir
}

impl Program {
    async fn start(dir: TempDir) -> Self {
        let ready = dir.path().join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready).unwrap();
        }
        let child = Command::new(env!("CARGO_BIN_EXE_daam-agent"))
            .args(["run", "--exit-on-stdin-close", "--config"])
            .arg(dir.path().join("config.yaml"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the agent is ready", async || ready.exists()).await;
        let ready: Value = serde_json::from_str(&std::fs::read_to_string(ready).unwrap()).unwrap();
        Self { dir, child, health: ready["health"].as_str().unwrap().to_owned() }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.health)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn detailed(&self) -> Value {
        serde_json::from_str(&self.get("/health/detailed").await.1).unwrap()
    }

    fn hang_up(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// Closes standard input and waits for the end.
    async fn stop(mut self) -> TempDir {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
        self.dir
    }
}

fn relations(snapshot: &Value) -> Vec<String> {
    let catalog = daam_catalog::snapshot::from_json(snapshot).unwrap();
    catalog.relations.keys().map(ToString::to_string).collect()
}

fn report(message: FromAgent) -> Option<Vec<String>> {
    match message {
        FromAgent::SchemaReport { snapshot } => Some(relations(&snapshot)),
        _ => None,
    }
}

fn bundle_status(message: FromAgent) -> Option<(u64, String)> {
    match message {
        FromAgent::BundleStatus { serial, state, .. } => Some((serial, state)),
        _ => None,
    }
}

fn offer(author: &Author, serial: u64, set: &PolicySet) -> ToAgent {
    let bundle = author.bundle_at(now(), serial, set);
    ToAgent::PolicyUpdate { serial, bundle: STANDARD.encode(bundle) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_enrols_reports_only_what_is_in_scope_and_judges_bundles() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let scope = "  scope: [public.users, public.orders]\n";
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    let version = plane
        .hear("hello", |message| match message {
            FromAgent::Hello { version, bundle_serial: 0, .. } => Some(version),
            _ => None,
        })
        .await;
    assert_eq!(version, daam_api::link::VERSION);
    assert_eq!(plane.hear("schema report", report).await, ["public.orders", "public.users"]);
    assert_eq!(program.get("/health/ready").await.0, 503);

    let reads = |on: &str| grant(on, &[Verb::Select]);
    let bad = policies(vec![reads("public.users")], &[("hr.staff.salary", Mask::Null)]);
    plane.say(offer(&author, 1, &bad));
    let violation = plane
        .hear("scope violation", |message| match message {
            FromAgent::ScopeViolation { policy_id, schema, table, site } => {
                Some([policy_id, schema, table, site])
            }
            _ => None,
        })
        .await;
    assert_eq!(violation, ["everyone", "hr", "staff", "policy_load"]);
    plane.say(offer(&author, 2, &policies(vec![reads("public.*")], &[])));
    // Which of the two statuses is sent first depends on the queue; the accepted one comes.
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    plane.say(ToAgent::DirectoryUpdate { version: 3, users: vec![jane(false)] });
    plane
        .hear("directory", |message| {
            matches!(message, FromAgent::DirectoryStatus { version: 3 }).then_some(())
        })
        .await;
    assert_eq!(program.get("/health/ready").await.0, 200);
    let health = program.detailed().await;
    assert_eq!(health["scope"]["active"], true);
    assert_eq!(health["scope"]["patterns"], serde_json::json!(["public.users", "public.orders"]));
    assert_eq!(health["scope"]["in_scope_object_count"], 2);
    assert_eq!(health["bundle"]["serial"], 2);
    assert!(program.get("/metrics").await.1.contains("daam_bundle_serial 2\n"));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_request_and_a_hang_up_report_again_through_the_filter() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let scope = "  scope: [public.users, public.orders]\n";
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    plane.hear("first report", report).await;
    world.superuser.batch_execute("DROP TABLE public.orders CASCADE").await.unwrap();
    plane.say(ToAgent::SchemaRequest {});
    assert_eq!(plane.hear("report after the request", report).await, ["public.users"]);

    write_config(program.dir.path(), &plane, "  scope: [hr.*]\n");
    program.hang_up();
    assert_eq!(plane.hear("report after the reload", report).await, ["hr.staff"]);
    eventually("health shows the new scope", async || {
        program.detailed().await["scope"]["patterns"] == serde_json::json!(["hr.*"])
    })
    .await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_database_is_noticed_without_being_asked_for() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "  scope: [hr.*]\n")).await;
    assert_eq!(plane.hear("first report", report).await, ["hr.staff"]);
    world.superuser.batch_execute("CREATE TABLE hr.leave (id int)").await.unwrap();
    assert_eq!(plane.hear("report after the change", report).await, ["hr.leave", "hr.staff"]);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_control_plane_the_agent_starts_from_what_it_holds() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "")).await;
    plane.say(offer(&author, 4, &policies(vec![grant("public.*", &[Verb::Select])], &[])));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    plane.say(ToAgent::DirectoryUpdate { version: 3, users: vec![jane(false)] });
    plane
        .hear("directory", |message| {
            matches!(message, FromAgent::DirectoryStatus { version: 3 }).then_some(())
        })
        .await;
    let dir = program.stop().await;
    drop(plane);
    let program = Program::start(dir).await;
    assert_eq!(program.get("/health/ready").await.0, 200);
    let health = program.detailed().await;
    assert_eq!((&health["bundle"]["serial"], &health["directory"]["version"]), (&4.into(), &3.into()));
    assert_eq!(health["control_plane"]["connected"], false);
    assert_eq!(health["scope"]["active"], false);
    let dir = program.stop().await;
    assert_secret_files(dir.path().join("state"));
}

/// Nothing in the state directory can be read by others.
fn assert_secret_files(state: PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let files: Vec<_> = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}
