//! `daam login` without a token: by this machine's browser, and by a code that is approved in any browser.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn program(name: &str) -> Command {
    let folder: PathBuf = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    Command::new(folder.join(name))
}

/// A control plane with one organization, and a browser that is signed in to it as its admin.
struct Plane {
    child: Child,
    address: String,
    cookie: String,
    token: String,
}

impl Plane {
    fn start(dir: &Path) -> Self {
        Self::with(dir, &[])
    }

    fn reaching_private_providers(dir: &Path) -> Self {
        Self::with(dir, &["--allow-private-providers"])
    }

    fn with(dir: &Path, options: &[&str]) -> Self {
        let data = dir.join("data");
        let made = program("daam-control-plane")
            .args([
                "create-organization",
                "--name",
                "Acme",
                "--admin-email",
                "ana@acme.example",
                "--data-dir",
            ])
            .arg(&data)
            .output()
            .unwrap();
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let ready = dir.join("ready");
        let child = program("daam-control-plane")
            .args(["serve", "--listen", "127.0.0.1:0", "--exit-on-stdin-close"])
            .args(options)
            .arg("--data-dir")
            .arg(&data)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::piped())
            .env("DAAM_LOG", daam_suite_log::LEVELS)
            .stderr(daam_suite_log::file("control_plane").unwrap())
            .spawn()
            .unwrap();
        let said = daam_e2e::wait_for(SOON, || Ok(std::fs::read(&ready).ok())).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let address = said.get("address").unwrap().as_str().unwrap().to_owned();
        let token = made.get("token").unwrap().as_str().unwrap().to_owned();
        let mut plane = Self { child, address, cookie: String::new(), token };
        let link = made.get("sign_in_link").unwrap().as_str().unwrap();
        let path = link.find("/sign-in/").map(|at| link.split_at(at).1).unwrap();
        let entered = plane.submit(path, "");
        let set = header(&entered, "set-cookie");
        plane.cookie.push_str(set.split(';').next().unwrap());
        plane
    }

    /// A form of a page, sent as the browser would; the answer's head.
    fn submit(&self, path: &str, form: &str) -> String {
        exchange(
            &self.address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nCookie: {}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
                self.cookie,
                form.len()
            ),
        )
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn exchange(address: &str, request: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn header(answer: &str, name: &str) -> String {
    let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).unwrap()
}

fn login(plane: &Plane, home: &Path, browser: &Path) -> Command {
    let mut command = program("daam");
    command
        .args(["login", "--control-plane"])
        .arg(format!("http://{}", plane.address))
        .env("DAAM_HOME", home)
        .env("BROWSER", browser)
        .env_remove("DAAM_TOKEN");
    command
}

/// A program that does nothing but write down what it was to open.
fn browser(dir: &Path) -> (PathBuf, PathBuf) {
    let (script, asked) = (dir.join("browser"), dir.join("asked"));
    let text = format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", asked.display());
    std::fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    (script, asked)
}

#[test]
fn the_browser_of_this_machine_signs_the_command_in() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    let (script, asked) = browser(dir.path());
    let home = dir.path().join("home");
    let mut child =
        login(&plane, &home, &script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = daam_e2e::wait_for(SOON, || Ok(std::fs::read_to_string(&asked).ok())).unwrap();
    // What any user of the machine can read is no more than where a page of hers is.
    assert!(url.starts_with("file:///") && !url.contains("state="), "{url}");
    let page = PathBuf::from(url.strip_prefix("file://").unwrap());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&page).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let page = std::fs::read_to_string(page).unwrap();
    let url = page.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let form = url.split_once("/program?").unwrap().1;
    let port: u16 = form.split('&').find_map(|pair| pair.strip_prefix("port=")).unwrap().parse().unwrap();
    // Whoever knocks without the state is told nothing.
    let here = format!("127.0.0.1:{port}");
    let knocked = exchange(&here, "GET /?code=daam_dev_x&state=guessed HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(knocked.starts_with("HTTP/1.1 404"), "{knocked}");
    let back = header(&plane.submit("/program", form), "location");
    let path = back.strip_prefix(&format!("http://{here}")).unwrap();
    let told = exchange(&here, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(told.contains("You are signed in"), "{told}");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("as ana@acme.example"), "{said}");
    let run = |arguments: &[&str]| {
        let output = program("daam").args(arguments).env("DAAM_HOME", &home).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["databases"]);
    assert!(run(&["console", "--print"]).contains("/sign-in/link/daam_sgn_"));
}

