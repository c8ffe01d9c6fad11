//! A certificate from a real ACME server: ordered, served, renewed while a session runs, and refused where it must be.

use crate::program::{answer, ended, say, wait_for};
use crate::through_relay::{RELAY, World, echoes};
use daam_identity::ticket::TicketRole;
use daam_tunnel::{DialPlan, PathKind, PathPreference, Proxy, RelayTarget, TcpSettings, dial};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Seconds a certificate lives: long enough for a session, short enough to see the next one.
const LIFE: u64 = 12;

/// Ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Pebble and its name server, which says that every name is here.
struct Pebble {
    directory: tempfile::TempDir,
    at: SocketAddr,
    management: SocketAddr,
    _running: [Running; 2],
}

/// Checks what it signs at this TCP port; `None` where it is not installed, which is said.
fn pebble(checks_at: u16) -> Option<Pebble> {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.path().join("pebble.pem"), directory.path().join("pebble.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let [at, management, dns, other] = [(); 4].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let config = serde_json::json!({ "pebble": {
        "listenAddress": at.to_string(), "managementListenAddress": management.to_string(),
        "certificate": cert, "privateKey": key, "httpPort": 1, "tlsPort": checks_at,
        "certificateValidityPeriod": LIFE,
    }});
    let file = directory.path().join("pebble.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Running)
    };
    let names = quiet(
        Command::new("pebble-challtestsrv")
            .args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management"])
            .arg(other.to_string())
            .arg("-dns01")
            .arg(dns.to_string()),
    );
    let server = quiet(
        Command::new("pebble")
            .arg("-config")
            .arg(&file)
            .arg("-dnsserver")
            .arg(dns.to_string())
            .env("PEBBLE_VA_NOSLEEP", "1"),
    );
    let (Ok(names), Ok(server)) = (names, server) else {
        say("skipped: pebble is not installed (ci/setup installs it)");
        return None;
    };
    for at in [at, management] {
        wait_for("pebble", || TcpStream::connect(at).ok());
    }
    Some(Pebble { directory, at, management, _running: [names, server] })
}

impl Pebble {
    fn url(&self) -> String {
        format!("https://localhost:{}/dir", self.at.port())
    }

    fn authority(&self) -> PathBuf {
        self.directory.path().join("pebble.pem")
    }

    /// The root of what it signs.
    async fn root(&self) -> String {
        let own = reqwest::Certificate::from_pem(&std::fs::read(self.authority()).unwrap()).unwrap();
        let client = reqwest::Client::builder().add_root_certificate(own).build().unwrap();
        let url = format!("https://localhost:{}/roots/0", self.management.port());
        client.get(url).send().await.unwrap().text().await.unwrap()
    }
}

fn relay(directory: &Path, port: u16, plane: &str, pebble: &Pebble, log: &Path) -> Running {
    std::fs::write(directory.join("token"), "enrol-me\n").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_daam-relay"))
        .args(["serve", "--advertise", RELAY, "--control-plane", plane, "--acme-contact", "ops@relay.test"])
        .args(["--listen", &format!("127.0.0.1:{port}"), &format!("--acme={}", pebble.url()), "--acme-ca"])
        .arg(pebble.authority())
        .arg("--enrolment-token-file")
        .arg(directory.join("token"))
        .arg("--state-dir")
        .arg(directory.join("state"))
        .env("NO_COLOR", "1")
        .stderr(std::fs::File::create(log).unwrap())
        .spawn()
        .unwrap();
    Running(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_certificate_is_ordered_served_and_renewed_while_a_session_runs() {
    let port = free_port();
    let Some(pebble) = pebble(port) else { return };
    let world = World::new().await;
    let (directory, plane) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let log = directory.path().join("log");
    let url = format!("http://{}", plane.local_addr().unwrap());
    let _relay = relay(directory.path(), port, &url, &pebble, &log);
    let enrolled = format!(
        r#"{{"id":"r-1","org":"acme","certificate_pem":null,"ca_pem":"","link_token":"t","ticket_key":"{}"}}"#,
        world.signer.public_base64()
    );
    answer(plane.accept().unwrap().0, "200 OK", &enrolled);
    answer(plane.accept().unwrap().0, "204 No Content", "");
    let file = directory.path().join("state/acme-certificate.pem");
    let held = |what: &str, before: &str| {
        let found = || std::fs::read_to_string(&file).ok().filter(|text| text != before);
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(text) = found() {
                return text;
            }
            assert!(std::time::Instant::now() < until, "{what}: {}", std::fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let first = tokio::task::block_in_place(|| held("the first certificate", ""));
    assert!(first.contains("PRIVATE KEY"), "one file holds both");
    let settings = TcpSettings { roots_pem: Some(pebble.root().await), proxy: Proxy::Never };
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let target = |role| RelayTarget::new(at, RELAY, world.ticket(role, crate::through_relay::now() + 300));
    world.listener.set_relays(vec![target(TicketRole::Agent)]);
    let plan = || DialPlan {
        relays: vec![target(TicketRole::Client)],
        prefer: PathPreference::RelayTcp,
        tcp: settings.clone(),
        ..world.plan(at)
    };
    let tunnel = dial(plan()).await.unwrap();
    assert_eq!(tunnel.path(), PathKind::RelayTcp);
    echoes(&tunnel, b"vouched for").await;
    let second = tokio::task::block_in_place(|| held("the second certificate", &first));
    assert_ne!(first, second);
    echoes(&tunnel, b"nothing noticed").await;
    let fresh = dial(plan()).await.unwrap();
    echoes(&fresh, b"with the newer one").await;
    let account = directory.path().join("state/acme-account.json");
    for private in [&account, &file] {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(private).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", private.display());
    }
}

#[test]
fn a_server_that_does_not_find_the_relay_is_quoted_and_what_makes_no_sense_refused_at_once() {
    let Some(pebble) = pebble(1) else { return };
    let (directory, plane) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let log = directory.path().join("log");
    let url = format!("http://{}", plane.local_addr().unwrap());
    let _relay = relay(directory.path(), free_port(), &url, &pebble, &log);
    let key = daam_identity::ticket::TicketSigner::generate().unwrap().public_base64();
    let enrolled = format!(
        r#"{{"id":"r-1","org":"acme","certificate_pem":null,"ca_pem":"","link_token":"t","ticket_key":"{key}"}}"#
    );
    answer(plane.accept().unwrap().0, "200 OK", &enrolled);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let said = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        if text.contains("did not find this relay") {
            break text;
        }
        assert!(std::time::Instant::now() < until, "{text}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(said.contains("retry_in=30s") && said.contains("urn:ietf:params:acme:error"), "{said}");
    let serve = |more: &[&str]| {
        let child = Command::new(env!("CARGO_BIN_EXE_daam-relay"))
            .args(["serve", "--listen", "127.0.0.1:0", "--control-plane", "http://127.0.0.1:9"])
            .args(["--enrolment-token-file", "t", "--state-dir", "s"])
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        assert!(!ended(&mut child).success());
        std::io::read_to_string(child.stderr.take().unwrap()).unwrap()
    };
    assert!(serve(&["--acme"]).contains("--advertise"));
    let both = serve(&["--acme", "--advertise", "a.test:1", "--tls-cert", "c", "--tls-key", "k"]);
    assert!(both.contains("cannot be used with"), "{both}");
    assert!(serve(&["--acme", "--advertise", "192.0.2.1:443"]).contains("`192.0.2.1` is no name"));
}
