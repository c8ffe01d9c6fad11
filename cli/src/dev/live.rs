//! Tests on a real server: each case as the person it names, through the agent.
//!
//! A case that names SQL has to return its rows. Every other expectation is asked as well: an `allow` must not be
//! refused, a `deny` must be, a filter must leave the rows it says, a masked column must not show what is stored. All
//! of it is rolled back. Cases that assume an active request are left out, as nobody here approves one.

use super::fabric;
use super::person::Person;
use super::state::{Facts, StateDir};
use crate::error::{CliError, Doing as _};
use crate::link::Link;
use daam_compiler::CompiledDatabase;
use daam_compiler::scenario::{Probe, Scenario, Wanted, probes};
use daam_diagnostic::Location;
use daam_model::{AttributeValue, Subject};
use daam_tunnel::PathPreference;
use std::collections::BTreeSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// Who asks where a case names only groups.
const SOMEBODY: &str = "somebody@sandbox.test";

/// Rows as text; absent is NULL.
type Rows = Vec<Vec<Option<String>>>;

/// What came of a case.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many questions were asked.
    pub asked: usize,
    /// What did not hold, and where it was expected.
    pub failures: Vec<(Location, String)>,
}

/// The sandbox cases are run in.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Its directory.
    pub state: &'a StateDir,
    /// What it knows of itself.
    pub facts: &'a Facts,
    /// How somebody who may see everything connects; without one values are not compared.
    pub outside: Option<&'a str>,
}

impl Stage<'_> {
    /// The project as the agent enforces it.
    pub async fn compiled(&self) -> Result<CompiledDatabase, CliError> {
        let admin = super::plane::admin(self.state, self.facts)?;
        fabric::compile(self.state, self.facts, &admin).await
    }

    /// Runs a case; with `expectations` also what it expects of no rows.
    pub async fn replay(
        &self,
        database: &CompiledDatabase,
        case: &Scenario,
        expectations: bool,
    ) -> Result<Replayed, CliError> {
        let mut replayed = Replayed::default();
        if !case.requests().is_empty() {
            return Ok(replayed);
        }
        let asked = if expectations { probes(database, case) } else { Vec::new() };
        if asked.is_empty() && case.live.is_none() {
            return Ok(replayed);
        }
        let person = person(case.subject());
        let link = person.link(self.state, self.facts, PathPreference::Auto).await?;
        let session = Session::open(&link, person.email(), self.facts).await;
        match session {
            Ok(session) => {
                self.sql(&session, case, &mut replayed).await;
                self.probes(&session, &asked, &mut replayed).await?;
                session.close().await;
            }
            // Who holds nothing at all may not even connect: every refusal that was expected is one.
            Err(error) => {
                let expected = |probe: &Probe| probe.wanted == Wanted::Refused;
                replayed.asked = asked.len() + usize::from(case.live.is_some());
                let unmet = asked.iter().filter(|probe| !expected(probe)).map(|probe| probe.at);
                let live = case.live.as_ref().map(|_| case.at);
                replayed.failures.extend(unmet.chain(live).map(|at| (at, error.clone())));
            }
        }
        link.close().await;
        Ok(replayed)
    }

    async fn sql(&self, session: &Session, case: &Scenario, replayed: &mut Replayed) {
        let Some(live) = &case.live else { return };
        replayed.asked += 1;
        match session.rows(&live.sql).await {
            Ok(rows) if rows == live.returns => {}
            Ok(rows) => {
                let message = format!("expected {}, returned {}", shown(&live.returns), shown(&rows));
                replayed.failures.push((case.at, message));
            }
            Err(refused) => replayed.failures.push((case.at, refused.to_string())),
        }
    }

    async fn probes(
        &self,
        session: &Session,
        asked: &[Probe],
        replayed: &mut Replayed,
    ) -> Result<(), CliError> {
        let outside = match self.outside.filter(|_| !asked.is_empty()) {
            None => None,
            Some(dsn) => Some(outside(dsn).await?),
        };
        for probe in asked {
            replayed.asked += 1;
            let answer = session.rolled_back(&probe.sql).await;
            let all = match (&outside, &probe.wanted) {
                (Some(outside), Wanted::Same(sql) | Wanted::Apart(sql)) => {
                    Some(rows(outside, sql).await.map_err(|error| told(&error))?)
                }
                _ => None,
            };
            if let Some(found) = judged(probe, &answer, all.as_ref()) {
                let message = format!("PostgreSQL disagrees: {}, but {found}", probe.what);
                replayed.failures.push((probe.at, message));
            }
        }
        Ok(())
    }
}

/// What is so instead; nothing where the expectation holds.
fn judged(probe: &Probe, answer: &Result<Rows, Denial>, all: Option<&Rows>) -> Option<String> {
    let rows = match (answer, &probe.wanted) {
        (Err(denial), Wanted::Refused) if denial.is_refusal() => return None,
        // Something else is in the way, such as a foreign key; the privilege is there.
        (Err(denial), Wanted::Allowed) if !denial.is_refusal() => return None,
        (Err(denial), _) => return Some(format!("the server said: {denial}")),
        (Ok(_), Wanted::Refused) => return Some("it is allowed".to_owned()),
        (Ok(rows), _) => rows,
    };
    let values = || rows.iter().flatten().flatten();
    match (&probe.wanted, all) {
        (Wanted::Hidden, _) => {
            let leak = values().find(|value| *value != "***");
            leak.map(|_| "a value is shown".to_owned())
        }
        (Wanted::Same(_), Some(all)) if rows != all => Some(format!(
            "{} of what is stored is given, and it is not the same",
            if rows.len() == all.len() { "as much" } else { "not all" }
        )),
        (Wanted::Apart(_), Some(all)) => {
            let stored: BTreeSet<&String> = all.iter().flatten().flatten().collect();
            let leak = values().find(|value| *value != "***" && stored.contains(value));
            leak.map(|_| "a value is shown as it is stored".to_owned())
        }
        _ => None,
    }
}