#[test]
fn a_machine_without_a_browser_is_signed_in_by_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    let home = dir.path().join("home");
    let mut child = login(&plane, &home, Path::new("/nonexistent"))
        .arg("--device-code")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let code = line.trim().rsplit(' ').next().unwrap();
    assert_eq!(code.len(), 9, "{line}");
    let answered = plane.submit("/device", &format!("code={code}&answer=yes"));
    assert!(answered.contains("The program is signed in"), "{answered}");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("as ana@acme.example"), "{said}");
}

/// A SAML provider of `ci/peers`: one JSON object per line, answered by one.
struct SamlIdp {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    metadata: String,
}

impl SamlIdp {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut child = Command::new(root.join("target/peers/python/bin/python3"))
            .args(["-W", "ignore"])
            .arg(root.join("ci/peers/saml_hostile.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut idp = Self { child, output, metadata: String::new() };
        idp.said().get("metadata").unwrap().as_str().unwrap().clone_into(&mut idp.metadata);
        idp
    }

    fn said(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, asked: &serde_json::Value) -> serde_json::Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{asked}").unwrap();
        self.said()
    }
}

impl Drop for SamlIdp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

#[test]
fn the_command_is_signed_in_by_way_of_a_saml_provider() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    let mut idp = SamlIdp::start();
    let rules = serde_json::json!({ "provision": true, "trust_unverified_email": true });
    let new = serde_json::json!({ "name": "Company", "metadata": idp.metadata, "rules": rules }).to_string();
    let send = |method: &str, path: &str, headers: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n"
        );
        exchange(&plane.address, &format!("{head}{headers}\r\n{body}"))
    };
    let token = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", plane.token);
    let made = send("POST", "/v1/saml-providers", &token, &new);
    let made: serde_json::Value = serde_json::from_str(made.split_once("\r\n\r\n").unwrap().1).unwrap();
    let of = |name: &str| made[name].as_str().unwrap().to_owned();
    let path = |url: &str| url.find("/sign-in/").map(|at| url.split_at(at).1.to_owned()).unwrap();
    let ours = send("GET", &path(&of("client_id")), "", "").split_once("\r\n\r\n").unwrap().1.to_owned();

    let (script, asked) = browser(dir.path());
    let home = dir.path().join("home");
    let mut child =
        login(&plane, &home, &script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = daam_e2e::wait_for(SOON, || Ok(std::fs::read_to_string(&asked).ok())).unwrap();
    let page = std::fs::read_to_string(url.strip_prefix("file://").unwrap()).unwrap();
    let url = page.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let form = url.split_once("/program?").unwrap().1;
    // Nobody is signed in with this browser: to the door, from there to the provider, and back to where it began.
    let door = header(&send("GET", &format!("/program?{form}"), "", ""), "location");
    let back_to = door.split_once("return_to=").unwrap().1;
    let off = format!("/sign-in/saml/{}?return_to={back_to}", of("id"));
    let off = send("GET", &off, "Sec-Fetch-Site: same-origin\r\n", "");
    let flow = header(&off, "set-cookie").split(';').next().unwrap().to_owned();
    let question =
        idp.ask(&serde_json::json!({ "do": "read", "url": header(&off, "location"), "metadata": ours }));
    let answer = serde_json::json!({
        "do": "answer",
        "acs": of("redirect_uri"),
        "audience": of("client_id"),
        "request": question["ID"],
        "email": "bo@acme.example",
    });
    let answer = idp.ask(&answer)["response"].as_str().unwrap().to_owned();
    let state = question["state"].as_str().unwrap();
    let posted = format!("SAMLResponse={}&RelayState={state}", encoded(&answer));
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let entered = send("POST", &path(&of("redirect_uri")), &format!("{kind}Cookie: {flow}\r\n"), &posted);
    assert_eq!(header(&entered, "location"), format!("/program?{form}"), "{entered}");
    let session = header(&entered, "set-cookie").split(';').next().unwrap().to_owned();
    let handed = format!("{kind}Sec-Fetch-Site: same-origin\r\nCookie: {session}\r\n");
    let handed = header(&send("POST", "/program", &handed, form), "location");
    let (here, path) = handed.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let told = exchange(here, &format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(told.contains("You are signed in"), "{told}");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("as bo@acme.example"), "{said}");
}

