//! What a session leaves in the audit, as the files show it.

use super::requested::{askable, incident};
use super::stage::{Stage, code, masked, one, open};
use crate::world::eventually;
use daam_agent::audit::read::{Lines, files, verify};
use daam_agent::audit::{Audit, AuditSettings, AuditTag, Level, Unwritable};
use daam_audit::{Change, Decision, Event, Outcome, Record, Statement, Via};
use daam_pgwire::frontend::{bind, execute, parse_statement, query, sync};
use futures_util::SinkExt as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tempfile::TempDir;

pub(super) struct Audited {
    pub(super) stage: Stage,
    dir: TempDir,
}

impl Audited {
    pub(super) async fn new(settings: AuditSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tag = AuditTag { agent: "a1".into(), database: "shop".into() };
        let audit = Audit::start(dir.path().join("audit"), &settings, &tag).unwrap();
        let stage = Stage::audited(masked(), Duration::from_millis(50), audit).await;
        Self { stage, dir }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }

    /// Every record, once nothing more is to come.
    pub(super) async fn records(&self) -> Vec<Record> {
        eventually("the sessions are gone", async || self.stage.ctx.sessions.count() == 0).await;
        eventually("the roles are gone", async || self.stage.world.roles().await.is_empty()).await;
        self.stage.ctx.audit.stop().await;
        records(&self.path())
    }
}

/// The records of a directory, which must be whole.
fn records(dir: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let set = verify(&files(dir).unwrap(), None, |record| records.push(record.clone())).unwrap();
    assert_eq!(set.finding, None);
    records
}

fn statements(records: &[Record]) -> Vec<(&Statement, String)> {
    records
        .iter()
        .filter_map(|record| match record.event() {
            Event::Statement(statement) => {
                let text = record.detail().and_then(|detail| detail.text()).unwrap_or_default();
                Some((statement, text.to_owned()))
            }
            _ => None,
        })
        .collect()
}

