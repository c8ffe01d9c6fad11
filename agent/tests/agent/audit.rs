//! The whole program's audit: its files, its command line, and what the control plane gets of it.

use crate::author::{Author, jane};
use crate::plane::Plane;
use crate::program::{Program, bundle_status, files, offer};
use crate::world::{World, eventually, grant, policies};
use daam_agent::audit::read;
use daam_api::link::{AuditRecord, FromAgent, ToAgent};
use daam_audit::{Event, Record};
use daam_model::{Mask, Verb};
use std::path::Path;
use std::process::{Command, Output};

fn audit(arguments: &[&str], at: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daam-agent")).arg("audit").args(arguments).args(at).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(text).unwrap()
}

/// An agent that lets Jane in.
async fn serving(world: &World, plane: &mut Plane, scope: &str) -> Program {
    let author = Author::new();
    let program = Program::start(files(world, plane, &author, scope)).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
    let set = policies(vec![grant("public.users", &[Verb::Select])], &[("public.users.email", Mask::Email)]);
    plane.say(&offer(&author, 1, &set));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    program
}

fn held(chain: &str, record: Option<&Record>) -> ToAgent {
    ToAgent::AuditHeld {
        chain: chain.to_owned(),
        through: record.map_or(0, Record::seq),
        hash: record.map(|record| record.hash().to_string()).unwrap_or_default(),
    }
}

/// Takes and confirms batches until a record that the test is after came; gives everything that came.
async fn take(
    plane: &mut Plane,
    known: &mut Vec<Record>,
    enough: impl Fn(&Record) -> bool,
) -> (String, Vec<AuditRecord>) {
    let mut all = Vec::new();
    loop {
        let (chain, records) = plane
            .hear("an audit batch", |message| match message {
                FromAgent::AuditBatch { chain, records, .. } => Some((chain, records)),
                _ => None,
            })
            .await;
        for record in &records {
            let read = Record::parse_public(&record.line).unwrap();
            assert!(read.detail().is_none(), "details are not in the line");
            if known.last().is_some_and(|last| read.seq() <= last.seq()) {
                continue;
            }
            assert_eq!(read.seq(), known.last().map_or(0, Record::seq) + 1);
            assert_eq!(known.last().map_or(daam_audit::Hash::ZERO, Record::hash), read.prev());
            known.push(read);
        }
        all.extend(records);
        plane.say(&held(&chain, known.last()));
        if known.iter().any(&enough) {
            return (chain, all);
        }
    }
}

