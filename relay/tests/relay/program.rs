//! The program itself: enrols with a control plane that is away at first, becomes ready, stops when told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// Something worth reading when a test passes.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads one HTTP request and answers it.
pub(crate) fn answer(mut stream: TcpStream, status: &str, body: &str) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().unwrap());
        if rest.len() >= length {
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
            write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
            return text;
        }
    }
}

fn start(directory: &Path, control_plane: &str) -> Child {
    start_with(directory, control_plane, &[])
}

pub(crate) fn start_with(directory: &Path, control_plane: &str, more: &[&str]) -> Child {
    std::fs::write(directory.join("token"), "enrol-me\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_daam-relay"))
        .args(["serve", "--listen", "127.0.0.1:0", "--control-plane", control_plane, "--exit-on-stdin-close"])
        .args(more)
        .arg("--enrolment-token-file")
        .arg(directory.join("token"))
        .arg("--state-dir")
        .arg(directory.join("state"))
        .arg("--ready-file")
        .arg(directory.join("ready.json"))
        .stdin(Stdio::piped())
        .env("DAAM_LOG", daam_suite_log::LEVELS)
        .stderr(daam_suite_log::file("relay").unwrap())
        .spawn()
        .unwrap()
}

pub(crate) fn ended(child: &mut Child) -> std::process::ExitStatus {
    wait_for("the end of the program", || child.try_wait().unwrap())
}

#[test]
fn it_enrols_once_becomes_ready_and_stops_when_its_input_closes() {
    let directory = tempfile::tempdir().unwrap();
    let key = daam_identity::ticket::TicketSigner::generate().unwrap().public_base64();
    let control_plane = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", control_plane.local_addr().unwrap());
    let mut child = start(directory.path(), &url);
    // The first answer is a failure that passes.
    answer(control_plane.accept().unwrap().0, "503 Service Unavailable", "{}");
    let enrolled = format!(
        r#"{{"id":"r-1","org":"acme","certificate_pem":null,"ca_pem":"","link_token":"link-me","ticket_key":"{key}"}}"#
    );
    let request = answer(control_plane.accept().unwrap().0, "200 OK", &enrolled);
    assert!(request.starts_with("POST /v1/enrol "), "{request}");
    assert!(request.contains("earer enrol-me\r\n"), "{request}");
    let request = answer(control_plane.accept().unwrap().0, "204 No Content", "");
    assert!(request.starts_with("PUT /v1/relay/address "), "{request}");
    assert!(request.contains("earer link-me\r\n"), "{request}");
    let ready = wait_for("readiness", || std::fs::read_to_string(directory.path().join("ready.json")).ok());
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert!(request.contains(ready["address"].as_str().unwrap()), "{request}");
    drop(child.stdin.take());
    assert!(ended(&mut child).success());

    // The second start needs no enrolment.
    let mut child = start(directory.path(), &url);
    let request = answer(control_plane.accept().unwrap().0, "204 No Content", "");
    assert!(request.starts_with("PUT /v1/relay/address "), "{request}");
    drop(child.stdin.take());
    assert!(ended(&mut child).success());
}

#[test]
fn a_refused_token_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let control_plane = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", control_plane.local_addr().unwrap());
    let mut child = start(directory.path(), &url);
    let said =
        r#"{"code":"token.used","title":"the enrolment token was used before","detail":null,"status":401}"#;
    answer(control_plane.accept().unwrap().0, "401 Unauthorized", said);
    assert_eq!(ended(&mut child).code(), Some(1));
    assert!(!directory.path().join("ready.json").exists());
}

/// One answer over HTTP, head and body.
fn fetch(at: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[test]
fn it_tells_monitoring_how_it_is_and_on_sigterm_takes_leave_before_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let key = daam_identity::ticket::TicketSigner::generate().unwrap().public_base64();
    let control_plane = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", control_plane.local_addr().unwrap());
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut child = start_with(directory.path(), &url, &["--metrics", &metrics, "--drain", "5"]);
    let enrolled = format!(
        r#"{{"id":"r-1","org":"acme","certificate_pem":null,"ca_pem":"","link_token":"link-me","ticket_key":"{key}"}}"#
    );
    answer(control_plane.accept().unwrap().0, "200 OK", &enrolled);
    answer(control_plane.accept().unwrap().0, "204 No Content", "");
    wait_for("health", || fetch(&metrics, "/healthz").filter(|text| text.starts_with("HTTP/1.1 200")));
    let numbers = fetch(&metrics, "/metrics").unwrap();
    for line in ["daam_relay_sessions 0", "daam_relay_leaving 0", "# TYPE daam_relay_bytes_total counter"] {
        assert!(numbers.lines().any(|known| known == line), "{line}: {numbers}");
    }
    assert!(!numbers.contains("acme"), "{numbers}");
    let process = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    // A load balancer sees it before it is gone.
    wait_for("farewell", || fetch(&metrics, "/healthz").filter(|text| text.contains("leaving")));
    assert!(ended(&mut child).success());
}
