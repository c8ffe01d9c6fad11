//! `daam audit`: what is taken out is checked anywhere, and a log that was cut short with all its traces is found out
//! by the device that saw it before.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn program(name: &str) -> Command {
    let folder: PathBuf = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    Command::new(folder.join(name))
}

/// A control plane over a data directory.
struct Plane {
    child: Child,
    address: String,
}

impl Plane {
    fn start(dir: &Path) -> Self {
        let ready = dir.join("ready");
        let _ = std::fs::remove_file(&ready);
        let child = program("daam-control-plane")
            .args(["serve", "--listen", "127.0.0.1:0", "--exit-on-stdin-close", "--data-dir"])
            .arg(dir.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = daam_e2e::wait_for(SOON, || Ok(std::fs::read(&ready).ok())).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        Self { child, address: said.get("address").unwrap().as_str().unwrap().to_owned() }
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daam(home: &Path, arguments: &[&str]) -> Output {
    program("daam").args(arguments).env("DAAM_HOME", home).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn login(home: &Path, plane: &Plane, token: &Path) {
    let (address, token) = (format!("http://{}", plane.address), token.to_str().unwrap());
    let done = daam(home, &["login", "--control-plane", &address, "--token-file", token]);
    assert!(done.status.success(), "{}", said(&done));
}

#[test]
fn an_audit_is_verified_here_and_elsewhere_and_a_cut_one_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let made = program("daam-control-plane")
        .args(["create-organization", "--name", "Acme", "--admin-email", "ana@acme.example", "--data-dir"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, made.get("token").unwrap().as_str().unwrap()).unwrap();
    let home = dir.path().join("home");
    let plane = Plane::start(dir.path());
    login(&home, &plane, &token);
    let verified = daam(&home, &["audit", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains("is whole: entries 1 to "), "{}", said(&verified));

    // Taken out, and checked by somebody who has only the key.
    let (log, key) = (dir.path().join("log.jsonl"), dir.path().join("audit.pub"));
    let (log, key) = (log.to_str().unwrap(), key.to_str().unwrap());
    assert!(daam(&home, &["audit", "export", "--out", log]).status.success());
    std::fs::write(key, daam(&home, &["audit", "key"]).stdout).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    let keyless = daam(&elsewhere, &["audit", "verify", log]);
    assert_eq!(keyless.status.code(), Some(2), "{}", said(&keyless));
    let offline = daam(&elsewhere, &["audit", "verify", log, "--key", key, "--json"]);
    assert!(offline.status.success(), "{}", said(&offline));
    let text = std::fs::read_to_string(log).unwrap();
    std::fs::write(log, text.replacen("ana@acme.example", "eve@acme.example", 1)).unwrap();
    let edited = daam(&elsewhere, &["audit", "verify", log, "--key", key]);
    assert_eq!(edited.status.code(), Some(1), "{}", said(&edited));
    assert!(said(&edited).contains("was changed"), "{}", said(&edited));
    let found = daam(&home, &["audit", "search", "organization.create"]);
    assert!(said(&found).contains("ana@acme.example"), "{}", said(&found));
    plane.stop();

    // Somebody with the database removes the end and everything that knew of it.
    let file = dir.path().join("data/daam.db");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let pool = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
        for statement in [
            "DELETE FROM audit WHERE seq > 1",
            "DELETE FROM audit_checkpoints",
            "UPDATE organizations SET audit_seq = 1, audit_head = (SELECT hash FROM audit WHERE seq = 1)",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
    });
    let plane = Plane::start(dir.path());
    login(&home, &plane, &token);
    let cut = daam(&home, &["audit", "verify"]);
    assert_eq!(cut.status.code(), Some(1), "{}", said(&cut));
    assert!(said(&cut).contains("the audit is not whole"), "{}", said(&cut));
    plane.stop();
}
