//! A control plane that is not to be trusted with the terminal, nor with what the browser is started with.

use crate::command::{Outcome, daam};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

const ODD: &str = "\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u202e";

/// A control plane that answers whatever it likes; ends with the process.
fn hostile(opened: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let opened = opened.replace("HERE", &address.to_string());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let (status, body) = if first.contains("/v1/databases") {
                (200, format!("[{{\"name\":\"shop{ODD}\",\"agents_online\":1,\"bundle_serial\":1}}]"))
            } else if first.contains("/v1/console-link") {
                (201, format!("{{\"link\":\"{opened}\",\"expires_at\":\"x\"}}"))
            } else {
                (
                    403,
                    format!("{{\"code\":\"x\",\"title\":\"no{ODD}\",\"detail\":\"do{ODD}\",\"status\":403}}"),
                )
            };
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n");
            let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

fn signed_in(home: &Path, plane: &str) {
    let login = format!(
        "{{\"control_plane\":\"{plane}\",\"org\":\"o\",\"email\":\"e@x\",\"device\":\"d\",\"token\":\"t\"}}"
    );
    std::fs::write(home.join("login.json"), login).unwrap();
}

fn quiet(outcome: &Outcome) {
    for text in [&outcome.out, &outcome.err] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn what_a_control_plane_says_reaches_the_terminal_as_text_and_not_as_orders() {
    let home = tempfile::tempdir().unwrap();
    let plane = hostile("x");
    signed_in(home.path(), &plane);
    let outcome = daam(home.path(), &["databases"]).unwrap();
    assert!(outcome.out.contains("shop\\u001b]0;title"), "{}", outcome.out);
    quiet(&outcome);
    let outcome = daam(home.path(), &["databases", "--json"]).unwrap();
    quiet(&outcome);
    let read: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert!(read[0]["name"].as_str().unwrap().contains("\u{1b}[2J"), "the same name to a program");
    let outcome = daam(home.path(), &["audit", "search"]).unwrap();
    assert!(outcome.err.contains("no\\u001b"), "{}", outcome.err);
    quiet(&outcome);
}

fn console(home: &Path, browser: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_daam"))
        .arg("console")
        .env("DAAM_HOME", home)
        .env("BROWSER", browser)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_browser_is_started_with_a_private_page_and_only_for_the_control_plane_itself() {
    let home = tempfile::tempdir().unwrap();
    let (browser, asked) = (home.path().join("browser"), home.path().join("asked"));
    let script =
        format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", asked.display());
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    for link in [
        "--gpu-launcher=sh -c true",
        "file:///etc/passwd",
        "https://evil.example/sign-in",
        "http://HERE@evil.example/",
    ] {
        signed_in(home.path(), &hostile(link));
        let (code, said) = console(home.path(), &browser);
        assert_eq!(code, Some(2), "{link}");
        assert!(said.contains("not its own"), "{said}");
    }
    assert!(!asked.exists() && !home.path().join("open.html").exists());
    signed_in(home.path(), &hostile("http://HERE/sign-in/link/daam_sgn_secret"));
    let (code, said) = console(home.path(), &browser);
    assert_eq!(code, Some(0), "{said}");
    for _ in 0..3000 {
        if asked.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let argument = std::fs::read_to_string(&asked).unwrap();
    assert!(argument.starts_with("file:///") && !argument.contains("secret"), "{argument}");
    let page = Path::new(argument.strip_prefix("file://").unwrap());
    assert_eq!(std::fs::metadata(page).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(page).unwrap().contains("/sign-in/link/daam_sgn_secret"));
}