/// An issuer of `ci/peers` that makes tokens as GitHub Actions do.
struct Issuer(Child, BufReader<std::process::ChildStdout>);

impl Issuer {
    fn start() -> (Self, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut child = Command::new("node")
            .arg(root.join("ci/peers/hostile.mjs"))
            .env("DAAM_PEERS", root.join("target/peers"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut issuer = Self(child, output);
        let url = issuer.line();
        (issuer, url)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn job(&mut self, audience: &str) -> String {
        let how = serde_json::json!({ "audience": audience });
        writeln!(self.0.stdin.as_ref().unwrap(), "job {how}").unwrap();
        self.line()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn call(
    plane: &Plane,
    token: &str,
    (method, path): (&str, &str),
    body: &serde_json::Value,
) -> serde_json::Value {
    let body = body.to_string();
    let answer = exchange(
        &plane.address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn a_job_of_a_pipeline_signs_in_by_what_its_runner_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::reaching_private_providers(dir.path());
    let (mut issuer, url) = Issuer::start();
    let claims = serde_json::json!({ "repository": "acme/shop", "ref": "refs/heads/main" });
    let new =
        serde_json::json!({ "name": "deploys", "issuer": url, "claims": claims, "email": "ci@acme.example" });
    let account = serde_json::json!({ "groups": [], "attributes": {} });
    call(&plane, &plane.token, ("PUT", "/v1/users/ci@acme.example"), &account);
    let made = call(&plane, &plane.token, ("POST", "/v1/workloads"), &new);
    let id = made.get("id").unwrap_or_else(|| panic!("{made}")).as_str().unwrap().to_owned();
    let home = dir.path().join("home");
    let signed_in = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = login(&plane, &home, Path::new("/nonexistent"));
        command.args(["--workload", &id]).args(arguments).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), said)
    };
    let (ok, said) = signed_in(&[], &[]);
    assert!(!ok && said.contains("id-token: write"), "{said}");
    let audience = format!("http://{}/v1/workloads/{id}/token", plane.address);
    let file = dir.path().join("token");
    std::fs::write(&file, issuer.job(&audience.replace("127.0.0.1", "localhost"))).unwrap();
    let file = file.to_str().unwrap();
    let (ok, said) = signed_in(&["--workload-token-file", file], &[]);
    assert!(ok && said.contains("as ci@acme.example"), "{said}");
    let (ok, said) = signed_in(&["--workload-token-file", file], &[]);
    assert!(!ok && said.contains("this token signs no job in here"), "once: {said}");
    let token = issuer.job(&audience.replace("127.0.0.1", "localhost"));
    let (ok, said) = signed_in(&[], &[("DAAM_WORKLOAD_TOKEN", &token)]);
    assert!(ok, "{said}");
    // As the runner of GitHub Actions gives it: for whom it is asked, to whoever has the job's own secret.
    let runner = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}/token?api-version=2.0", runner.local_addr().unwrap());
    let token = issuer.job(&audience.replace("127.0.0.1", "localhost"));
    let served = std::thread::spawn(move || {
        let (mut connection, _) = runner.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = lines.next().filter(|line| !line.as_ref().is_ok_and(String::is_empty)) {
            head.push_str(&line);
            head.push('\n');
        }
        let body = serde_json::json!({ "value": token }).to_string();
        let kind = "Content-Type: application/json\r\nConnection: close";
        write!(connection, "HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        head
    });
    let audience = audience.replace("127.0.0.1", "localhost");
    let variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", at.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-jobs-secret"),
    ];
    let (ok, said) = signed_in(&["--audience", &audience], &variables);
    assert!(ok && said.contains("as ci@acme.example"), "{said}");
    let head = served.join().unwrap();
    assert!(head.to_ascii_lowercase().contains("authorization: bearer the-jobs-secret"), "{head}");
    assert!(head.starts_with("GET /token?api-version=2.0&audience=http%3A%2F%2Flocalhost"), "{head}");
}
