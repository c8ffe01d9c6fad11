//! What a session has to report to the audit: pure, bounded, in the order things ended.
//!
//! A refusal is reported when it is decided, so that nothing that happens to its batch afterwards can make it
//! disappear. An allowed statement is reported when its last answer came. When reports pile up because the audit does
//! not take them, the session reads no further messages of its client.

use super::checked::Checked;
use crate::audit::{Happened, Level, Said};
use daam_audit::{Change, Decision, Detail, Event, Outcome, Statement, Via, Who, shorten};
use daam_pgwire::{Report, sqlstate};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Reports that may wait before the client is not read any more.
const MOST_PENDING: usize = 64;

/// Names a statement in flight.
pub(super) type Ticket = u64;

/// Whose reports they are and what is wanted.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub(super) session: String,
    pub(super) who: Who,
    pub(super) bundle: u64,
    pub(super) level: Level,
    pub(super) literals: bool,
    pub(super) requests: Vec<String>,
}

/// The session's reports.
#[derive(Debug, Default)]
pub(super) struct Trail {
    reporter: Option<Reporter>,
    running: BTreeMap<Ticket, Running>,
    next: Ticket,
    pending: VecDeque<Happened>,
}

/// A statement whose last answer has not come.
#[derive(Debug)]
struct Running {
    via: Via,
    text: Option<Arc<Checked>>,
    since: Instant,
    /// Rows after which it pauses.
    limit: u64,
    outcome: Outcome,
    sqlstate: Option<String>,
    commands: u32,
    command: Option<String>,
    rows: u64,
    bytes: u64,
}

impl Trail {
    pub(super) fn of(reporter: Reporter) -> Self {
        Self { reporter: Some(reporter), ..Self::default() }
    }

    /// Reports that the audit has not taken yet.
    pub(super) fn pending(&mut self) -> &mut VecDeque<Happened> {
        &mut self.pending
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether nothing more should happen before the audit takes something.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MOST_PENDING
    }

    /// Another bundle is in force.
    pub(super) fn set_bundle(&mut self, bundle: u64) {
        if let Some(reporter) = &mut self.reporter {
            reporter.bundle = bundle;
        }
    }

    /// Other approved access is in force.
    pub(super) fn set_requests(&mut self, requests: Vec<String>) {
        if let Some(reporter) = &mut self.reporter {
            reporter.requests = requests;
        }
    }

    /// The session moved to another policy.
    pub(super) fn changed(&mut self, change: Change) {
        let Some(Reporter { session, who, bundle, requests, .. }) = self.reporter.clone() else { return };
        let event = Event::SessionChanged { session, who, bundle, change, requests };
        self.pending.push_back(Happened::plain(event));
    }

    /// A statement goes to the database; `limit` is the number of rows after which it pauses, 0 for none.
    pub(super) fn began(
        &mut self,
        via: Via,
        text: Option<Arc<Checked>>,
        limit: i32,
        now: Instant,
    ) -> Option<Ticket> {
        self.reporter.as_ref().filter(|reporter| reporter.level == Level::All)?;
        self.next = self.next.wrapping_add(1);
        let running = Running {
            via,
            text,
            since: now,
            limit: u64::try_from(limit).unwrap_or(0),
            outcome: Outcome::Completed,
            sqlstate: None,
            commands: 0,
            command: None,
            rows: 0,
            bytes: 0,
        };
        self.running.insert(self.next, running);
        Some(self.next)
    }

