//! `daam dev test`: the project's tests that name SQL, asked of the sandbox as the person each names.
//!
//! `daam policy test` decides what can be decided without a server; a case with `sql` and `returns` needs real rows.
//! Each case takes the real path, so it also tests the agent. The published policies are what is tested: publish
//! edits first. Cases that assume an active access request are left out, as the sandbox grants none.

use super::person::Person;
use super::project::yaml_documents;
use super::state::{Facts, StateDir};
use crate::error::{CliError, Doing as _, Exit};
use crate::home::Home;
use crate::output;
use crate::policy::project::DiskFiles;
use clap::Args;
use daam_compiler::FileSource as _;
use daam_tunnel::PathPreference;
use serde_yaml::Value;
use std::path::{Path, PathBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// Options of `daam dev test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev test
  daam dev publish && daam dev test")]
pub struct TestArgs {
    /// The sandbox's state directory; by default the running one's.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// One case that needs rows.
#[derive(Debug, PartialEq)]
struct LiveCase {
    name: String,
    email: String,
    groups: Vec<String>,
    attributes: Vec<String>,
    sql: String,
    returns: Rows,
}

/// Rows as text; `None` is NULL.
type Rows = Vec<Vec<Option<String>>>;

/// Asks every case.
pub async fn run(args: &TestArgs) -> Result<Exit, CliError> {
    let state = StateDir::find(&Home::find()?, args.state.as_deref())?;
    let facts = state.facts()?;
    let cases = cases(&facts)?;
    if cases.is_empty() {
        return Err(CliError::new(Exit::NoInputs, "no test of the project names `sql`")
            .remedy("`daam policy test` runs the other tests"));
    }
    let mut failed = 0_usize;
    for case in &cases {
        match ask(&state, &facts, case).await {
            Ok(rows) if rows == case.returns => output::line(format!("ok      {}", case.name)),
            Ok(rows) => {
                failed += 1;
                output::line(format!("FAILED  {}", case.name));
                output::line(format!("        expected {}", shown(&case.returns)));
                output::line(format!("        returned {}", shown(&rows)));
            }
            Err(error) => {
                failed += 1;
                output::line(format!("FAILED  {}\n        {}", case.name, error.sentence()));
            }
        }
    }
    output::line(format!("{} passed, {failed} failed", cases.len() - failed));
    Ok(if failed == 0 { Exit::Passed(0) } else { Exit::Findings })
}

async fn ask(state: &StateDir, facts: &Facts, case: &LiveCase) -> Result<Rows, CliError> {
    let person = Person::new(&case.email, case.groups.clone(), case.attributes.clone());
    let link = person.link(state, facts, PathPreference::Auto).await?;
    let stream = link.tunnel().await?.open_stream().await.doing("open a session")?;
    let mut config = Config::new();
    config.user(&case.email).dbname(&facts.database).ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| told(&error))?;
    let served = tokio::spawn(connection);
    let answer = client.simple_query(&case.sql).await;
    drop(client);
    // Only how it ended; whether it answered is in `answer`.
    drop(served.await);
    link.close().await;
    let mut rows = Vec::new();
    for message in answer.map_err(|error| told(&error))? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        }
    }
    Ok(rows)
}

/// The server's own words rather than the driver's.
fn told(error: &tokio_postgres::Error) -> CliError {
    match error.as_db_error() {
        Some(said) => CliError::denied(format!("{} ({})", said.message(), said.code().code())),
        None => CliError::usage(format!("the session failed: {error}")),
    }
}

fn cases(facts: &Facts) -> Result<Vec<LiveCase>, CliError> {
    let files = DiskFiles::open(&facts.project)?;
    let mut paths = files.paths();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths
        .iter()
        .filter(|path| Path::new(path).extension().is_some_and(|kind| kind == "yaml" || kind == "yml"))
    {
        for document in yaml_documents(&facts.project.join(path))? {
            let text = |key: &str| document.get(key).and_then(Value::as_str);
            if text("kind") == Some("test") && text("database") == Some(&facts.database) {
                let written = document.get("cases").and_then(Value::as_sequence);
                cases.extend(written.into_iter().flatten().filter_map(live_case));
            }
        }
    }
    Ok(cases)
}

/// A case without `sql`, or with access requests, is not for us.
fn live_case(written: &Value) -> Option<LiveCase> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if written.get("requests").is_some() {
        return None;
    }
    let person = written.get("as")?.as_mapping()?;
    let groups = person.get("groups").and_then(Value::as_sequence);
    let attributes = person.iter().filter_map(|(name, value)| {
        let name = name.as_str().filter(|name| !matches!(*name, "email" | "groups" | "id"))?;
        let value = value.as_bool().map_or_else(|| scalar(value), |yes| Some(yes.to_string()))?;
        Some(format!("{name}={value}"))
    });
    let returns = written.get("returns").and_then(Value::as_sequence).into_iter().flatten();
    Some(LiveCase {
        name: text(written.get("name")).unwrap_or_default(),
        email: text(person.get("email"))?,
        groups: groups.into_iter().flatten().filter_map(|group| text(Some(group))).collect(),
        attributes: attributes.collect(),
        sql: text(written.get("sql"))?,
        returns: returns.map(|row| row.as_sequence().into_iter().flatten().map(scalar).collect()).collect(),
    })
}

/// A value as PostgreSQL would print it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("t".to_owned()),
        Value::Bool(false) => Some("f".to_owned()),
        _ => None,
    }
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

    fn read(yaml: &str) -> Option<LiveCase> {
        live_case(&serde_yaml::from_str(yaml).unwrap())
    }

    #[test]
    fn a_case_with_sql_says_who_asks_and_what_comes_back() {
        let case = read(
            "{name: n, as: {email: a@b.test, groups: [g], level: 3, on: true}, sql: select 1, returns: [[x, 1, null, true]]}",
        );
        let row = vec![Some("x".to_owned()), Some("1".to_owned()), None, Some("t".to_owned())];
        assert_eq!(
            case.unwrap(),
            LiveCase {
                name: "n".to_owned(),
                email: "a@b.test".to_owned(),
                groups: vec!["g".to_owned()],
                attributes: vec!["level=3".to_owned(), "on=true".to_owned()],
                sql: "select 1".to_owned(),
                returns: vec![row],
            }
        );
    }

    #[test]
    fn other_cases_are_left_to_the_compiler() {
        assert_eq!(read("{name: n, as: {email: a@b.test}, expect: {}}"), None);
        assert_eq!(read("{name: n, who_can: {select: a.b.c}}"), None);
    }
}
