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
}

impl Plane {
    fn start(dir: &Path) -> Self {
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
            .args(["serve", "--listen", "127.0.0.1:0", "--exit-on-stdin-close", "--data-dir"])
            .arg(&data)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = daam_e2e::wait_for(SOON, || Ok(std::fs::read(&ready).ok())).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let address = said.get("address").unwrap().as_str().unwrap().to_owned();
        let mut plane = Self { child, address, cookie: String::new() };
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
