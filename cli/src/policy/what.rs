//! `daam policy what-can`: everything one person may do, standing and on request, one line per verb.

use super::ask::{self, PersonArgs};
use super::project::ProjectArgs;
use super::report::require_clean;
use crate::error::{CliError, Exit};
use crate::output;
use clap::Args;
use daam_compiler::{CompiledDatabase, preset};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, RelationAccess, Subject, Verb};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Options of `daam policy what-can`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy what-can --email sam@acme.test --groups support --attr region=eu
  daam policy what-can --groups analyst

What a request would add is listed under its name. `daam policy explain` names the clauses.
Exit codes: 0 some access, 1 none, 2 no verdict.")]
pub struct WhatCanArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database; may be left out if the project has one.
    #[arg(long)]
    database: Option<String>,
    #[command(flatten)]
    person: PersonArgs,
}

/// Runs it.
pub fn run(args: &WhatCanArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let database = ask::database(args.database.as_deref(), &checked)?;
    let subject = args.person.subject(database)?;
    let standing = lines(&evaluated(database, &subject, None), database);
    let mut any = !standing.is_empty();
    for line in &standing {
        output::line(line);
    }
    for policy in database.policies.policies.iter().filter(|policy| policy.request.is_some()) {
        let known: BTreeSet<&String> = standing.iter().collect();
        let requested = lines(&evaluated(database, &subject, Some(&policy.name)), database);
        let more: Vec<&String> = requested.iter().filter(|line| !known.contains(line)).collect();
        if !more.is_empty() {
            any = true;
            output::line(format!("on request `{}`:", policy.name));
        }
        for line in more {
            output::line(format!("  {line}"));
        }
    }
    if !any {
        output::line("no policy grants this person access to anything");
        return Ok(Exit::Findings.into());
    }
    Ok(ExitCode::SUCCESS)
}

fn evaluated(database: &CompiledDatabase, subject: &Subject, request: Option<&str>) -> EffectivePolicy {
    let requests = request.into_iter().map(str::to_owned).collect();
    effective(&database.policies, &database.catalog, subject, &requests)
}

fn lines(effective: &EffectivePolicy, database: &CompiledDatabase) -> Vec<String> {
    let mut out = Vec::new();
    for (name, access) in effective.relations.iter().filter(|(name, _)| database.scope.admits(name)) {
        let total = database.catalog.relation(name).map_or(0, |relation| relation.columns.len());
        for verb in access.verbs.keys() {
            out.push(format!("{} {name}{}", verb.as_str(), detail(*verb, access, total)));
        }
    }
    out.extend(effective.functions.iter().map(|function| format!("execute {function}")));
    out
}

fn detail(verb: Verb, access: &RelationAccess, total: usize) -> String {
    let mut text = String::new();
    let columns = access.verbs.get(&verb).into_iter().flatten();
    let masked = |column| access.masks.get(column).filter(|_| verb == Verb::Select);
    let shown: Vec<String> = columns
        .map(|column| match masked(column) {
            Some(mask) => format!("{column} (mask {})", preset::written(mask.mask())),
            None => column.to_string(),
        })
        .collect();
    let clear = shown.iter().all(|column| !column.contains(" (mask "));
    if verb.has_columns() && (shown.len() != total || !clear) {
        let _ = write!(text, ": {}", shown.join(", "));
    }
    if let Some(filter) = access.rows.get(&verb) {
        let join = |clauses: &[daam_model::FilterClause], word: &str| {
            clauses.iter().map(|clause| clause.text.clone()).collect::<Vec<_>>().join(word)
        };
        if !filter.any.is_empty() {
            let _ = write!(text, "  rows where {}", join(&filter.any, " or "));
        }
        if !filter.all.is_empty() {
            let _ = write!(text, "  and only where {}", join(&filter.all, " and "));
        }
    }
    text
}
