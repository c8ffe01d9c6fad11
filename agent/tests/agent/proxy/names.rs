//! The names of prepared statements and portals: whatever is sent in one go, and whatever of it fails, the agent answers
//! as the server does and knows which text it was that ran.

use super::audited::Audited;
use super::stage::{Raw, Stage, masked, one, summary};
use daam_agent::audit::{AuditSettings, Level};
use daam_agent::upstream::{Duplex, Login};
use daam_audit::{Event, Outcome, Record};
use daam_pgwire::frontend::{Target, bind, close, execute, flush, parse_statement, query, sync};
use daam_pgwire::{Frame, FrameBuffer};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn settings() -> AuditSettings {
    AuditSettings { statements: Level::All, literals: true, ..AuditSettings::default() }
}

/// The raw texts of what ran to its end and gave a row, in order.
fn ran(records: &[Record]) -> Vec<Option<String>> {
    let statements = records.iter().filter_map(|record| match record.event() {
        Event::Statement(statement)
            if statement.outcome == Some(Outcome::Completed) && statement.rows == 1 =>
        {
            Some(record.detail().and_then(|detail| detail.raw()).map(str::to_owned))
        }
        _ => None,
    });
    statements.collect()
}

fn rows(frames: &[Frame]) -> Vec<String> {
    let rows = frames.iter().filter(|frame| frame.tag() == b'D');
    rows.map(|row| String::from_utf8_lossy(&row.body()[6..]).into_owned()).collect()
}