/// A session of a person.
struct Session {
    client: Client,
    served: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
}

/// Why a statement gave nothing.
#[derive(Debug)]
struct Denial {
    code: String,
    message: String,
}

impl Denial {
    fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self { code: said.code().code().to_owned(), message: said.message().to_owned() },
            None => Self { code: String::new(), message: format!("the session failed: {error}") },
        }
    }

    /// Not allowed, or not even visible.
    fn is_refusal(&self) -> bool {
        ["42501", "42P01", "42703", "3F000"].contains(&self.code.as_str())
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.code.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} ({})", self.message, self.code)
        }
    }
}

impl Session {
    async fn open(link: &Link, email: &str, facts: &Facts) -> Result<Self, String> {
        let tunnel = link.tunnel().await.map_err(|error| error.sentence())?;
        let stream = tunnel.open_stream().await.map_err(|error| error.to_string())?;
        let mut config = Config::new();
        config.user(email).dbname(&facts.database).ssl_mode(SslMode::Disable);
        let (client, connection) =
            config.connect_raw(stream, NoTls).await.map_err(|error| Denial::of(&error).to_string())?;
        Ok(Self { client, served: tokio::spawn(connection) })
    }

    async fn close(self) {
        drop(self.client);
        // Only how it ended; what it answered was looked at.
        drop(self.served.await);
    }

    async fn rows(&self, sql: &str) -> Result<Rows, Denial> {
        rows(&self.client, sql).await.map_err(|error| Denial::of(&error))
    }

    async fn rolled_back(&self, sql: &str) -> Result<Rows, Denial> {
        self.rows("begin").await?;
        let answer = self.rows(sql).await;
        self.rows("rollback").await?;
        answer
    }
}

async fn rows(client: &Client, sql: &str) -> Result<Rows, tokio_postgres::Error> {
    let mut rows = Vec::new();
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        }
    }
    Ok(rows)
}

async fn outside(dsn: &str) -> Result<Client, CliError> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.doing("connect to the database")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The server's own words rather than the driver's.
fn told(error: &tokio_postgres::Error) -> CliError {
    CliError::usage(Denial::of(error).to_string())
}

fn person(subject: &Subject) -> Person {
    let email = if subject.email.is_empty() { SOMEBODY } else { &subject.email };
    let attributes = subject.attributes.iter().map(|(name, value)| match value {
        AttributeValue::Text(text) | AttributeValue::Uuid(text) => format!("{name}={text}"),
        AttributeValue::Integer(number) => format!("{name}={number}"),
        AttributeValue::Boolean(flag) => format!("{name}={flag}"),
    });
    Person::new(email, subject.groups.iter().cloned().collect(), attributes.collect())
}

fn shown(rows: &Rows) -> String {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
    let row =
        |row: &Vec<Option<String>>| format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "));
    if rows.is_empty() { "no row".to_owned() } else { rows.iter().map(row).collect::<Vec<_>>().join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(wanted: Wanted) -> Probe {
        let at =
            Location::new(daam_diagnostic::SourceMap::new().add("t.yaml", ""), daam_diagnostic::Span::at(0));
        Probe { at, what: "x".to_owned(), sql: String::new(), wanted }
    }

    fn values(values: &[Option<&str>]) -> Rows {
        values.iter().map(|value| vec![value.map(str::to_owned)]).collect()
    }

    #[test]
    fn the_answer_of_a_server_is_held_against_what_was_expected() {
        let denied = || Err(Denial { code: "42501".to_owned(), message: "no".to_owned() });
        let elsewise = || Err(Denial { code: "0A000".to_owned(), message: "foreign key".to_owned() });
        let stored = values(&[Some("a@b.c"), None]);
        let says =
            |wanted, answer: Result<Rows, Denial>| judged(&probe(wanted), &answer, Some(&stored)).is_none();
        assert!(says(Wanted::Refused, denied()) && !says(Wanted::Refused, Ok(Rows::new())));
        assert!(!says(Wanted::Refused, elsewise()) && says(Wanted::Allowed, elsewise()));
        assert!(says(Wanted::Allowed, Ok(Rows::new())) && !says(Wanted::Allowed, denied()));
        assert!(says(Wanted::Hidden, Ok(values(&[Some("***"), None]))));
        assert!(!says(Wanted::Hidden, Ok(values(&[Some("a@b.c")]))));
        assert!(says(Wanted::Same(String::new()), Ok(stored.clone())));
        assert!(!says(Wanted::Same(String::new()), Ok(values(&[None]))));
        assert!(says(Wanted::Apart(String::new()), Ok(values(&[Some("a***"), None]))));
        assert!(!says(Wanted::Apart(String::new()), Ok(values(&[Some("a@b.c")]))));
    }
}
