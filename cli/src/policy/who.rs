//! `daam policy who-can`: every class of people that can do something, and the clause that says so.

use super::ask::{self, AnswerArgs, Via};
use super::kept::AskedArgs;
use crate::error::{CliError, Exit};
use clap::Args;
use daam_compiler::effects::{Answer, Class, Question, Side, who_can};
use daam_compiler::{CompiledDatabase, preset};
use daam_model::Verb;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Options of `daam policy who-can`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy who-can select public.customers
  daam policy who-can select public.customers.email --unmasked
  daam policy who-can update public.orders --via request

Asked of everyone, of each group and of each person a policy names. What everyone has is not repeated for each of
them, and what is held anyway not for each request. Groups are followed by the members that the repository gives
them; who is in the other groups the directory knows. `through` names a view over the table, or a parent or child that
shares its rows, for those who can only that way. `on request (ad hoc)` is what a request ceiling allows at most.
Exit codes: 0 somebody can, 1 nobody can, 2 no verdict.")]
pub struct WhoCanArgs {
    #[command(flatten)]
    asked: AskedArgs,
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
    #[command(flatten)]
    report: AnswerArgs,
}

fn verb(text: &str) -> Result<Verb, String> {
    Verb::ALL.into_iter().find(|verb| verb.as_str() == text).ok_or_else(|| {
        format!("`{text}` is not a verb; there are select, insert, update, delete and truncate")
    })
}

/// Runs it.
pub fn run(args: &WhoCanArgs) -> Result<ExitCode, CliError> {
    let database = &args.asked.database()?;
    let (relation, column) = ask::target(&args.target, database)?;
    let question = Question { verb: args.verb, relation, column, unmasked: args.unmasked };
    let wanted = |answer: &Answer| args.via.is_none_or(|via| via.admits(&answer.condition));
    let answers: Vec<Answer> = who_can(&Side::of(database), &question).into_iter().filter(wanted).collect();
    let mut text: String = answers.iter().map(|answer| described(answer, database) + "\n").collect();
    if answers.is_empty() {
        let how = if args.unmasked { " unmasked" } else { "" };
        let _ = writeln!(text, "nobody can `{}` `{}`{how}", args.verb.as_str(), args.target);
    }
    let found: Vec<Value> = answers.iter().map(|answer| machine(answer, database)).collect();
    let answer = json!({
        "version": 1,
        "database": database.policies.database,
        "verb": args.verb.as_str(),
        "target": args.target,
        "unmasked": args.unmasked,
        "who": found,
    });
    args.report.write(&text, &answer)?;
    Ok(if answers.is_empty() { Exit::Findings.into() } else { ExitCode::SUCCESS })
}

fn members<'a>(answer: &Answer, database: &'a CompiledDatabase) -> Option<Vec<&'a str>> {
    let Class::Group(name) = &answer.class else { return None };
    let members = database.policies.groups.get(name)?;
    Some(members.iter().map(String::as_str).collect())
}

fn machine(answer: &Answer, database: &CompiledDatabase) -> Value {
    json!({
        "who": answer.class.to_string(),
        "members": members(answer, database),
        "when": answer.condition.to_string(),
        "through": answer.through.as_ref().map(ToString::to_string),
        "mask": answer.mask.as_ref().map(|mask| preset::written(mask.mask())),
        "rows": (!answer.rows.is_all()).then(|| answer.rows.to_string()),
        "clauses": ask::clauses(&answer.origins),
    })
}

fn described(answer: &Answer, database: &CompiledDatabase) -> String {
    let mut text = answer.class.to_string();
    if let Some(members) = members(answer, database) {
        let _ = write!(text, " ({})", members.join(", "));
    }
    let _ = write!(text, "  {}", answer.condition);
    if let Some(through) = &answer.through {
        let _ = write!(text, "  through {through}");
    }
    if let Some(mask) = &answer.mask {
        let _ = write!(text, "  mask {}", preset::written(mask.mask()));
    }
    if !answer.rows.is_all() {
        let _ = write!(text, "  rows where {}", answer.rows);
    }
    text.push_str(&ask::places(&answer.origins));
    text
}