/// Sends it, and reads to the last of so many `ReadyForQuery`.
async fn told(raw: &mut Raw, sent: &[Vec<u8>], times: usize) -> (String, Vec<String>) {
    raw.send(&sent.concat()).await;
    let (mut text, mut values) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let frames = raw.until_ready().await;
        values.extend(rows(&frames));
        text.extend(frames.iter().filter(|frame| !b"NSTD".contains(&frame.tag())).map(summary));
    }
    (text.join(" "), values)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parses_that_fail_in_one_go_leave_the_text_that_was_there() {
    let audited = Audited::new(settings()).await;
    let mut raw = audited.stage.raw().await;
    let parse = |sql: &str| [parse_statement(b"s", sql, b""), sync()].concat();
    told(&mut raw, &[parse("SELECT 'first'")], 1).await;
    let run = [bind(b"", b"s"), execute(b""), sync()].concat();
    let sent = [parse("SELECT 'second'"), parse("SELECT 'third'"), run.clone()];
    let (text, values) = told(&mut raw, &sent, 3).await;
    assert_eq!(text, "E:42P05 ZI E:42P05 ZI 2 C ZI");
    assert_eq!(values, ["first"]);
    // A failing one without a name takes the one before it away.
    let unnamed = |sql: &str| [parse_statement(b"", sql, b""), sync()].concat();
    let again = [bind(b"", b""), execute(b""), sync()].concat();
    let sent = [unnamed("SELECT 'fourth'"), unnamed("SELECT nothing"), again, run];
    let (text, values) = told(&mut raw, &sent, 4).await;
    assert_eq!(text, "1 ZI E:42703 ZI E:26000 ZI 2 C ZI");
    assert_eq!(values, ["first"]);
    drop(raw);
    let expected = ["SELECT 'first'", "SELECT 'first'"].map(|text| Some(text.to_owned()));
    assert_eq!(ran(&audited.records().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_what_the_server_bound_last_and_not_what_it_was_asked_to_bind() {
    let audited = Audited::new(settings()).await;
    let mut raw = audited.stage.raw().await;
    let prepare = |name: &[u8], sql: &str| parse_statement(name, sql, b"").to_vec();
    let (a, b) = (prepare(b"a", "SELECT 'one' UNION ALL SELECT 'two'"), prepare(b"b", "SELECT 'other'"));
    told(&mut raw, &[a, b, sync().to_vec(), query("BEGIN").to_vec()], 2).await;
    // The server skips what follows an error, and a name that is taken stays.
    let skipped = [bind(b"p", b"a"), bind(b"x", b"nothing"), bind(b"p", b"b"), sync()].concat();
    assert_eq!(told(&mut raw, &[skipped], 1).await.0, "2 E:26000 ZE");
    told(&mut raw, &[query("ROLLBACK; BEGIN").to_vec()], 1).await;
    let under = [bind(b"p", b"a"), sync(), query("SAVEPOINT s"), bind(b"p", b"b"), sync()].concat();
    assert_eq!(told(&mut raw, &[under], 3).await.0, "2 ZT C ZT E:42P03 ZE");
    let back = [query("ROLLBACK TO s"), execute(b"p"), sync()].concat();
    let (text, values) = told(&mut raw, &[back], 2).await;
    assert_eq!((text.as_str(), values.len()), ("C ZT C ZT", 2));
    // What was bound under a savepoint goes with it, and another cursor may take its name.
    let bound = [close(Target::Portal(b"p")), bind(b"p", b"b"), sync()].concat();
    let sent = [
        bound,
        query("ROLLBACK TO s; DECLARE p CURSOR FOR SELECT 'cursor'").to_vec(),
        [execute(b"p"), sync()].concat(),
    ];
    let (text, values) = told(&mut raw, &sent, 3).await;
    assert_eq!((text.as_str(), values), ("3 2 ZT C C ZT C ZT", vec!["cursor".to_owned()]));
    drop(raw);
    let texts = ran(&audited.records().await);
    assert_eq!(texts, [None], "what SQL declared is not known by its name");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_everything_forgets_nothing_that_was_sent_after_it() {
    let audited = Audited::new(settings()).await;
    let mut raw = audited.stage.raw().await;
    for forget in ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE s"] {
        let parse = |sql: &str| [parse_statement(b"s", sql, b""), sync()].concat();
        told(&mut raw, &[query("DEALLOCATE ALL").to_vec(), parse("SELECT 'old'")], 2).await;
        let run = [bind(b"", b"s"), execute(b""), sync()].concat();
        let sent = [query(forget).to_vec(), parse("SELECT 'new'"), run];
        let (text, values) = told(&mut raw, &sent, 3).await;
        assert_eq!((text.as_str(), values), ("C ZI 1 ZI 2 C ZI", vec!["new".to_owned()]), "{forget}");
    }
    drop(raw);
    let new = Some("SELECT 'new'".to_owned());
    assert_eq!(ran(&audited.records().await), [new.clone(), new.clone(), new]);
}

/// What drivers do that prepare without a name and run it later; meanwhile the agent has work of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_unnamed_statement_outlives_what_the_agent_does_for_itself() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let mut raw = stage.raw().await;
    let email = "SELECT email FROM users ORDER BY id LIMIT 1";
    let prepared = [parse_statement(b"", email, b""), sync()].concat();
    let run = [bind(b"", b""), execute(b""), sync()].concat();
    assert_eq!(told(&mut raw, &[prepared], 1).await.0, "1 ZI");
    for _ in 0..3 {
        let views = "SELECT relname::text FROM pg_class WHERE relname = 'public.users'";
        crate::world::eventually("the view is released", async || {
            stage.world.strings(views).await.is_empty()
        })
        .await;
        let (text, values) = told(&mut raw, std::slice::from_ref(&run), 1).await;
        assert_eq!(text, "2 C ZI");
        assert!(values[0].contains('*'), "{values:?}");
    }
    // The unnamed portal of a transaction, too.
    let orders = [parse_statement(b"n", "SELECT 'kept' FROM generate_series(1, 2)", b""), sync()].concat();
    let bound = [bind(b"", b"n"), sync()].concat();
    let other = [parse_statement(b"m", email, b""), sync()].concat();
    let rest = [execute(b""), sync()].concat();
    let sent = [query("BEGIN").to_vec(), orders, bound, other, rest];
    let (text, values) = told(&mut raw, &sent, 5).await;
    assert_eq!((text.as_str(), values), ("C ZT 1 ZT 2 ZT 1 ZT C ZT", vec!["kept".to_owned(); 2]));
}

/// Numbers that look thrown, the same ones every time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.throw(all.len())]
    }
}

/// One message, and what it is in words.
fn message(dice: &mut Dice, number: usize) -> (Vec<u8>, String) {
    let (statement, portal) = (dice.of(&["", "s", "t"]), dice.of(&["", "p", "q"]));
    let savepoint = dice.of(&["a", "b"]);
    let (s, p) = (dice.of(&["s", "t"]), dice.of(&["p", "q"]));
    let sql = match dice.throw(24) {
        0..=7 => format!("SELECT 't{number}'"),
        8 | 9 => "BEGIN".to_owned(),
        10 => "COMMIT".to_owned(),
        11 => "ROLLBACK".to_owned(),
        12..=14 => format!("SAVEPOINT {savepoint}"),
        15 | 16 => format!("ROLLBACK TO {savepoint}"),
        17 => format!("RELEASE {savepoint}"),
        18 => format!("DEALLOCATE {s}"),
        19 => "DEALLOCATE ALL".to_owned(),
        20 => format!("DECLARE {p} CURSOR FOR SELECT 'c{number}'"),
        21 => format!("CLOSE {p}"),
        22 => format!("PREPARE {s} AS SELECT 'c{number}'"),
        _ => "SELECT nothing".to_owned(),
    };
    let (bytes, words) = match dice.throw(20) {
        0..=4 => (parse_statement(statement.as_bytes(), &sql, b""), format!("Parse {statement:?} {sql}")),
        5..=8 => (bind(portal.as_bytes(), statement.as_bytes()), format!("Bind {portal:?} {statement:?}")),
        9..=12 => (execute(portal.as_bytes()), format!("Execute {portal:?}")),
        13 => (close(Target::Portal(portal.as_bytes())), format!("Close portal {portal:?}")),
        14 => (close(Target::Statement(statement.as_bytes())), format!("Close statement {statement:?}")),
        15 | 16 => (query(&sql), format!("Query {sql}")),
        17 => (flush(), "Flush".to_owned()),
        _ => (sync(), "Sync".to_owned()),
    };
    (bytes.to_vec(), words)
}

