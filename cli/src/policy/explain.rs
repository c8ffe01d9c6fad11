//! `daam policy explain`: what a person may do and see, and which clause says so.
//!
//! The answer comes from the evaluator agents use, so it cannot differ from what is enforced.

use super::ask::{self, PersonArgs};
use super::project::ProjectArgs;
use super::report::require_clean;
use crate::error::{CliError, Exit};
use crate::output;
use clap::Args;
use daam_catalog::RelationName;
use daam_compiler::{CompiledDatabase, preset};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, Origin, RelationAccess, Verb};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Options of `daam policy explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy explain --as sam@acme.test --groups support --attr region=eu
  daam policy explain --as sam@acme.test --groups support public.customers

Exit codes: 0 some access, 1 none, 2 no verdict.")]
pub struct ExplainArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database; may be left out if the project has one.
    #[arg(long)]
    database: Option<String>,
    #[command(flatten)]
    person: PersonArgs,
    /// Requestable policies that are active.
    #[arg(long, value_delimiter = ',')]
    requests: Vec<String>,
    /// Only this relation.
    #[arg(value_name = "SCHEMA.TABLE")]
    relation: Option<String>,
}

/// Runs it.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let database = ask::database(args.database.as_deref(), &checked)?;
    let subject = args.person.subject(database)?;
    let requests: BTreeSet<String> = args.requests.iter().cloned().collect();
    let effective = effective(&database.policies, &database.catalog, &subject, &requests);
    let wanted = args.relation.as_deref().map(ask::relation).transpose()?;
    let mut any = false;
    for (name, access) in &effective.relations {
        if wanted.as_ref().is_none_or(|wanted| wanted == name) && database.scope.admits(name) {
            any = true;
            describe(name, access, database);
        }
    }
    refused(&effective, wanted.as_ref());
    if !any {
        let what = wanted.map_or_else(|| "anything".to_owned(), |name| format!("`{name}`"));
        output::line(format!("no policy grants this person access to {what}"));
        return Ok(Exit::Findings.into());
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(name: &RelationName, access: &RelationAccess, database: &CompiledDatabase) {
    output::line(name.to_string());
    let total = database.catalog.relation(name).map_or(0, |relation| relation.columns.len());
    for (verb, columns) in &access.verbs {
        let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let shown = if !verb.has_columns() {
            String::new()
        } else if names.len() == total {
            "  all columns".to_owned()
        } else {
            format!("  {}", names.join(", "))
        };
        let origins = access.verb_origins.get(verb).cloned().unwrap_or_default();
        output::line(format!("  {:<9}{shown}{}", verb.as_str(), places(&origins)));
        rows(*verb, access);
    }
    for (column, mask) in &access.masks {
        let origins = access.mask_origins.get(column).cloned().unwrap_or_default();
        output::line(format!("  masked    {column}: {}{}", preset::written(mask.mask()), places(&origins)));
    }
}

fn rows(verb: Verb, access: &RelationAccess) {
    let Some(filter) = access.rows.get(&verb) else { return };
    for clause in &filter.any {
        output::line(format!("    rows where   {}{}", clause.text, place(&clause.origin)));
    }
    for clause in &filter.all {
        output::line(format!("    and only     {}{}", clause.text, place(&clause.origin)));
    }
}

fn refused(effective: &EffectivePolicy, wanted: Option<&RelationName>) {
    for grant in &effective.refused {
        if wanted.is_none_or(|wanted| wanted == &grant.relation) {
            output::line(format!(
                "not granted: {}: {}{}",
                grant.relation,
                grant.reason,
                place(&grant.origin)
            ));
        }
    }
}

fn place(origin: &Origin) -> String {
    if origin.file.is_empty() { String::new() } else { format!("  ({}:{})", origin.file, origin.line) }
}

fn places(origins: &BTreeSet<Origin>) -> String {
    origins.iter().map(place).collect()
}
