//! The program itself.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_daam-control-plane");

#[test]
fn help_has_examples() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    for expected in ["Examples:", "--behind-tls-proxy", "create-organization", "bootstrap-token"] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

/// The page shows how to begin and how to get back in; it is run as it stands.
#[test]
fn the_commands_of_the_page_on_the_control_plane_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("policy-examples/control-plane.md")).unwrap();
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    let dir = tempfile::tempdir().unwrap();
    let programs = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for line in lines {
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(dir.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "`{line}`: {said}");
        if line.contains("sign-in-link --data-dir") {
            assert!(said.trim().starts_with("https://daam.example.com/sign-in/link/daam_sgn_"), "{said}");
        }
    }
}

#[test]
fn the_program_announces_itself_and_ends_with_its_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0", "--exit-on-stdin-close"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--ready-file")
        .arg(&ready)
        .stdin(Stdio::piped())
        .env("DAAM_LOG", daam_suite_log::LEVELS)
        .stderr(daam_suite_log::file("control_plane").unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready.exists() {
        assert!(Instant::now() < deadline, "not ready in time");
        std::thread::sleep(Duration::from_millis(20));
    }
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let mut connection = std::net::TcpStream::connect(said["address"].as_str().unwrap()).unwrap();
    std::io::Write::write_all(
        &mut connection,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let mut status = String::new();
    BufReader::new(connection).read_line(&mut status).unwrap();
    assert!(status.contains("200"), "{status}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_exposed_address_without_tls_is_refused_with_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Command::new(PROGRAM)
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--behind-tls-proxy"));
    assert!(!dir.path().join("data").exists(), "nothing was made before the refusal");
}
