//! The published attempts to read what a policy hides, and the judge of their outcomes.

use crate::wire::{Answer, Connection, WireError};
use crate::{Fabric, Person};
use anyhow::Context as _;
use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One attempt.
#[derive(Debug, Clone, Deserialize)]
pub struct Attempt {
    /// Stable id.
    pub id: String,
    /// The family of attack.
    pub group: String,
    /// Statements before it, in the same session.
    #[serde(default)]
    pub setup: Vec<String>,
    /// The statement that would bring the secret out.
    pub sql: String,
    /// Matches a text only if something leaked.
    pub leak_if: String,
    /// What a good answer looks like: `masked`, `filtered`, `deny`, `any_without_leak`.
    pub expect: String,
    /// `data`, `oracle`, `escape`, ….
    pub sev: String,
    /// `extended` or `fcall_lo`; absent = simple query.
    pub proto: Option<String>,
    /// Bind parameters.
    #[serde(default)]
    pub params: Vec<serde_json::Value>,
    /// Extra start-up parameters.
    #[serde(default)]
    pub startup: BTreeMap<String, String>,
    /// The statement's bytes where they are not UTF-8.
    pub sql_hex: Option<String>,
    /// First server major version that knows the statement.
    pub min_pg: Option<serde_json::Value>,
    /// Needs a policy change in between; run elsewhere.
    #[serde(default)]
    pub agent_only: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Something protected came back: the text that gave it away.
    Leak(String),
    /// An answer without anything protected.
    Clean,
    /// Refused with this SQLSTATE.
    Refused(String),
}

/// Where the corpus lives.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// All attempts.
pub fn attempts() -> anyhow::Result<Vec<Attempt>> {
    let text = std::fs::read_to_string(folder().join("bypass.jsonl"))?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Runs one attempt in a session of its own, against the fixture's own data, which it leaves as it found them.
pub fn run(fabric: &Fabric, person: &Person, attempt: &Attempt) -> anyhow::Result<Outcome> {
    let startup: Vec<(String, String)> = attempt.startup.clone().into_iter().collect();
    let session = match person.connect_with(&startup) {
        Ok(session) => session,
        Err(WireError::Refused(fields)) => {
            return judge(attempt, &[Answer { errors: vec![fields], ..Answer::default() }]);
        }
        Err(error) => return Err(error.into()),
    };
    let outcome = judge(attempt, &play(fabric, session, attempt)?);
    if writes(attempt)? {
        reset(fabric)?;
    }
    outcome
}

/// Whether an attempt may change the fixture, or needs it as it was before such an attempt.
fn writes(attempt: &Attempt) -> anyhow::Result<bool> {
    let word = Regex::new(
        r"(?i)\b(insert|update|delete|merge|truncate|copy|do|call|lo_\w+|set_?val|alter|drop|grant)\b",
    )?;
    Ok(attempt.setup.iter().chain([&attempt.sql]).any(|sql| word.is_match(sql)))
}

fn play(fabric: &Fabric, mut session: Connection, attempt: &Attempt) -> anyhow::Result<Vec<Answer>> {
    let names = Names::of(fabric, &mut session, attempt)?;
    let fill = |sql: &str| names.fill(sql);
    let mut answers = Vec::new();
    for sql in &attempt.setup {
        answers.push(session.query(&fill(sql)));
    }
    answers.push(match (attempt.proto.as_deref(), &attempt.sql_hex) {
        (_, Some(hex)) => session.query_bytes(&unhex(hex)),
        (Some("extended"), None) => {
            let texts: Vec<Option<String>> = attempt.params.iter().map(text).collect();
            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            session.extended(&fill(&attempt.sql), &texts, false)
        }
        // lo_get(oid) is function 3458; one text argument.
        (Some("fcall_lo"), None) => {
            let body = [&3458_i32.to_be_bytes()[..], &[0, 0, 0, 1], &6_i32.to_be_bytes(), b"424242", &[0, 0]]
                .concat();
            session.exchange(b'F', &body)
        }
        _ => session.query(&fill(&attempt.sql)),
    });
    Ok(answers)
}

/// What the placeholders of the corpus stand for in this session.
struct Names {
    session_role: String,
    view_owner: String,
}

impl Names {
    fn of(fabric: &Fabric, session: &mut Connection, attempt: &Attempt) -> anyhow::Result<Self> {
        let used = |name: &str| attempt.setup.iter().chain([&attempt.sql]).any(|sql| sql.contains(name));
        let mut names = Self { session_role: "nobody".to_owned(), view_owner: "nobody".to_owned() };
        if used("{session_role}") {
            names.session_role = session.query("select current_user").table();
        }
        if used("{view_owner}") {
            let owner =
                fabric.upstream("select rolname from pg_roles where rolname like 'daam\\_v\\_%' limit 1")?;
            names.view_owner = if owner.is_empty() { "daam_v_none".to_owned() } else { owner };
        }
        Ok(names)
    }

    fn fill(&self, sql: &str) -> String {
        sql.replace("{db}", "corpus")
            .replace("{owner}", "mr_owner")
            .replace("{session_role}", &self.session_role)
            .replace("{session_schema}", "pg_temp")
            .replace("{view_owner}", &self.view_owner)
    }
}

fn text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn judge(attempt: &Attempt, answers: &[Answer]) -> anyhow::Result<Outcome> {
    let leak = Regex::new(&attempt.leak_if).with_context(|| attempt.id.clone())?;
    for found in answers.iter().flat_map(Answer::texts) {
        if leak.is_match(found) {
            return Ok(Outcome::Leak(found.to_owned()));
        }
    }
    let last = answers.last().and_then(Answer::sqlstate);
    Ok(last.map_or(Outcome::Clean, |code| Outcome::Refused(code.to_owned())))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |value, digit| value * 16 + digit)).collect()
}

/// Puts the rows back. The agent may be taking grants on the same tables away just then, which PostgreSQL does not let two
/// do at once.
fn reset(fabric: &Fabric) -> anyhow::Result<()> {
    crate::wait_for(Duration::from_secs(30), || match fabric.upstream("select public.zz_reset()") {
        Ok(_) => Ok(Some(())),
        Err(error) if error.to_string().contains("tuple concurrently updated") => Ok(None),
        Err(error) => Err(error),
    })
}
