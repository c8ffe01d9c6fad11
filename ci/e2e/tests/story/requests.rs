//! Access that is asked for: from the command line of one person, past the approval of another, into a session that is
//! open already, and out of it again.

use crate::shop;
use daam_e2e::wire::Connection;
use daam_e2e::{Fabric, wait_for};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const ORDERS: &str = "select count(*) from orders";

/// Somebody signed in with a home of their own.
struct Terminal<'a> {
    fabric: &'a Fabric,
    home: PathBuf,
}

impl<'a> Terminal<'a> {
    /// Signs in with a token that the sandbox's admin made.
    fn of(fabric: &'a Fabric, email: &str, groups: &[&str]) -> Self {
        if !groups.is_empty() {
            let user = json!({ "groups": groups, "attributes": {} });
            call(fabric, "PUT", &format!("/v1/users/{email}"), &user);
        }
        let made = call(fabric, "POST", "/v1/tokens", &json!({ "name": "laptop", "email": email }));
        let home = fabric.scratch().join(format!("home-{email}"));
        let file = fabric.scratch().join(format!("token-{email}"));
        std::fs::write(&file, made.get("token").unwrap().as_str().unwrap()).unwrap();
        let terminal = Self { fabric, home };
        let plane = url(fabric);
        terminal.run(&["login", "--control-plane", &plane, "--token-file", file.to_str().unwrap()]);
        terminal
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.fabric.daam(arguments).unwrap();
        command.env("DAAM_HOME", &self.home).env_remove("DAAM_TOKEN");
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments)).unwrap()
    }

    /// The refusal's words and the exit code.
    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn state(&self, id: &str) -> String {
        self.json(&["request", "show", id, "--json"]).get("state").unwrap().as_str().unwrap().to_owned()
    }
}

fn url(fabric: &Fabric) -> String {
    fabric.ready().control_plane.clone()
}

/// The sandbox's admin asks the control plane.
fn call(fabric: &Fabric, method: &str, path: &str, body: &Value) -> Value {
    let token = std::fs::read_to_string(fabric.ready().state.join("admin-token")).unwrap();
    let (url, body) = (url(fabric), body.to_string());
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        token.trim(),
        body.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
    serde_json::from_str(body).unwrap()
}

/// Until the open session counts that many orders.
fn until_counts(session: &mut Connection, wanted: &str) {
    let seen = wait_for(SOON, || {
        let answer = session.query(ORDERS);
        Ok((answer.table() == wanted).then_some(()))
    });
    assert!(
        seen.is_ok(),
        "not {wanted} orders: {} {:?}",
        session.query(ORDERS).table(),
        session.query(ORDERS).errors
    );
}