fn kinds(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|record| record.event().kind()).filter(|kind| *kind != "statement").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_everything_it_ran_is_recorded_without_literals() {
    let audited = Audited::new(AuditSettings::default()).await;
    let client = audited.stage.try_client("dbname=shop user=jane application_name=psql").await.unwrap();
    one(&client, "SELECT email FROM users WHERE email <> 'hunter2' /* hunter3 */").await.unwrap();
    let prepared = client.prepare("SELECT id FROM users WHERE id < $1 AND name <> 'hunter4'").await.unwrap();
    assert_eq!(client.query(&prepared, &[&2_i64]).await.unwrap().len(), 1);
    assert_eq!(code(client.simple_query("SELECT 1 / 0").await), "22012");
    client.simple_query("UPDATE users SET name = 'hunter5'; SELECT 1").await.unwrap();
    drop(client);
    let dir = audited.path();
    let records = audited.records().await;
    assert_eq!(kinds(&records), ["chain_started", "session_opened", "session_ended", "agent_stopped"]);
    let opened = &records[1];
    assert_eq!(opened.event().who().unwrap().email, "jane@example.com");
    assert_eq!(opened.detail().unwrap().application(), Some("psql"));
    let ran = statements(&records);
    let texts: Vec<&str> = ran.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "SELECT email FROM users WHERE email <> $1",
            "SELECT id FROM users WHERE id < $1 AND name <> $2",
            "SELECT $1 / $2",
            "UPDATE users SET name = $1; SELECT $2",
        ]
    );
    let told: Vec<_> =
        ran.iter().map(|(s, _)| (s.via, s.outcome.unwrap(), s.rows, s.sqlstate.as_deref())).collect();
    assert_eq!(
        told,
        [
            (Via::Query, Outcome::Completed, 2, None),
            (Via::Execute, Outcome::Completed, 1, None),
            (Via::Query, Outcome::Failed, 0, Some("22012")),
            (Via::Query, Outcome::Completed, 3, None),
        ]
    );
    assert_eq!(ran[0].0.masked, ["public.users.email"]);
    assert!(ran[0].0.bytes > 20 && ran[0].0.micros > 0);
    assert!(ran[1].0.masked.is_empty());
    assert_eq!((ran[3].0.commands, ran[3].0.command.as_deref(), ran[3].0.bundle), (2, Some("SELECT"), 1));
    let id = opened.event().session().unwrap();
    assert!(ran.iter().all(|(statement, _)| statement.session == id && statement.who.id == "u1"));
    for path in files(&dir).unwrap() {
        assert!(!std::fs::read_to_string(path).unwrap().contains("hunter"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denied_statement_is_there_however_it_came() {
    let settings = AuditSettings { statements: Level::Refused, ..AuditSettings::default() };
    let audited = Audited::new(settings).await;
    let mut raw = audited.stage.raw().await;
    let refused = |n: u32| format!("SELECT {n} FROM hr.staff");
    let extended = |sql: &str| [parse_statement(b"", sql, b""), bind(b"", b""), execute(b"")].concat();
    // Pipelined: in the middle of a batch, behind a batch that fails at the server, and as simple queries.
    let mut sent = extended("SELECT 1");
    sent.extend(extended(&refused(1)));
    sent.extend(extended("SELECT 2"));
    sent.extend(sync().iter());
    sent.extend(extended("SELECT 1 / 0"));
    sent.extend(extended(&refused(2)));
    sent.extend(sync().iter());
    sent.extend(query(&refused(3)).iter());
    sent.extend(query("SELECT 1; SELECT 2 FROM hr.staff; SELECT 3").iter());
    sent.extend(query("COPY hr.staff TO STDOUT").iter());
    sent.extend(query("COPY users FROM '/etc/passwd'").iter());
    sent.extend(query("selec 'hunter2'").iter());
    sent.extend(query("select 'hunter2").iter());
    sent.extend_from_slice(b"Q\0\0\0\x0fSELECT '\xe9'\0");
    sent.extend_from_slice(b"F\0\0\0\x0e\0\0\0\x2a\0\0\0\0\0\0");
    raw.send(&sent).await;
    for _ in 0..10 {
        raw.summary().await;
    }
    // In a transaction, with a name, run later.
    raw.send(&query("BEGIN")).await;
    raw.summary().await;
    raw.send(&[parse_statement(b"s", &refused(9), b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42501 ZE");
    drop(raw.stream);
    let records = audited.records().await;
    let ran = statements(&records);
    assert!(ran.iter().all(|(statement, _)| statement.decision == Decision::Refused));
    let told: Vec<(Via, &str, &str)> = ran
        .iter()
        .map(|(s, text)| (s.via, s.sqlstate.as_deref().unwrap_or_default(), text.as_str()))
        .collect();
    let staff = "SELECT $1 FROM hr.staff";
    let expected = [
        (Via::Parse, "42501", staff),
        (Via::Parse, "42501", staff),
        (Via::Query, "42501", staff),
        (Via::Query, "42501", "SELECT $1; SELECT $2 FROM hr.staff; SELECT $3"),
        (Via::Query, "42501", "COPY hr.staff TO STDOUT"),
        (Via::Query, "42501", "COPY users FROM $1"),
        (Via::Query, "42601", "selec $1"),
        (Via::Query, "42601", "… [15 bytes]"),
        (Via::Query, "22021", "… [10 bytes]"),
        (Via::FunctionCall, "42501", ""),
        (Via::Parse, "42501", staff),
    ];
    assert_eq!(told, expected);
    let reasons: Vec<&str> = records.iter().filter_map(|record| record.detail()?.reason()).collect();
    assert!(reasons[0].contains("hr.staff"), "{reasons:?}");
    assert!(records.iter().all(|record| !record.line().contains("hunter")), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pauses_what_fails_to_prepare_and_what_the_end_cuts_off_is_told_apart() {
    let audited = Audited::new(AuditSettings::default()).await;
    audited.stage.publish(open());
    let mut raw = audited.stage.raw().await;
    let three = b"E\0\0\0\x09\0\0\0\0\x03";
    let rows = parse_statement(b"", "SELECT generate_series(1, 5)", b"");
    raw.send(&[&rows[..], &bind(b"", b""), three, three, &sync()].concat()).await;
    assert_eq!(raw.summary().await, "1 2 D D D s D D C ZI");
    raw.send(&[parse_statement(b"", "SELECT nope FROM users", b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42703 ZI");
    raw.send(&query("SELECT pg_sleep(60)")).await;
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                  AND pid <> pg_backend_pid()";
    eventually("the statement runs", async || !audited.stage.world.strings(asleep).await.is_empty()).await;
    drop(raw.stream);
    let client = audited.stage.client().await;
    let mut sink = pin!(client.copy_in("COPY users (email, name) FROM STDIN").await.unwrap());
    sink.send(bytes::Bytes::from_static(b"zoe@example.net\tZoe\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);
    drop(client);
    let records = audited.records().await;
    let mut told: Vec<(Via, Option<Outcome>, u64, String)> =
        statements(&records).into_iter().map(|(s, text)| (s.via, s.outcome, s.rows, text)).collect();
    let unfinished = told.iter().position(|(_, outcome, ..)| *outcome == Some(Outcome::Unfinished)).unwrap();
    let unfinished = told.remove(unfinished);
    assert_eq!(unfinished, (Via::Query, Some(Outcome::Unfinished), 0, "SELECT pg_sleep($1)".to_owned()));
    let series = "SELECT generate_series($1, $2)".to_owned();
    assert_eq!(
        told,
        [
            (Via::Execute, Some(Outcome::Suspended), 3, series.clone()),
            (Via::Execute, Some(Outcome::Completed), 2, series),
            (Via::Parse, Some(Outcome::Failed), 0, "SELECT nope FROM users".to_owned()),
            (Via::Execute, Some(Outcome::Completed), 1, "COPY users (email, name) FROM STDIN".to_owned()),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_session_a_changed_policy_and_the_end_are_recorded_with_reasons() {
    let audited = Audited::new(AuditSettings::default()).await;
    assert_eq!(code(audited.stage.try_client("dbname=other user=x").await.map(drop)), "3D000");
    let client = audited.stage.client().await;
    audited.stage.publish(open());
    eventually("the mask is gone", async || {
        one(&client, "SELECT email FROM users ORDER BY id LIMIT 1")
            .await
            .is_ok_and(|email| !email.contains('*'))
    })
    .await;
    audited.stage.publish(masked());
    eventually("the mask is back", async || {
        one(&client, "SELECT email FROM users ORDER BY id LIMIT 1")
            .await
            .is_ok_and(|email| email.contains('*'))
    })
    .await;
    audited.stage.disable_jane();
    eventually("the session is ended", async || client.is_closed()).await;
    let records = audited.records().await;
    let changes: Vec<Change> = records
        .iter()
        .filter_map(|record| match record.event() {
            Event::SessionChanged { change, .. } => Some(*change),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [Change::Widened, Change::Tightened]);
    let refused = records.iter().find(|record| record.event().kind() == "session_refused").unwrap();
    assert!(refused.detail().unwrap().reason().unwrap().contains("`other`"), "{refused:?}");
    let ended = records.iter().find(|record| record.event().kind() == "session_ended").unwrap();
    assert!(ended.detail().unwrap().reason().unwrap().contains("disabled"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_name_the_requests_that_were_in_force() {
    let audited = Audited::new(AuditSettings::default()).await;
    audited.stage.publish(askable());
    let client = audited.stage.client().await;
    let email = "SELECT email FROM users ORDER BY id LIMIT 1";
    assert!(one(&client, email).await.is_err());
    audited.stage.set_access(&[incident()]);
    eventually("it is in force", async || one(&client, email).await.is_ok()).await;
    audited.stage.set_access(&[]);
    eventually("it is over", async || one(&client, email).await.is_err()).await;
    drop(client);
    eventually("the session is over", async || audited.stage.ctx.sessions.count() == 0).await;
    let records = audited.records().await;
    let changes: Vec<(Change, Vec<String>)> = records
        .iter()
        .filter_map(|record| match record.event() {
            Event::SessionChanged { change, requests, .. } => Some((*change, requests.clone())),
            _ => None,
        })
        .collect();
    let under = vec!["r1".to_owned()];
    assert_eq!(changes, [(Change::Widened, under.clone()), (Change::Tightened, Vec::new())]);
    for record in &records {
        if let Event::Statement(statement) = record.event() {
            let allowed = statement.outcome == Some(Outcome::Completed);
            assert!(!allowed || statement.requests == under, "{statement:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_cut_files_turn_over_and_old_ones_go() {
    let settings = AuditSettings { max_size: 1 << 20, keep: 2, literals: true, ..AuditSettings::default() };
    let audited = Audited::new(settings).await;
    let client = audited.stage.client().await;
    let long = format!("SELECT 1 AS \"{}\"", "a\u{1f}\n\"\"".repeat(20_000));
    for _ in 0..120 {
        // A name that long is cut by the server; the text is what counts.
        client.simple_query(&long).await.unwrap();
    }
    drop(client);
    let dir = audited.path();
    let records = audited.records().await;
    assert_eq!(files(&dir).unwrap().len(), 2, "old files are removed");
    assert!(records[0].seq() > 1, "and the chain goes on");
    let (_, text) = statements(&records).remove(0);
    assert!(text.ends_with(&format!("… [{} bytes]", long.len() + 1)), "{}", text.len());
    for path in files(&dir).unwrap() {
        let mut lines = Lines::open(&path).unwrap();
        while let Some(line) = lines.next_line().unwrap() {
            assert!(line.whole && line.text.len() < 64 * 1024 && !line.text.contains('\u{1f}'));
        }
    }
}

/// Takes the directory away, so that no further file can be begun, and gives it back.
struct Away {
    dir: std::path::PathBuf,
    aside: std::path::PathBuf,
}

impl Away {
    fn take(dir: std::path::PathBuf) -> Self {
        let aside = dir.with_extension("aside");
        std::fs::rename(&dir, &aside).unwrap();
        std::fs::write(&dir, "in the way").unwrap();
        Self { dir, aside }
    }

    fn give_back(self) {
        std::fs::remove_file(&self.dir).unwrap();
        std::fs::rename(self.aside, self.dir).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_writable_audit_nobody_gets_in_or_goes_on_and_with_one_again_they_do() {
    // Every batch begins a file.
    let settings = AuditSettings { max_size: 1, keep: 1000, ..AuditSettings::default() };
    let audited = Audited::new(settings).await;
    let state = audited.stage.ctx.audit.state();
    let client = audited.stage.client().await;
    let away = Away::take(audited.path());
    // Its record cannot be written, so there is no next statement.
    one(&client, "SELECT 2").await.unwrap();
    eventually("the failure is noticed", async || state.is_broken()).await;
    let ended = one(&client, "SELECT 3").await.unwrap_err();
    assert!(ended.as_db_error().is_none_or(|error| error.code().code() == "58030"), "{ended:?}");
    assert_eq!(code(audited.stage.try_client("dbname=shop user=x").await.map(drop)), "58030");
    eventually("the roles are gone", async || audited.stage.world.roles().await.is_empty()).await;
    away.give_back();
    eventually("the audit is written again", async || !state.is_broken()).await;
    let client = audited.stage.client().await;
    one(&client, "SELECT 4").await.unwrap();
    drop(client);
    let records = audited.records().await;
    let ran: Vec<String> = statements(&records).into_iter().map(|(_, text)| text).collect();
    assert!(ran.len() >= 2, "{ran:?}");
    let kinds = kinds(&records);
    assert!(kinds.contains(&"session_refused") && !kinds.contains(&"lost"), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_go_on_without_it_the_agent_counts_what_is_lost() {
    let unwritable = Unwritable::Continue;
    let settings = AuditSettings { max_size: 1, keep: 1000, unwritable, ..AuditSettings::default() };
    let audited = Audited::new(settings).await;
    let state = audited.stage.ctx.audit.state();
    let client = audited.stage.client().await;
    let away = Away::take(audited.path());
    eventually("the failure is noticed", async || {
        one(&client, "SELECT 1").await.unwrap();
        state.is_broken()
    })
    .await;
    one(&client, "SELECT 2").await.unwrap();
    one(&audited.stage.client().await, "SELECT 3").await.unwrap();
    away.give_back();
    eventually("the audit is written again", async || !state.is_broken()).await;
    one(&client, "SELECT 4").await.unwrap();
    drop(client);
    let lost = state.lost();
    let records = audited.records().await;
    let counted: u64 = records
        .iter()
        .map(|record| match record.event() {
            Event::Lost { records } => *records,
            _ => 0,
        })
        .sum();
    assert!(lost >= 2 && counted >= lost, "{lost} lost, {counted} recorded");
}
