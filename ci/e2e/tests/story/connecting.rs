//! The ways in: psql, the relay, cancel, other tools, and the way out.

use crate::shop;
use daam_e2e::{Fabric, Person, PersonOptions, wait_for};
use std::process::Command;
use std::time::Duration;

#[test]
fn psql_runs_through_the_fabric_and_describes_what_it_sees() {
    let fabric = shop::open();
    let output = as_sam(&fabric, "psql", &[])
        .args(["-X", "-A", "-t", "-c", "select email from customers where id = 1", "-c", "\\d customers"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("j***@e***.com\n"), "{text}");
    assert!(text.contains("email|text"), "{text}");
}

#[test]
fn the_relay_carries_the_same_session_when_asked_to() {
    let fabric = shop::open();
    let options = PersonOptions {
        email: "sam@acme.test".to_owned(),
        groups: "support".to_owned(),
        attributes: vec!["region=eu".to_owned()],
        relay: true,
    };
    let sam = Person::open(&fabric, &options).unwrap();
    let mut session = sam.connect().unwrap();
    assert_eq!(session.query("select email from customers where id = 1").table(), "j***@e***.com");

    // The proof that the relay is on the path: without it the session cannot go on.
    let relay = child_pid(fabric.pid(), "daam-relay");
    assert!(Command::new("kill").args(["-9", &relay]).status().unwrap().success());
    let answer = session.query("select 1");
    assert!(answer.closed || !answer.errors.is_empty(), "{}", answer.table());
}

#[test]
fn cancel_stops_the_running_statement_only() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    let (pid, secret) = session.cancel_key.clone().unwrap();
    session.send(b'Q', b"select pg_sleep(60)\0").unwrap();
    wait_for(Duration::from_secs(20), || {
        let running = fabric.upstream("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and usename like 'daam_s_%'")?;
        Ok((running == "1").then_some(()))
    })
    .unwrap();
    let mut cancel = 80_877_102_i32.to_be_bytes().to_vec();
    cancel.extend_from_slice(&pid.to_be_bytes());
    cancel.extend_from_slice(&secret);
    let mut stream = std::os::unix::net::UnixStream::connect(sam.socket()).unwrap();
    std::io::Write::write_all(&mut stream, &[&16_i32.to_be_bytes()[..], &cancel].concat()).unwrap();
    let answer = session.collect();
    assert_eq!(answer.sqlstate(), Some("57014"), "{:?}", answer.errors);
    assert_eq!(session.query("select 2").table(), "2");
}

#[test]
fn a_tcp_endpoint_asks_for_its_own_password_and_never_shows_an_upstream_one() {
    let fabric = shop::open();
    let script = "psql -X -A -t -c 'select email from customers where id = 1' \"$DATABASE_URL\"; PGPASSWORD=wrong psql -X -c 'select 1'; env";
    let output = as_sam(&fabric, "run", &["--tcp"]).args(["sh", "-c", script]).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("j***@e***.com\n"), "{text}{errors}");
    assert!(errors.contains("the password for this connection is wrong"), "{errors}");
    let (_, rest) = fabric.ready().upstream.split_once("://").unwrap();
    let (credentials, _) = rest.split_once('@').unwrap();
    let (_, password) = credentials.split_once(':').unwrap();
    assert!(!text.contains(password));
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let mut fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query("select count(*) from customers").errors.is_empty());
    let ready = fabric.ready().clone();
    let status = fabric.interrupt().unwrap();
    assert!(status.success(), "{status}\n{}", fabric.logs());
    let marker = ready.state.display().to_string();
    let left = wait_for(Duration::from_secs(10), || {
        let listing = Command::new("ps").args(["-eo", "pid,args"]).output()?;
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let ours = |line: &&str| line.contains(&marker) && !line.contains("dev run");
        Ok((!listing.lines().any(|line| ours(&line))).then_some(()))
    });
    assert!(left.is_ok(), "processes of the sandbox are still running");
    assert!(session.query("select 1").closed);
}

/// `daam dev psql` or `daam dev run` as Sam of European support, up to and including the `--`.
fn as_sam(fabric: &Fabric, subcommand: &str, options: &[&str]) -> Command {
    let sam = ["dev", subcommand, "--as", "sam@acme.test", "--groups", "support", "--attr", "region=eu"];
    let mut command = fabric.daam(&sam).unwrap();
    command.args(options).arg("--state").arg(&fabric.ready().state).arg("--");
    command
}

fn child_pid(parent: u32, name: &str) -> String {
    let output = Command::new("ps").args(["-eo", "pid,ppid,comm"]).output().unwrap();
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = listing.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (pid, of, command) = (fields.next()?, fields.next()?, fields.next()?);
        (of == parent.to_string() && name.starts_with(command)).then(|| pid.to_owned())
    });
    found.unwrap_or_else(|| panic!("no child `{name}` of {parent}:\n{listing}"))
}

#[test]
fn enforcement_goes_on_while_the_control_plane_is_down() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut before = sam.connect().unwrap();
    assert_eq!(before.query("select email from customers where id = 1").table(), "j***@e***.com");
    let control_plane = child_pid(fabric.pid(), "daam-control-plane");
    assert!(Command::new("kill").args(["-9", &control_plane]).status().unwrap().success());
    assert_eq!(before.query("select email from customers where id = 1").table(), "j***@e***.com");
    let mut after = sam.connect().unwrap();
    assert_eq!(after.query("select email from customers where id = 1").table(), "j***@e***.com");
    assert_eq!(after.query("select * from salaries").sqlstate(), Some("42501"));
}
