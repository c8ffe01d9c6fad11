//! The whole program under test: its files, its log, its health, and a developer's way in.

use crate::author::{Author, jane};
use crate::plane::{Plane, now};
use crate::world::{World, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::{FromAgent, ToAgent};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal, UserPrincipal};
use daam_model::PolicySet;
use daam_suite_log::AddedAtTheEnd;
use daam_tunnel::{DialError, DialPlan, PathPreference, Tunnel};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};

/// A client and the tunnel it goes through.
pub(crate) struct Session {
    pub(crate) client: Client,
    _tunnel: Tunnel,
}

/// The program under test, its files, and what it says about itself. Ends with the value.
pub(crate) struct Program {
    /// Before the directory: it goes first.
    _logged: AddedAtTheEnd,
    pub(crate) dir: TempDir,
    child: Child,
    health: String,
    tunnel: SocketAddr,
}

pub(crate) fn write_config(dir: &Path, plane: &Plane, scope: &str) {
    let text = format!(
        "agent: {{ name: shop-1, database: shop, listen: 127.0.0.1:0, state_dir: state, health: 127.0.0.1:0 }}\n\
         control_plane: {{ url: http://{}, enrolment_token_file: token }}\n\
         trust: {{ file: trust.json, identity_ca: ca.pem }}\n\
         upstream:\n  dsn_file: dsn\n{scope}",
        plane.address
    );
    std::fs::write(dir.join("config.yaml"), text).unwrap();
}

pub(crate) fn files(world: &World, plane: &Plane, author: &Author, scope: &str) -> TempDir {
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
    pub(crate) async fn start(dir: TempDir) -> Self {
        let ready = dir.path().join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready).unwrap();
        }
        let log = std::fs::File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_daam-agent"))
            .args(["run", "--exit-on-stdin-close", "--config"])
            .arg(dir.path().join("config.yaml"))
            .arg("--ready-file")
            .arg(&ready)
            .env("DAAM_LOG", daam_suite_log::LEVELS)
            .stdin(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the agent is ready", async || ready.exists()).await;
        let ready: Value = serde_json::from_str(&std::fs::read_to_string(ready).unwrap()).unwrap();
        let address = |key: &str| ready[key].as_str().unwrap().to_owned();
        let logged = AddedAtTheEnd { kind: "agent", log: dir.path().join("log") };
        let tunnel = address("tunnel").parse().unwrap();
        Self { _logged: logged, dir, child, health: address("health"), tunnel }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.health)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn detailed(&self) -> Value {
        serde_json::from_str(&self.get("/health/detailed").await.1).unwrap()
    }

    pub(crate) fn hang_up(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// What it has written to its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Jane's way in; fails while the agent's certificate is not valid.
    pub(crate) async fn dial(&self, plane: &Plane) -> Result<Tunnel, DialError> {
        self.dial_by(&plane.ca, plane).await
    }

    /// The same with a certificate of some authority.
    pub(crate) async fn dial_by(
        &self,
        ca: &CertificateAuthority,
        plane: &Plane,
    ) -> Result<Tunnel, DialError> {
        let (key_pem, csr_pem) = daam_identity::make_csr().unwrap();
        let principal = Principal::User(UserPrincipal {
            org: "acme".into(),
            user_id: "u1".into(),
            email: "jane@example.com".into(),
            device: "laptop".into(),
            databases: daam_identity::Databases::Any,
        });
        let issued = ca.issue(&csr_pem, &principal, now() - 60, now() + 3600).unwrap();
        let agent = AgentPrincipal { org: "acme".into(), agent_id: "a1".into(), database: "shop".into() };
        daam_tunnel::dial(DialPlan {
            tcp: daam_tunnel::TcpSettings::default(),
            agent,
            ca_pem: plane.ca_pem.clone(),
            cert_pem: issued.pem,
            key_pem,
            direct: vec![self.tunnel],
            relays: Vec::new(),
            prefer: PathPreference::Direct,
        })
        .await
    }

    /// A session of Jane's, from her laptop to the database. It ends with the value.
    pub(crate) async fn session(&self, plane: &Plane) -> Session {
        self.try_session(plane).await.unwrap()
    }

    pub(crate) async fn try_session(&self, plane: &Plane) -> Result<Session, tokio_postgres::Error> {
        let tunnel = self.dial(plane).await.unwrap();
        let stream = tunnel.open_stream().await.unwrap();
        let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        tokio::spawn(connection);
        Ok(Session { client, _tunnel: tunnel })
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> TempDir {
        self.child.kill().await.unwrap();
        self.dir
    }

    /// Closes standard input and waits for the end.
    pub(crate) async fn stop(mut self) -> TempDir {
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

pub(crate) fn report(message: FromAgent) -> Option<Vec<String>> {
    match message {
        FromAgent::SchemaReport { snapshot } => Some(relations(&snapshot)),
        _ => None,
    }
}

pub(crate) fn bundle_status(message: FromAgent) -> Option<(u64, String)> {
    match message {
        FromAgent::BundleStatus { serial, state, .. } => Some((serial, state)),
        _ => None,
    }
}

pub(crate) fn offer(author: &Author, serial: u64, set: &PolicySet) -> ToAgent {
    let bundle = author.bundle_at(now(), serial, set);
    ToAgent::PolicyUpdate { serial, bundle: STANDARD.encode(bundle) }
}

/// Puts a bundle and a directory with one person in force; refused bundles before it may still be told.
pub(crate) async fn in_force(plane: &mut Plane, author: &Author, serial: u64, set: &PolicySet) {
    plane.say(&offer(author, serial, set));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 3, users: vec![jane(false)] });
    let told = |message| matches!(message, FromAgent::DirectoryStatus { version: 3 }).then_some(());
    plane.hear("directory", told).await;
}
