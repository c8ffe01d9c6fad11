//! `daam policy who-can`: every class of people that can do something, and the clause that says so.

use super::ask;
use super::project::ProjectArgs;
use super::report::require_clean;
use crate::error::{CliError, Exit};
use crate::output;
use clap::{Args, ValueEnum};
use daam_compiler::effects::{Answer, Class, Condition, Question, Side, who_can};
use daam_compiler::{CompiledDatabase, preset};
use daam_model::Verb;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Options of `daam policy who-can`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy who-can select public.customers
  daam policy who-can select public.customers.email --unmasked
  daam policy who-can update public.orders --via request

Asked of everyone, of each group and of each person a policy names; groups are followed by the members that the
repository gives them. Who is in the other groups the directory knows.
Exit codes: 0 somebody can, 1 nobody can, 2 no verdict.")]
pub struct WhoCanArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database; may be left out if the project has one.
    #[arg(long)]
    database: Option<String>,
    /// `select`, `insert`, `update`, `delete` or `truncate`.
    #[arg(value_name = "VERB", value_parser = verb)]
    verb: Verb,
    /// `schema.table` or `schema.table.column`.
    #[arg(value_name = "RELATION[.COLUMN]")]
    target: String,
    /// Only who sees it as it is stored.
    #[arg(long)]
    unmasked: bool,
    /// Only what is held always, or only what has to be asked for.
    #[arg(long, value_name = "HOW")]
    via: Option<Via>,
}

/// How something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Via {
    /// Always.
    Standing,
    /// After a request.
    Request,
}

fn verb(text: &str) -> Result<Verb, String> {
    Verb::ALL.into_iter().find(|verb| verb.as_str() == text).ok_or_else(|| {
        format!("`{text}` is not a verb; there are select, insert, update, delete and truncate")
    })
}

/// Runs it.
pub fn run(args: &WhoCanArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let database = ask::database(args.database.as_deref(), &checked)?;
    let (relation, column) = ask::target(&args.target, database)?;
    let question = Question { verb: args.verb, relation, column, unmasked: args.unmasked };
    let wanted = |answer: &Answer| match args.via {
        None => true,
        Some(via) => (via == Via::Standing) == (answer.condition == Condition::Standing),
    };
    let answers: Vec<Answer> = who_can(&Side::of(database), &question).into_iter().filter(wanted).collect();
    for answer in &answers {
        output::line(described(answer, database));
    }
    if answers.is_empty() {
        let how = if args.unmasked { " unmasked" } else { "" };
        output::line(format!("nobody can `{}` `{}`{how}", args.verb.as_str(), args.target));
        return Ok(Exit::Findings.into());
    }
    Ok(ExitCode::SUCCESS)
}

fn described(answer: &Answer, database: &CompiledDatabase) -> String {
    let mut text = answer.class.to_string();
    if let Class::Group(name) = &answer.class
        && let Some(members) = database.policies.groups.get(name)
    {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let _ = write!(text, " ({})", members.join(", "));
    }
    let _ = write!(text, "  {}", answer.condition);
    if let Some(mask) = &answer.mask {
        let _ = write!(text, "  mask {}", preset::written(mask.mask()));
    }
    if answer.filtered {
        text.push_str("  some rows");
    }
    for origin in answer.origins.iter().filter(|origin| !origin.file.is_empty()) {
        let _ = write!(text, "  ({origin})");
    }
    text
}
