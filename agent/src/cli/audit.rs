//! `daam-agent audit verify` and `audit show`: the files themselves, no running agent needed, nothing written.

use super::{FINDINGS, Failure};
use crate::audit::read::{self, Lines};
use crate::audit::read_head;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::output;
use clap::{Args, Subcommand};
use daam_audit::{Decision, Event, Hash, Record, Statement};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no record was changed, removed, added or put elsewhere.
    ///
    /// Prints the last record as SEQ:HASH. Records cut off at the end show only to somebody who remembers a later one:
    /// the control plane's last confirmation is used where it is at hand, and --remember takes one from elsewhere.
    ///
    /// Exit status: 0 everything is whole, 1 the files could not be read, 2 something is wrong.
    #[command(after_help = VERIFY)]
    Verify(VerifyArgs),
    /// Print records, oldest first.
    #[command(after_help = SHOW)]
    Show(ShowArgs),
}

const VERIFY: &str = "\
Examples:
  daam-agent audit verify --config /etc/daam-agent/config.yaml
  daam-agent audit verify /backup/audit-*.jsonl";

const SHOW: &str = "\
Examples:
  daam-agent audit show --config /etc/daam-agent/config.yaml --refused
  daam-agent audit show --config /etc/daam-agent/config.yaml --user sam@acme.test --since 2026-05-01 --json";

#[derive(Debug, Args)]
struct Files {
    /// The agent's configuration file, to find the audit by.
    #[arg(long, env = "DAAM_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Audit files, or directories of them, in any order; instead of the configured ones.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    #[command(flatten)]
    files: Files,
    /// A record that must be there, as an earlier `verify` printed it.
    #[arg(long, value_name = "SEQ:HASH", value_parser = remembered)]
    remember: Option<(u64, Hash)>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    files: Files,
    /// Only this person's, by e-mail or id.
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// Only of this session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only records of this kind, e.g. `session_opened`.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only sessions and statements that were refused.
    #[arg(long)]
    refused: bool,
    /// Not before this time, UTC: `2026-05-01` or `2026-05-01T12:30`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most this many, the latest.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The records as they are in the files.
    #[arg(long)]
    json: bool,
}

fn remembered(text: &str) -> Result<(u64, Hash), String> {
    read::head(text).ok_or_else(|| "expected SEQ:HASH, as `audit verify` prints it".to_owned())
}

pub(super) fn run(args: AuditArgs) -> Result<u8, Failure> {
    match args.command {
        Command::Verify(args) => verify(&args),
        Command::Show(args) => show(&args),
    }
}

/// A set of files and the directory it was asked for by, if it was one.
struct Chosen {
    paths: Vec<PathBuf>,
    dir: Option<PathBuf>,
}

