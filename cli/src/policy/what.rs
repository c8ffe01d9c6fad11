//! `daam policy what-can`: everything one person may do, standing and on request, one line per verb.

use super::ask::{AnswerArgs, PersonArgs, Via};
use super::kept::AskedArgs;
use crate::error::{CliError, Exit};
use clap::Args;
use daam_catalog::{Identifier, RelationName};
use daam_compiler::effects::{Condition, Rows, Side, on_request};
use daam_compiler::{CompiledDatabase, preset};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, RelationAccess, Verb};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Options of `daam policy what-can`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy what-can --email sam@acme.test --groups support --attr region=eu
  daam policy what-can --groups analyst --unmasked
  daam policy what-can --groups support --via request --report json

What a request would add is listed under its name. `daam policy explain` names the clauses.
Exit codes: 0 some access, 1 none, 2 no verdict.")]
pub struct WhatCanArgs {
    #[command(flatten)]
    asked: AskedArgs,
    #[command(flatten)]
    person: PersonArgs,
    /// Only columns that are seen as they are stored.
    #[arg(long)]
    unmasked: bool,
    /// Only what is held always, or only what a request would add.
    #[arg(long, value_name = "HOW")]
    via: Option<Via>,
    #[command(flatten)]
    report: AnswerArgs,
}

/// One thing somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Can {
    text: String,
    machine: String,
}

/// Runs it.
pub fn run(args: &WhatCanArgs) -> Result<ExitCode, CliError> {
    let database = &args.asked.database()?;
    let subject = args.person.subject(database)?;
    let held = effective(&database.policies, &database.catalog, &subject, &BTreeSet::new());
    let standing = cans(args, &held, database);
    let mut found: Vec<(Condition, Vec<Can>)> = Vec::new();
    let known: BTreeSet<Can> = standing.iter().cloned().collect();
    if args.via != Some(Via::Request) {
        found.push((Condition::Standing, standing));
    }
    if args.via != Some(Via::Standing) {
        for (condition, held) in on_request(&Side::of(database), &database.catalog, &subject) {
            let more = cans(args, &held, database).into_iter().filter(|can| !known.contains(can));
            found.push((condition, more.collect()));
        }
    }
    found.retain(|(_, cans)| !cans.is_empty());
    let mut text = String::new();
    for (condition, cans) in &found {
        let indent = match condition {
            Condition::Standing => "",
            request => {
                let _ = writeln!(text, "{request}:");
                "  "
            }
        };
        for can in cans {
            let _ = writeln!(text, "{indent}{}", can.text);
        }
    }
    if found.is_empty() {
        text.push_str("no policy grants this person access to anything\n");
    }
    let entries = found.iter().map(|(condition, cans)| {
        let cans: Vec<Value> =
            cans.iter().filter_map(|can| serde_json::from_str(&can.machine).ok()).collect();
        json!({ "when": condition.to_string(), "can": cans })
    });
    let answer = json!({
        "version": 1,
        "database": database.policies.database,
        "holds": entries.collect::<Vec<_>>(),
    });
    args.report.write(&text, &answer)?;
    Ok(if found.is_empty() { Exit::Findings.into() } else { ExitCode::SUCCESS })
}

fn cans(args: &WhatCanArgs, effective: &EffectivePolicy, database: &CompiledDatabase) -> Vec<Can> {
    let mut out = Vec::new();
    for (name, access) in effective.relations.iter().filter(|(name, _)| database.scope.admits(name)) {
        let total = database.catalog.relation(name).map_or(0, |relation| relation.columns.len());
        for (verb, columns) in &access.verbs {
            let mut access = access.clone();
            if args.unmasked && *verb == Verb::Select {
                let clear = |column: &Identifier| !access.masks.contains_key(column);
                let clear: BTreeSet<Identifier> = columns.iter().filter(|c| clear(c)).cloned().collect();
                if clear.is_empty() {
                    continue;
                }
                access.verbs.insert(*verb, clear);
            }
            let text = format!("{} {name}{}", verb.as_str(), detail(*verb, &access, total));
            out.push(Can { text, machine: machine(name, *verb, &access).to_string() });
        }
    }
    out.extend(effective.functions.iter().map(|function| Can {
        text: format!("execute {function}"),
        machine: json!({ "verb": "execute", "function": function.to_string() }).to_string(),
    }));
    out
}

fn machine(name: &RelationName, verb: Verb, access: &RelationAccess) -> Value {
    let columns = access.verbs.get(&verb).into_iter().flatten();
    let mask = |column: &Identifier| {
        let mask = access.masks.get(column).filter(|_| verb == Verb::Select);
        mask.map(|mask| preset::written(mask.mask()))
    };
    let columns: Vec<Value> =
        columns.map(|column| json!({ "column": column.as_str(), "mask": mask(column) })).collect();
    let rows = access.rows.get(&verb).map(|filter| Rows::of(filter).to_string());
    json!({ "verb": verb.as_str(), "relation": name.to_string(), "columns": columns, "rows": rows })
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