#[test]
fn a_developer_asks_a_colleague_approves_and_the_open_session_has_it_until_it_is_given_back() {
    let fabric = shop::open();
    let person = shop::support(&fabric);
    let mut session = person.connect().unwrap();
    let (few, all) = (session.query(ORDERS).table(), fabric.upstream("select count(*) from orders").unwrap());
    assert_ne!(few, all, "support sees one region");
    let sam = Terminal::of(&fabric, "sam@acme.test", &[]);
    let ada = Terminal::of(&fabric, "ada@acme.test", &["admin"]);

    assert!(sam.run(&["request", "options", "shop"]).contains("oncall-orders (policy)"));
    let ask = ["request", "policy", "shop", "oncall-orders", "--for"];
    let (code, said) = sam.refused(&[&ask[..], &["1h"]].concat());
    assert!(code == Some(2) && said.contains("a reason is required"), "{said}");
    let (_, said) = sam.refused(&[&ask[..], &["3h", "--reason", "INC-1"]].concat());
    assert!(said.contains("may be held for at most 2 h") && said.contains("help:"), "{said}");
    let (code, said) = ada.refused(&[&ask[..], &["1h", "--reason", "INC-1"]].concat());
    assert!(code == Some(1) && said.contains("not among those who may ask"), "{said}");

    let waiting = sam
        .command(&[&ask[..], &["1h", "--reason", "INC-1: orders stuck", "--wait"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let found = wait_for(SOON, || {
        let listed = ada.json(&["requests", "--waiting", "--json"]);
        Ok(listed.get(0).map(|one| one.get("id").unwrap().as_str().unwrap().to_owned()))
    });
    let id = found.unwrap();
    assert!(ada.run(&["requests", "--waiting"]).contains("sam@acme.test"));
    assert!(ada.run(&["request", "show", &id]).contains("INC-1: orders stuck"));
    let (code, said) = sam.refused(&["approve", &id]);
    assert!(code == Some(1) && said.contains("you asked for this yourself"), "{said}");
    assert_eq!(session.query(ORDERS).table(), few, "asking gives nothing");
    ada.run(&["approve", &id, "--reason", "pairing"]);
    let waited = waiting.wait_with_output().unwrap();
    let said = String::from_utf8(waited.stderr).unwrap();
    assert!(waited.status.success(), "{said}");
    assert!(said.contains("waits for 0 of 1 approvals, by members of `admin`"), "{said}");
    assert!(said.contains("active until "), "{said}");
    until_counts(&mut session, &all);
    assert_eq!(sam.state(&id), "active");
    assert!(sam.run(&["requests"]).contains("active"));

    sam.run(&["request", "extend", &id, "--for", "30m", "--reason", "not done yet"]);
    ada.run(&["deny", &id, "--reason", "an hour has to do"]);
    let (code, said) = sam.refused(&["request", "extend", &id, "--for", "2h", "--reason", "x"]);
    assert!(code == Some(2) && said.contains("at most 2 h"), "{said}");
    sam.run(&["request", "end", &id]);
    until_counts(&mut session, &few);
    assert_eq!(sam.state(&id), "revoked");
    let (code, said) = sam.refused(&["request", "end", &id]);
    assert!(code == Some(2) && said.contains("revoked already"), "{said}");
}

#[test]
fn access_ends_on_time_in_the_open_session_with_the_control_plane_away() {
    let fabric = shop::open();
    let person = shop::support(&fabric);
    let mut session = person.connect().unwrap();
    let (few, all) = (session.query(ORDERS).table(), fabric.upstream("select count(*) from orders").unwrap());
    let sam = Terminal::of(&fabric, "sam@acme.test", &[]);
    let ada = Terminal::of(&fabric, "ada@acme.test", &["admin"]);
    let ask = ["request", "policy", "shop", "oncall-orders", "--reason", "INC-2", "--json", "--for", "25s"];
    let asked = sam.json(&ask);
    let id = asked.get("id").unwrap().as_str().unwrap();
    ada.run(&["approve", id]);
    until_counts(&mut session, &all);
    let plane = control_plane(&fabric);
    let away = Away::stop(&plane);
    // Nobody is there to say that it is over, nor that it is not.
    until_counts(&mut session, &few);
    drop(away);
    let state = wait_for(SOON, || Ok(Some(sam.state(id)).filter(|state| state == "expired")));
    assert!(state.is_ok(), "{}", sam.state(id));
    assert_eq!(session.query(ORDERS).table(), few);
}

#[test]
fn tables_that_no_policy_names_are_asked_for_within_a_ceiling() {
    let fabric = shop::open();
    let ceiling = "kind: request-ceiling\nname: ad-hoc\ndatabase: shop\ndescription: Any stock for a while.\n\
                   request:\n  who: { groups: [support] }\n  approvers: { groups: [admin], count: 1 }\n  \
                   max_duration: 1h\n  reason: required\ngrants:\n  - on: public.products\n    allow: [select]\n  \
                   - on: public.salaries\n    allow: [select]\nmasks:\n  - on: public.salaries.monthly\n    with: \"null\"\n";
    std::fs::write(fabric.project().join("policies/ceiling.yaml"), ceiling).unwrap();
    fabric.publish().unwrap();
    let person = shop::support(&fabric);
    let mut session = person.connect().unwrap();
    let salaries = "select count(*), count(monthly) from salaries";
    assert_eq!(session.query(salaries).sqlstate(), Some("42501"));
    let sam = Terminal::of(&fabric, "sam@acme.test", &[]);
    let ada = Terminal::of(&fabric, "ada@acme.test", &["admin"]);
    let ask = ["request", "tables", "shop", "--for", "10m", "--reason", "INC-3", "--json", "--on"];
    let (_, said) = sam.refused(&[&ask[..], &["public.salaries:select,update"]].concat());
    assert!(said.contains("above the ceiling"), "{said}");
    let (_, said) = sam.refused(
        &[&ask[..], &["public.salaries", "--mask", "public.salaries.monthly={\"round\":1}"]].concat(),
    );
    assert!(said.contains("shows more than the ceiling"), "{said}");
    let asked = sam.json(&[&ask[..], &["public.salaries"]].concat());
    ada.run(&["approve", asked.get("id").unwrap().as_str().unwrap()]);
    let people = fabric.upstream("select count(*) from salaries").unwrap();
    let seen = wait_for(SOON, || {
        let answer = session.query(salaries);
        Ok((answer.table() == format!("{people}|0")).then_some(()))
    });
    assert!(seen.is_ok(), "{} {:?}", session.query(salaries).table(), session.query(salaries).errors);
}

/// The process of the sandbox's control plane.
fn control_plane(fabric: &Fabric) -> String {
    let children = std::process::Command::new("ps")
        .args(["-o", "pid=,comm=", "--ppid", &fabric.pid().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(children.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("daam-control")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().next().unwrap().to_owned()
}

/// A process that does not get to run.
struct Away(String);

impl Away {
    fn stop(pid: &str) -> Self {
        signal("-STOP", pid);
        Self(pid.to_owned())
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(name: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([name, pid]).status().unwrap().success());
}