impl Files {
    fn chosen(&self) -> Result<Chosen, Failure> {
        let mut dir = None;
        let mut paths = Vec::new();
        let given = if self.files.is_empty() { vec![self.configured()?] } else { self.files.clone() };
        for path in given {
            if path.is_dir() {
                paths.extend(read::files(&path)?);
                dir = Some(path);
            } else {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err("there are no audit files here".into());
        }
        Ok(Chosen { paths: read::in_order(paths)?, dir })
    }

    fn configured(&self) -> Result<PathBuf, Failure> {
        let path = self.config.as_deref();
        if path.is_none() && Environment::of_process()?.is_empty() {
            return Err("give --config, or the files to look at".into());
        }
        let config = Config::load(path)?;
        let state = config.agent.map(|agent| agent.state_dir.join("audit"));
        config
            .audit
            .path
            .or(state)
            .ok_or_else(|| "the configuration has neither `audit.path` nor `agent.state_dir`".into())
    }
}

fn verify(args: &VerifyArgs) -> Result<u8, Failure> {
    let chosen = args.files.chosen()?;
    let confirmed = match &chosen.dir {
        Some(dir) => read_head(dir)?,
        None => None,
    };
    let remembered = args.remember.or(confirmed);
    let set = read::verify(&chosen.paths, remembered, |_| ())?;
    let mut text = String::new();
    if let Some(finding) = &set.finding {
        let place = if finding.line == 0 { String::new() } else { format!(":{}", finding.line) };
        let _ = writeln!(text, "{}{place}: {}", finding.file.display(), finding.what);
        let _ = writeln!(text, "{} records before it are whole", set.records);
        output::print(&text);
        return Ok(FINDINGS);
    }
    let count = chosen.paths.len();
    let _ = writeln!(text, "{} records in {count} files are whole", set.records);
    if set.verifier.first() > 1 {
        let _ = writeln!(text, "records before {} are not in these files", set.verifier.first());
    }
    if let Some(end) = set.verifier.end() {
        let _ = writeln!(text, "{}:{}", end.last(), end.head());
    }
    output::print(&text);
    Ok(0)
}

fn show(args: &ShowArgs) -> Result<u8, Failure> {
    let chosen = args.files.chosen()?;
    let mut kept: VecDeque<String> = VecDeque::new();
    // A record is shown as it was written: its hash is over these bytes.
    let print: fn(&str) = if args.json { output::print_exactly } else { output::print };
    for path in &chosen.paths {
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next_line()? {
            let record = match Record::parse_public(&line.text) {
                Ok(record) => record,
                Err(error) => {
                    output::complain(&format!("{}: {error}; see `audit verify`", path.display()));
                    continue;
                }
            };
            if !args.wants(&record) {
                continue;
            }
            let text = if args.json { line.text + "\n" } else { readable(&record) };
            match args.last {
                None => print(&text),
                Some(most) => {
                    kept.push_back(text);
                    if kept.len() > most {
                        kept.pop_front();
                    }
                }
            }
        }
    }
    for text in &kept {
        print(text);
    }
    Ok(0)
}

impl ShowArgs {
    fn wants(&self, record: &Record) -> bool {
        let event = record.event();
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted.as_str()))
        };
        let who = event.who();
        let person = self.user.as_ref().is_none_or(|wanted| {
            who.is_some_and(|who| who.email.eq_ignore_ascii_case(wanted) || who.id == *wanted)
        });
        person
            && is(&self.session, event.session())
            && is(&self.kind, Some(event.kind()))
            && (!self.refused || event.is_refusal())
            && self.since.as_ref().is_none_or(|since| record.at() >= since.as_str())
            && self.until.as_ref().is_none_or(|until| record.at() < until.as_str())
    }
}

/// One line for people; what clients wrote cannot move the terminal's cursor.
fn readable(record: &Record) -> String {
    let event = record.event();
    let mut text = format!("{} #{} {}", record.at(), record.seq(), event.kind());
    if let Some(who) = event.who() {
        let _ = write!(text, " {}", who.email);
    }
    if let Some(session) = event.session() {
        let _ = write!(text, " {session}");
    }
    match event {
        Event::Statement(statement) => outcome(&mut text, statement),
        Event::SessionRefused { sqlstate, .. } => drop(write!(text, " {sqlstate}")),
        Event::SessionEnded { statements, .. } => drop(write!(text, " {statements} statements")),
        Event::Lost { records } => drop(write!(text, " {records} records")),
        _ => {}
    }
    let detail = record.detail();
    for said in [
        detail.and_then(|detail| detail.reason()),
        detail.and_then(|detail| detail.raw().or(detail.text())),
        detail.and_then(|detail| detail.application()),
    ]
    .into_iter()
    .flatten()
    {
        text.push_str(" | ");
        text.push_str(said);
    }
    let mut line: String = text.chars().map(|c| if c.is_control() { '�' } else { c }).collect();
    line.push('\n');
    line
}

fn outcome(text: &mut String, statement: &Statement) {
    let sqlstate = statement.sqlstate.as_deref().unwrap_or_default();
    let _ = match (statement.decision, statement.outcome) {
        (Decision::Refused, _) | (Decision::Allowed, None) => write!(text, " refused {sqlstate}"),
        (Decision::Allowed, Some(outcome)) => {
            let outcome = format!("{outcome:?}").to_lowercase();
            let (rows, ms) = (statement.rows, statement.micros / 1000);
            write!(
                text,
                " {outcome} {sqlstate}{}{rows} rows {ms} ms",
                if sqlstate.is_empty() { "" } else { " " }
            )
        }
    };
    if !statement.masked.is_empty() {
        let _ = write!(text, " masked {}", statement.masked.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_stays_on_its_line() {
        let event = Event::Lost { records: 1 };
        let detail = daam_audit::Detail::salted([0; 16]).with_reason(Some("a\u{1b}[2J\nb"));
        let record = daam_audit::Chain::new().append("T".to_owned(), event, Some(detail));
        assert_eq!(readable(&record), "T #1 lost 1 records | a�[2J�b\n");
    }
}