fn is_end(record: &Record) -> bool {
    matches!(record.event(), Event::SessionEnded { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_gets_every_record_once_over_outages_and_restarts_and_no_literal() {
    let (world, mut plane) = (World::start().await, Plane::start().await);
    let program = serving(&world, &mut plane, "").await;
    let session = program.session(&plane).await;
    for sql in
        ["SELECT id FROM users WHERE email = 'hunter2'", "SELECT 'hunter3' FROM hr.staff", "selec 'hunter4'"]
    {
        session.client.simple_query(sql).await.map(drop).unwrap_or_default();
    }
    drop(session);
    eventually("the end is on disk", async || {
        let shown = audit(
            &["show", "--kind", "session_ended", "--config"],
            &[&program.dir.path().join("config.yaml")],
        );
        said(&shown).contains("3 statements")
    })
    .await;
    // Nothing is sent before the control plane says that it knows about audits.
    assert!(!plane.unheard().iter().any(|message| matches!(message, FromAgent::AuditBatch { .. })));
    let mut known = Vec::new();
    plane.say(&held("", None));
    let (chain, sent) = take(&mut plane, &mut known, is_end).await;
    let statements: Vec<&str> = sent.iter().filter_map(|record| record.statement.as_deref()).collect();
    assert_eq!(statements, ["SELECT id FROM users WHERE email = $1", "SELECT $1 FROM hr.staff", "selec $1"]);
    let reasons: Vec<&str> = sent.iter().filter_map(|record| record.reason.as_deref()).collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| !reason.contains("hr.staff")), "{reasons:?}");
    let dir = program.stop().await;
    let program = Program::start(dir).await;
    // A new link: the control plane says how far it is, and the agent goes on from there.
    plane.hear("hello", |message| matches!(message, FromAgent::Hello { .. }).then_some(())).await;
    let before = known.len();
    plane.say(&held(&chain, known.last()));
    let (_, sent) =
        take(&mut plane, &mut known, |record| matches!(record.event(), Event::AgentStarted { .. })).await;
    assert_eq!(sent.len(), known.len() - before, "nothing came twice");
    assert!(known.iter().any(|record| matches!(record.event(), Event::AgentStopped {})));
    eventually("it is known to be confirmed", async || {
        program.detailed().await["audit"]["confirmed"].as_u64() == known.last().map(Record::seq)
    })
    .await;
    program.stop().await;
    assert!(plane.record().iter().all(|text| !text.contains("hunter")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_gets_no_name_that_is_not_in_scope() {
    let (world, mut plane) = (World::start().await, Plane::start().await);
    let program = serving(&world, &mut plane, "  scope: [public.users]\n").await;
    let session = program.session(&plane).await;
    for sql in ["SELECT email FROM users u", "SELECT salary FROM hr.staff", "SELECT id FROM public.orders"] {
        session.client.simple_query(sql).await.map(drop).unwrap_or_default();
    }
    drop(session);
    plane.say(&held("", None));
    let (_, sent) = take(&mut plane, &mut Vec::new(), is_end).await;
    let statements: Vec<&str> = sent.iter().filter_map(|record| record.statement.as_deref()).collect();
    assert_eq!(statements, ["SELECT email FROM users …", "SELECT … FROM ….…", "SELECT id FROM public.…"]);
    for text in plane.record() {
        assert!(!text.contains("staff") && !text.contains("salary") && !text.contains("orders"), "{text}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_was_done_to_the_files_and_show_filters() {
    let (world, mut plane) = (World::start().await, Plane::start().await);
    let program = serving(&world, &mut plane, "").await;
    let session = program.session(&plane).await;
    session.client.simple_query("SELECT id FROM users").await.unwrap();
    session.client.simple_query("SELECT 1 FROM hr.staff").await.unwrap_err();
    drop(session);
    let dir = program.stop().await;
    let config = dir.path().join("config.yaml");
    let output = audit(&["verify", "--config"], &[&config]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let end = said(&output).lines().last().unwrap().to_owned();

    let refused =
        audit(&["show", "--refused", "--user", "JANE@example.com", "--last", "5", "--config"], &[&config]);
    let text = said(&refused);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("refused 42501") && text.contains("SELECT $1 FROM hr.staff"), "{text}");
    let json = said(&audit(&["show", "--json", "--kind", "session_opened", "--config"], &[&config]));
    let id = Record::parse(json.trim_end()).unwrap().event().session().unwrap().to_owned();
    let of_session = said(&audit(&["show", "--session", &id, "--config"], &[&config]));
    assert_eq!(of_session.lines().count(), 4, "{of_session}");
    assert_eq!(said(&audit(&["show", "--until", "2020-01-01", "--config"], &[&config])), "");

    let file = read::files(&dir.path().join("state/audit")).unwrap().remove(0);
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let without = [&lines[..2], &lines[3..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    for (text, expected) in [
        (
            whole.replacen("\"decision\":\"refused\"", "\"decision\":\"allowed\"", 1),
            ":4: the record was changed",
        ),
        (
            whole.replacen("SELECT $1 FROM hr.staff", "SELECT $1 FROM users", 1),
            ":4: the detail of the record",
        ),
        (join(&without), ":3: records 3 to 3 are missing"),
        (join(&swapped), ":3: records 3 to 3 are missing"),
        (whole.get(..whole.len() - 20).unwrap().to_owned(), "ends in the middle of a record"),
        (join(&lines[..lines.len() - 1]), "was written and is not there"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = audit(&["verify", "--remember", &end], &[&file]);
        assert_eq!(output.status.code(), Some(2), "{expected}");
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
    let missing = audit(&["verify"], &[&dir.path().join("nothing")]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(audit(&["verify", "--remember", "x"], &[&file]).status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_cut_short_by_a_crash_is_removed_and_counted_and_a_changed_one_stops_the_agent() {
    let (world, mut plane) = (World::start().await, Plane::start().await);
    let program = serving(&world, &mut plane, "").await;
    let dir = program.stop().await;
    let file = read::files(&dir.path().join("state/audit")).unwrap().remove(0);
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{{\"v\":1,\"seq\":")).unwrap();
    let program = Program::start(dir).await;
    let dir = program.stop().await;
    let mut torn = None;
    let set = read::verify(std::slice::from_ref(&file), None, |record| {
        if let Event::AgentStarted { torn: bytes, .. } = record.event() {
            torn = Some(*bytes);
        }
    });
    assert_eq!((set.unwrap().finding, torn), (None, Some(13)));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("agent_stopped", "agent_started")).unwrap();
    let mut refused = Command::new(env!("CARGO_BIN_EXE_daam-agent"));
    let output = refused.args(["run", "--config"]).arg(dir.path().join("config.yaml")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("does not verify"), "{}", said(&output));
}