    /// Rows or COPY data of it went to the client.
    pub(super) fn sent(&mut self, ticket: Option<Ticket>, bytes: usize) {
        if let Some(running) = self.of_ticket(ticket) {
            running.bytes = running.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// A command of it is complete.
    pub(super) fn command(&mut self, ticket: Option<Ticket>, tag: &[u8]) {
        let Some(running) = self.of_ticket(ticket) else { return };
        let (command, rows) = read_tag(tag);
        running.commands = running.commands.saturating_add(1);
        running.rows = running.rows.saturating_add(rows);
        running.command = Some(command);
    }

    /// It pauses after the rows that were asked for.
    pub(super) fn suspended(&mut self, ticket: Option<Ticket>) {
        if let Some(running) = self.of_ticket(ticket) {
            running.outcome = Outcome::Suspended;
            running.rows = running.rows.saturating_add(running.limit);
        }
    }

    /// It failed.
    pub(super) fn failed(&mut self, ticket: Option<Ticket>, code: &str) {
        if let Some(running) = self.of_ticket(ticket) {
            running.outcome = Outcome::Failed;
            running.sqlstate = Some(code.to_owned());
        }
    }

    /// Its last answer came.
    pub(super) fn finished(&mut self, ticket: Option<Ticket>, now: Instant) {
        let Some(running) = ticket.and_then(|ticket| self.running.remove(&ticket)) else { return };
        self.report(running, now);
    }

    /// The server ignored it: something before it failed.
    pub(super) fn skipped(&mut self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.running.remove(&ticket);
        }
    }

    /// The database did not take a statement while it was prepared.
    pub(super) fn not_prepared(&mut self, text: &Arc<Checked>, code: &str, now: Instant) {
        let ticket = self.began(Via::Parse, Some(Arc::clone(text)), 0, now);
        self.failed(ticket, code);
        self.finished(ticket, now);
    }

    /// The agent refused a statement.
    pub(super) fn refused(&mut self, via: Via, sql: &[u8], report: &Report) {
        let Some(reporter) = self.reporter.as_ref().filter(|reporter| reporter.level >= Level::Refused)
        else {
            return;
        };
        let said = Said {
            text: (!sql.is_empty()).then(|| normal(sql)),
            raw: raw(reporter, sql),
            reason: Some(reason(report)),
            application: None,
        };
        let mut statement = reporter.statement(via, Decision::Refused);
        statement.sqlstate = Some(report.code().to_owned());
        self.pending.push_back(Happened { event: Event::Statement(statement), said });
    }

    /// The session is over; what runs is left as it is.
    pub(super) fn ended(&mut self, now: Instant) {
        for (_, mut running) in std::mem::take(&mut self.running) {
            if running.outcome == Outcome::Completed {
                running.outcome = Outcome::Unfinished;
            }
            self.report(running, now);
        }
    }

    fn of_ticket(&mut self, ticket: Option<Ticket>) -> Option<&mut Running> {
        self.running.get_mut(&ticket?)
    }

    fn report(&mut self, running: Running, now: Instant) {
        let Some(reporter) = &self.reporter else { return };
        let text = running.text.as_deref();
        let said = Said {
            text: text.map(|text| text.normal(normal)),
            raw: text.and_then(|text| raw(reporter, text.original.as_bytes())),
            ..Said::default()
        };
        let statement = Statement {
            outcome: Some(running.outcome),
            sqlstate: running.sqlstate,
            commands: running.commands,
            command: running.command,
            rows: running.rows,
            bytes: running.bytes,
            micros: micros(now.saturating_duration_since(running.since)),
            masked: text.map(|text| text.masked.clone()).unwrap_or_default(),
            ..reporter.statement(running.via, Decision::Allowed)
        };
        self.pending.push_back(Happened { event: Event::Statement(statement), said });
    }
}

impl Reporter {
    fn statement(&self, via: Via, decision: Decision) -> Statement {
        Statement {
            session: self.session.clone(),
            who: self.who.clone(),
            bundle: self.bundle,
            via,
            decision,
            outcome: None,
            sqlstate: None,
            commands: 0,
            command: None,
            rows: 0,
            bytes: 0,
            micros: 0,
            masked: Vec::new(),
            requests: self.requests.clone(),
        }
    }
}

/// The text without literals, cut; where it cannot be split into tokens, only its length.
fn normal(sql: &[u8]) -> String {
    let text = std::str::from_utf8(sql).ok().and_then(daam_sql::normal::normal);
    match text {
        Some(text) => shorten(&text, Detail::LONGEST_TEXT),
        None => format!("… [{} bytes]", sql.len()),
    }
}

fn raw(reporter: &Reporter, sql: &[u8]) -> Option<String> {
    (reporter.literals && !sql.is_empty())
        .then(|| shorten(&String::from_utf8_lossy(sql), Detail::LONGEST_TEXT))
}

/// Why, without the piece of text a syntax error quotes: it may be a literal.
fn reason(report: &Report) -> String {
    let text = report.text();
    if report.code() != sqlstate::SYNTAX_ERROR {
        return text;
    }
    text.split_once('"').map_or(text.clone(), |(before, _)| format!("{before}…"))
}

/// `INSERT 0 3` is the command `INSERT` and three rows.
fn read_tag(tag: &[u8]) -> (String, u64) {
    let tag = String::from_utf8_lossy(tag);
    let word = |word: &&str| !word.bytes().all(|byte| byte.is_ascii_digit());
    let command: Vec<&str> = tag.split(' ').take_while(word).collect();
    let rows = tag.rsplit(' ').next().and_then(|last| last.parse().ok()).unwrap_or(0);
    (shorten(&command.join(" "), Detail::LONGEST_NAME), rows)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporting(level: Level) -> Trail {
        let who = Who { id: "u".into(), email: "e".into(), device: "d".into() };
        let requests = vec!["r1".into()];
        Trail::of(Reporter { session: "s".into(), who, bundle: 3, level, literals: false, requests })
    }

    fn statement(trail: &mut Trail) -> (Statement, Said) {
        let happened = trail.pending().pop_front().unwrap();
        let Event::Statement(statement) = happened.event else { panic!("{happened:?}") };
        (statement, happened.said)
    }

    #[test]
    fn a_statement_is_reported_once_with_what_all_its_answers_say() {
        let (mut trail, start) = (reporting(Level::All), Instant::now());
        let ticket = trail.began(Via::Query, None, 0, start);
        trail.sent(ticket, 100);
        trail.command(ticket, b"SELECT 2");
        trail.command(ticket, b"INSERT 0 3");
        trail.failed(ticket, "22012");
        assert!(!trail.has_pending());
        trail.finished(ticket, start + Duration::from_millis(2));
        let (told, _) = statement(&mut trail);
        assert_eq!((told.commands, told.rows, told.bytes, told.micros), (2, 5, 100, 2000));
        assert_eq!((told.outcome, told.sqlstate.as_deref()), (Some(Outcome::Failed), Some("22012")));
        assert_eq!(told.command.as_deref(), Some("INSERT"));
        trail.finished(ticket, start);
        assert!(!trail.has_pending());
    }

    #[test]
    fn what_the_server_skipped_is_not_reported_and_what_the_end_cut_off_is() {
        let (mut trail, start) = (reporting(Level::All), Instant::now());
        let (one, two) =
            (trail.began(Via::Execute, None, 5, start), trail.began(Via::Execute, None, 5, start));
        trail.skipped(two);
        trail.suspended(one);
        trail.finished(one, start);
        let (told, _) = statement(&mut trail);
        assert_eq!((told.outcome, told.rows), (Some(Outcome::Suspended), 5));
        trail.began(Via::Execute, None, 0, start);
        trail.ended(start);
        assert_eq!(statement(&mut trail).0.outcome, Some(Outcome::Unfinished));
        assert!(!trail.has_pending());
    }

    #[test]
    fn a_refusal_is_reported_without_literals_and_whatever_the_level_but_none() {
        let report = Report::error(sqlstate::SYNTAX_ERROR, "syntax error at or near \"'secret'\"");
        let mut trail = reporting(Level::Refused);
        assert_eq!(trail.began(Via::Query, None, 0, Instant::now()), None);
        trail.refused(Via::Query, b"selec 'secret'", &report);
        trail.refused(Via::Parse, b"select 'open", &report);
        trail.refused(Via::Parse, b"select '\xff'", &report);
        let (told, said) = statement(&mut trail);
        assert_eq!((told.decision, told.sqlstate.as_deref()), (Decision::Refused, Some("42601")));
        assert_eq!(said.text.as_deref(), Some("selec $1"));
        assert_eq!(said.reason.as_deref(), Some("syntax error at or near …"));
        assert_eq!(statement(&mut trail).1.text.as_deref(), Some("… [12 bytes]"));
        assert_eq!(statement(&mut trail).1.text.as_deref(), Some("… [10 bytes]"));
        let mut silent = reporting(Level::None);
        silent.refused(Via::Query, b"select 1", &report);
        assert!(!silent.has_pending());
    }

    #[test]
    fn a_command_tag_says_command_and_rows() {
        for (tag, command, rows) in [
            ("SELECT 5", "SELECT", 5),
            ("INSERT 0 3", "INSERT", 3),
            ("CREATE TABLE", "CREATE TABLE", 0),
            ("COPY 7", "COPY", 7),
            ("", "", 0),
        ] {
            assert_eq!(read_tag(tag.as_bytes()), (command.to_owned(), rows), "{tag}");
        }
    }
}
