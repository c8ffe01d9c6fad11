//! A person who signed in: which way sessions go, what is told about it, and that they end with the sign-in.

use crate::shop;
use daam_e2e::{Fabric, wait_for};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Sam with a sign-in of his own, as on his laptop.
pub(crate) struct Laptop {
    pub(crate) home: PathBuf,
    token_id: String,
}

/// One request to the control plane; the body of its answer.
fn request(fabric: &Fabric, head: &str, token: &str, body: &str) -> String {
    let place = fabric.ready().control_plane.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&place).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: {place}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{head}: {answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn admin_token(fabric: &Fabric) -> String {
    std::fs::read_to_string(fabric.ready().state.join("admin-token")).unwrap().trim().to_owned()
}

impl Laptop {
    pub(crate) fn signed_in(fabric: &Fabric) -> Self {
        // Puts Sam into the directory, and waits until the agent knows him.
        drop(shop::support(fabric));
        let wanted = r#"{"name":"laptop","email":"sam@acme.test","expires_in":3600}"#;
        let made = request(fabric, "POST /v1/tokens", &admin_token(fabric), wanted);
        let made = made.get(made.find('{').unwrap()..=made.rfind('}').unwrap()).unwrap();
        let made: serde_json::Value = serde_json::from_str(made).unwrap();
        let text = |name: &str| made.get(name).and_then(serde_json::Value::as_str).unwrap().to_owned();
        let laptop = Self { home: fabric.scratch().join("laptop"), token_id: text("id") };
        let output = laptop
            .daam(fabric, &["login", "--control-plane", &fabric.ready().control_plane])
            .env("DAAM_TOKEN", text("token"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        laptop
    }

    fn daam(&self, fabric: &Fabric, arguments: &[&str]) -> Command {
        let mut command = fabric.daam(arguments).unwrap();
        command.env("DAAM_HOME", &self.home);
        // The sandbox's relay has a certificate of its own making.
        command.env("SSL_CERT_FILE", fabric.ready().state.join("relay-cert.pem"));
        command
    }

    fn told(&self, fabric: &Fabric, arguments: &[&str]) -> String {
        said(&self.daam(fabric, arguments).output().unwrap())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

struct Connected {
    child: Child,
    url: String,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn connect(laptop: &Laptop, fabric: &Fabric, arguments: &[&str]) -> Connected {
    let mut command = laptop.daam(fabric, &[&["connect", "shop"], arguments].concat());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    Connected { child, url: url.trim().to_owned() }
}

fn query(url: &str) -> String {
    let sql = "select email from customers where id = 1";
    let output = Command::new("psql").args(["-X", "-A", "-t", "-c", sql, url]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn status_and_doctor_tell_which_way_a_session_goes_and_which_ways_there_are() {
    let fabric = shop::open();
    let laptop = Laptop::signed_in(&fabric);
    assert!(laptop.told(&fabric, &["status"]).contains("no session is open"));
    let direct = connect(&laptop, &fabric, &[]);
    let relayed = connect(&laptop, &fabric, &["--path", "relay"]);
    for session in [&direct, &relayed] {
        assert_eq!(query(&session.url), "j***@e***.com\n");
    }
    let status = wait_for(Duration::from_secs(20), || {
        let told = laptop.told(&fabric, &["status"]);
        Ok((told.contains("shop  direct  ") && told.contains("shop  relay  ")).then_some(told))
    });
    let status = status.unwrap();
    assert!(status.contains("in use") && status.contains(" ms"), "{status}");
    let json = laptop.told(&fabric, &["status", "--json"]);
    let sessions: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(!json.contains("sam@"), "{json}");
    drop((direct, relayed));
    let doctor = laptop.daam(&fabric, &["doctor", "shop"]).output().unwrap();
    let text = said(&doctor);
    assert!(doctor.status.success(), "{text}");
    for expected in [
        "ok    control plane ",
        "ok    direct ",
        "ok    direct-tcp ",
        "ok    relay ",
        "ok    relay-tcp ",
        "can be reached",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("FAIL"), "{text}");
}

#[test]
fn what_connect_prints_for_a_tool_is_what_the_tool_takes() {
    let fabric = shop::open();
    let laptop = Laptop::signed_in(&fabric);
    let sql = "select email from customers where id = 1";
    for way in [&["--print", "psql"][..], &["--tcp", "--print", "psql"]] {
        let session = connect(&laptop, &fabric, way);
        let line = format!("{} -X -A -t -c '{sql}'", session.url);
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "j***@e***.com\n", "{line}: {}", said(&output));
    }
    let refused = laptop.daam(&fabric, &["connect", "shop", "--print", "jdbc"]).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("add `--tcp`"), "{}", said(&refused));
}

#[test]
fn connect_ends_when_the_sign_in_is_taken_away_and_says_what_to_do() {
    let fabric = shop::open();
    let laptop = Laptop::signed_in(&fabric);
    let mut session = connect(&laptop, &fabric, &[]);
    assert_eq!(query(&session.url), "j***@e***.com\n");
    request(&fabric, &format!("DELETE /v1/tokens/{}", laptop.token_id), &admin_token(&fabric), "");
    let status = wait_for(Duration::from_secs(60), || Ok(session.child.try_wait()?)).unwrap();
    assert!(!status.success());
    let mut text = String::new();
    session.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("your certificate was revoked"), "{text}");
    assert!(text.contains("your sign-in has ended, and this session with it"), "{text}");
    assert!(text.contains("help: sign in again with `daam login`"), "{text}");
}
