//! Every kind of change under every kind of session: what the client is told then, what its next words bring, and that
//! no raw value reaches it once the change is in force.

use super::requested::{ad_hoc, askable, asked, incident};
use super::stage::{Raw, SOON, Stage, masked, open};
use crate::world::{eventually, grant, policies};
use daam_catalog::{RelationPattern, Scope};
use daam_model::{PolicySet, Verb};
use daam_pgwire::frontend::{bind, execute, flush, parse_statement, query, sync};
use daam_pgwire::{Frame, Report, TransactionStatus};
use std::time::Duration;

const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";
const RAW: &str = "jane@example.com";

/// What the session is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amid {
    Nothing,
    Statement,
    StatementOfABatch,
    Transaction,
    Cursor,
    HeldCursor,
    Portal,
    Copy,
    Prepared,
    PreparedInSql,
    UntouchedTransaction,
}

impl Amid {
    const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Statement,
        Self::StatementOfABatch,
        Self::Transaction,
        Self::Cursor,
        Self::HeldCursor,
        Self::Portal,
        Self::Copy,
        Self::Prepared,
        Self::PreparedInSql,
        Self::UntouchedTransaction,
    ];

    /// Brings a session there, with everything answered that will be.
    async fn begin(self, stage: &Stage) -> Raw {
        let mut raw = stage.raw().await;
        let slow = "SELECT email, pg_sleep(600) FROM users";
        match self {
            Self::Nothing => ask(&mut raw, EMAIL).await,
            Self::Statement => raw.send(&query(slow)).await,
            Self::StatementOfABatch => raw.send(&[batch(slow, 0), sync().to_vec()].concat()).await,
            Self::Transaction => ask(&mut raw, "BEGIN; SELECT email FROM users").await,
            Self::Cursor => {
                ask(
                    &mut raw,
                    "BEGIN; DECLARE c CURSOR FOR SELECT email FROM users ORDER BY id; FETCH 1 FROM c",
                )
                .await;
            }
            Self::HeldCursor => {
                ask(&mut raw, "DECLARE c CURSOR WITH HOLD FOR SELECT email FROM users ORDER BY id").await;
            }
            Self::Portal => {
                ask(&mut raw, "BEGIN").await;
                raw.send(&[batch("SELECT email FROM users ORDER BY id", 1), flush().to_vec()].concat()).await;
                until(&mut raw, b's').await;
            }
            Self::Copy => {
                raw.send(&query("COPY (SELECT email, repeat('x', 1000) FROM users, generate_series(1, 10000000)) TO STDOUT")).await;
                until(&mut raw, b'd').await;
            }
            Self::Prepared => {
                let parts = [parse_statement(b"kept", EMAIL, b""), bind(b"", b"kept"), execute(b""), sync()];
                raw.send(&parts.concat()).await;
                raw.until_ready().await;
            }
            Self::PreparedInSql => {
                ask(&mut raw, "PREPARE kept AS SELECT email FROM users ORDER BY id LIMIT 1").await;
                ask(&mut raw, "EXECUTE kept").await;
            }
            Self::UntouchedTransaction => ask(&mut raw, "BEGIN; SELECT 1").await,
        }
        if matches!(self, Self::Statement | Self::StatementOfABatch) {
            let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                          AND state = 'active' AND pid <> pg_backend_pid()";
            eventually("the statement runs", async || !stage.world.strings(asleep).await.is_empty()).await;
        }
        raw
    }

    /// What the client sends next.
    fn next(self) -> Vec<u8> {
        match self {
            Self::Cursor | Self::HeldCursor => query("FETCH 1 FROM c").to_vec(),
            Self::Portal => [execute(b""), sync()].concat(),
            Self::Prepared => [bind(b"", b"kept"), execute(b""), sync()].concat(),
            Self::PreparedInSql => query("EXECUTE kept").to_vec(),
            _ => query(EMAIL).to_vec(),
        }
    }

    /// Whether an answer is outstanding.
    fn is_busy(self) -> bool {
        matches!(self, Self::Statement | Self::StatementOfABatch | Self::Copy)
    }
}

async fn ask(raw: &mut Raw, sql: &str) {
    raw.send(&query(sql)).await;
    raw.until_ready().await;
}

async fn until(raw: &mut Raw, tag: u8) {
    while raw.next().await.unwrap().tag() != tag {}
}

fn batch(sql: &str, rows: i32) -> Vec<u8> {
    // `Execute` with a limit, which the builder does not offer.
    let mut limited = b"E\0\0\0\x09\0".to_vec();
    limited.extend_from_slice(&rows.to_be_bytes());
    [parse_statement(b"", sql, b"").to_vec(), bind(b"", b"").to_vec(), limited].concat()
}