/// A connection to the database itself.
struct Direct {
    stream: Box<dyn Duplex>,
    buffer: FrameBuffer,
}

impl Direct {
    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.buffer.take().unwrap() {
                return frame;
            }
            assert!(self.stream.read_buf(self.buffer.buffer_mut()).await.unwrap() > 0);
        }
    }
}

/// Whether it says that everything before it is answered.
fn is_last(frame: &Frame) -> bool {
    frame.tag() == b'D' && frame.body().ends_with(b"the end")
}

fn told_of(frame: &Frame, log: &mut String) {
    match frame.tag() {
        b'N' | b'S' | b'T' => {}
        b'D' => write!(log, "{} ", String::from_utf8_lossy(&frame.body()[6..])).unwrap(),
        b'C' => write!(log, "{} ", String::from_utf8_lossy(frame.body()).trim_end_matches('\0')).unwrap(),
        _ => write!(log, "{} ", summary(frame)).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_in_one_go_is_answered_as_by_the_server_and_known_for_what_it_is() {
    let audited = Audited::new(settings()).await;
    let mut raw = audited.stage.raw().await;
    let upstream = audited.stage.world.upstream();
    let login = Login { role: "agent", password: upstream.password().unwrap(), parameters: &[] };
    let connected = upstream.connect_as(&login).await.unwrap();
    let mut direct = Direct { stream: connected.stream, buffer: connected.buffer };
    let mut dice = Dice(1);
    let mut expected = Vec::new();
    for case in 0..250 {
        let clean = [sync(), query("ROLLBACK"), query("DEALLOCATE ALL"), query("CLOSE ALL")];
        let (mut bytes, mut words) = (clean.concat(), Vec::new());
        let length = 5 + dice.throw(40);
        for at in 0..length {
            let (message, said) = message(&mut dice, case * 100 + at);
            bytes.extend(message);
            words.push(said);
        }
        bytes.extend([sync(), query("ROLLBACK"), query("SELECT 'the end'")].concat());
        direct.stream.write_all(&bytes).await.unwrap();
        raw.send(&bytes).await;
        let (mut here, mut there) = (String::new(), String::new());
        loop {
            let frame = direct.next().await;
            told_of(&frame, &mut there);
            if is_last(&frame) {
                break;
            }
        }
        loop {
            let frame = raw.next().await.unwrap_or_else(|| panic!("case {case}: the session ended: {here}"));
            if frame.tag() == b'D' {
                expected.push(String::from_utf8_lossy(&frame.body()[6..]).into_owned());
            }
            told_of(&frame, &mut here);
            if is_last(&frame) {
                break;
            }
        }
        assert_eq!(here, there, "case {case}:\n{}", words.join("\n"));
    }
    drop(raw);
    let texts = ran(&audited.records().await);
    assert_eq!(texts.len(), expected.len());
    for (text, value) in texts.iter().zip(&expected) {
        match text {
            Some(text) => assert!(text.contains(&format!("'{value}'")), "`{text}` gave {value}"),
            None => assert!(value.starts_with('c'), "{value} came of a text that is not known"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_count_with_what_they_hold() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let client = stage.client().await;
    told(&mut raw, &[query("BEGIN").to_vec()], 1).await;
    // One name, parsed again and again; every portal keeps the text it was made of. Nothing waits for an answer to be
    // counted.
    let text = format!("SELECT '{}'", "y".repeat(8 << 20));
    let bound = |n: u8| [parse_statement(b"", &text, b""), bind(&[b'p', b'a' + n], b"")].concat();
    let mut sent: Vec<Vec<u8>> = (0..9).map(bound).collect();
    sent.push(sync().to_vec());
    let (told_all, _) = told(&mut raw, &sent, 1).await;
    assert_eq!(told_all, format!("{}E:54000 ZE", "1 2 ".repeat(7)));
    let (told_all, _) = told(&mut raw, &[query("ROLLBACK").to_vec(), bound(0), sync().to_vec()], 2).await;
    assert_eq!(told_all, "C ZI 1 2 ZI");
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
}