/// What an answer came to, up to `ReadyForQuery` or the end of the stream.
#[derive(Default)]
struct Answer {
    told: Vec<String>,
    rows: usize,
    raw: bool,
    masked: bool,
}

impl Answer {
    async fn of(raw: &mut Raw) -> Self {
        let mut answer = Self::default();
        loop {
            let Some(frame) = raw.next().await else {
                answer.told.push("end".to_owned());
                return answer;
            };
            if answer.take(&frame) {
                return answer;
            }
        }
    }

    fn take(&mut self, frame: &Frame) -> bool {
        let body = frame.body();
        match frame.tag() {
            b'D' | b'd' => {
                self.rows += 1;
                let text = String::from_utf8_lossy(body);
                self.raw |= text.contains(RAW);
                self.masked |= text.contains('*');
            }
            b'E' => {
                let report = Report::parse(body).unwrap();
                // The reason of an end names the account, which has the same address.
                assert!(report.is_fatal() || !report.text().contains(RAW));
                self.told.push(report.code().to_owned());
            }
            b'Z' => {
                match TransactionStatus::parse(body).unwrap() {
                    TransactionStatus::Idle => {}
                    TransactionStatus::Open => self.told.push("open".to_owned()),
                    TransactionStatus::Failed => self.told.push("failed".to_owned()),
                }
                return true;
            }
            _ => {}
        }
        false
    }

    fn words(&self) -> String {
        let seen = match (self.raw, self.masked, self.rows) {
            (true, _, _) => "raw",
            (_, true, _) => "masked",
            (_, _, 0) => "",
            _ => "rows",
        };
        let words: Vec<&str> = std::iter::once(seen)
            .chain(self.told.iter().map(String::as_str))
            .filter(|word| !word.is_empty())
            .collect();
        words.join(" ")
    }
}

/// What a session comes to: at once, with its next words, and after a ROLLBACK.
async fn outcome(amid: Amid, raw: &mut Raw) -> String {
    let mut story = Vec::new();
    if amid.is_busy() {
        let mut answer = Answer::of(raw).await;
        if amid == Amid::Copy {
            // What was on its way before the change is on its way still.
            (answer.raw, answer.masked, answer.rows) = (false, false, 0);
        }
        let ended = answer.told.iter().any(|word| word == "end");
        story.push(answer.words());
        if ended {
            return story.join("; ");
        }
    }
    for message in [amid.next(), query("ROLLBACK").to_vec(), query(EMAIL).to_vec()] {
        // A session that has ended cannot be written to.
        if tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &message).await.is_err() {
            story.push(Answer::of(raw).await.words());
            break;
        }
        let words = Answer::of(raw).await.words();
        let ended = words.ends_with("end");
        story.push(words);
        if ended {
            break;
        }
    }
    story.join("; ")
}

/// Begins every situation, changes the policy, and compares.
async fn compare(stage: Stage, change: impl AsyncFn(&Stage), expected: impl Fn(Amid) -> &'static str) {
    let mut sessions = Vec::new();
    for amid in Amid::ALL {
        sessions.push((amid, amid.begin(&stage).await));
    }
    change(&stage).await;
    let mut wrong = Vec::new();
    for (amid, mut raw) in sessions {
        let seen =
            tokio::time::timeout(SOON * 2, outcome(amid, &mut raw)).await.unwrap_or("hangs".to_owned());
        let expected = expected(amid);
        if seen != expected {
            wrong.push(format!("{amid:?}: seen `{seen}`, expected `{expected}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eventually("the sessions are over", async || stage.world.roles().await.is_empty()).await;
}

async fn new_stage(set: PolicySet) -> Stage {
    Stage::with_linger(set, Duration::from_secs(600)).await
}

/// A mask comes: what runs is cancelled, what is open fails, what is held is closed; then everything is masked.
#[tokio::test(flavor = "multi_thread")]
async fn a_mask_reaches_whatever_the_session_is_in_the_middle_of() {
    compare(
        new_stage(open()).await,
        async |stage| stage.publish(masked()),
        |amid| match amid {
            Amid::Nothing | Amid::Prepared | Amid::PreparedInSql => "masked; ; masked",
            Amid::Statement | Amid::StatementOfABatch | Amid::Copy => "57014; masked; ; masked",
            Amid::Transaction | Amid::UntouchedTransaction | Amid::Cursor | Amid::Portal => {
                "25P02 failed; ; masked"
            }
            Amid::HeldCursor => "34000; ; masked",
        },
    )
    .await;
}

/// A table is withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_reaches_whatever_the_session_is_in_the_middle_of() {
    let orders = || policies(vec![grant("public.orders", &[Verb::Select])], &[]);
    compare(new_stage(masked()).await, async |stage| stage.publish(orders()), withdrawn).await;
}

fn withdrawn(amid: Amid) -> &'static str {
    match amid {
        Amid::Nothing | Amid::Prepared | Amid::PreparedInSql => "42501; ; 42501",
        Amid::Statement | Amid::StatementOfABatch | Amid::Copy => "57014; 42501; ; 42501",
        // The statement is refused for what it is; its transaction has failed all the same.
        Amid::Transaction | Amid::UntouchedTransaction => "42501 failed; ; 42501",
        Amid::Cursor | Amid::Portal => "25P02 failed; ; 42501",
        Amid::HeldCursor => "34000; ; 42501",
    }
}

/// The scope no longer has the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_scope_reaches_whatever_the_session_is_in_the_middle_of() {
    let scope = || Scope::Patterns(vec![RelationPattern::parse("public.orders").unwrap()]);
    compare(new_stage(masked()).await, async |stage| stage.set_scope(scope()), withdrawn).await;
}

/// A group is left, and its policy with it.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_group_reaches_whatever_the_session_is_in_the_middle_of() {
    let mut set = policies(vec![grant("public.orders", &[Verb::Select])], &[]);
    let mut of_group = masked().policies.remove(0);
    of_group.name = "support".to_owned();
    of_group.subjects.everyone = false;
    of_group.subjects.groups.insert("support".to_owned());
    set.policies.push(of_group);
    let stage = new_stage(set).await;
    stage.set_groups(&["support"]);
    compare(stage, async |stage| stage.set_groups(&[]), withdrawn).await;
}

/// Approved access ends: its time is over, or it was revoked.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_request_reaches_whatever_the_session_is_in_the_middle_of() {
    let stage = new_stage(askable()).await;
    stage.set_access(&[incident()]);
    compare(stage, async |stage| stage.set_access(&[]), withdrawn).await;
}

/// Approved access begins: nobody is interrupted, whatever they are in the middle of, and it counts afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_a_request_waits_for_whatever_the_session_is_in_the_middle_of() {
    let stage = new_stage(askable()).await;
    stage.set_access(&[incident()]);
    let mut sessions = Vec::new();
    for amid in Amid::ALL.into_iter().filter(|amid| !amid.is_busy()) {
        sessions.push((amid, amid.begin(&stage).await));
    }
    stage.set_access(&[incident(), ad_hoc("r2", vec![asked("hr", "staff", &["select"])])]);
    let mut wrong = Vec::new();
    for (amid, mut raw) in sessions {
        let seen = outcome(amid, &mut raw).await;
        let expected = match amid {
            Amid::Transaction | Amid::Cursor | Amid::UntouchedTransaction | Amid::Portal => {
                "masked open; ; masked"
            }
            _ => "masked; ; masked",
        };
        raw.send(&query("SELECT id FROM hr.staff")).await;
        let staff = raw.summary().await;
        if seen != expected || staff != "T C ZI" {
            wrong.push(format!("{amid:?}: seen `{seen}`, expected `{expected}`; then `{staff}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The account is disabled.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_ends_whatever_the_session_is_in_the_middle_of() {
    compare(new_stage(masked()).await, async |stage| stage.disable_jane(), |_| "57P01 end").await;
}

/// A mask goes: nobody is interrupted, and what begins afterwards sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_wider_policy_waits_for_whatever_the_session_is_in_the_middle_of() {
    let stage = new_stage(masked()).await;
    let mut sessions = Vec::new();
    for amid in Amid::ALL.into_iter().filter(|amid| !amid.is_busy()) {
        sessions.push((amid, amid.begin(&stage).await));
    }
    stage.publish(open());
    let mut wrong = Vec::new();
    for (amid, mut raw) in sessions {
        let seen = outcome(amid, &mut raw).await;
        let expected = match amid {
            Amid::Nothing | Amid::Prepared | Amid::PreparedInSql => "raw; ; raw",
            Amid::Transaction | Amid::Cursor | Amid::UntouchedTransaction | Amid::Portal => {
                "masked open; ; raw"
            }
            // It holds what it was given when it was made.
            _ => "masked; ; raw",
        };
        if seen != expected {
            wrong.push(format!("{amid:?}: seen `{seen}`, expected `{expected}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
