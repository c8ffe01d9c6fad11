//! `daam policy explain`: what a person may do and see, and which clause says so.
//!
//! The answer comes from the evaluator agents use, so it cannot differ from what is enforced.

use super::ask::{self, AnswerArgs, PersonArgs};
use super::kept::AskedArgs;
use crate::error::{CliError, Exit};
use clap::Args;
use daam_catalog::{Identifier, RelationName};
use daam_compiler::effects::{Giving, Side, Standing, around, giving};
use daam_compiler::{CompiledDatabase, preset};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, FilterClause, RefusedGrant, RelationAccess, Subject, Verb};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Options of `daam policy explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy explain --as sam@acme.test --groups support --attr region=eu
  daam policy explain --as sam@acme.test --groups support public.customers
  daam policy explain --groups analyst public.customers.ssn
  daam policy explain --groups analyst public.customers --column ssn --report json

For a relation or column that is not held it says why not: the clauses that give it to others, what could be asked
for, what is missing.
Exit codes: 0 some access, 1 none, 2 no verdict.")]
pub struct ExplainArgs {
    #[command(flatten)]
    asked: AskedArgs,
    #[command(flatten)]
    person: PersonArgs,
    /// Requestable policies that are active.
    #[arg(long, value_delimiter = ',')]
    requests: Vec<String>,
    /// Only this relation, or this column of it.
    #[arg(value_name = "SCHEMA.TABLE[.COLUMN]")]
    target: Option<String>,
    /// Only this column of the relation.
    #[arg(long, value_name = "COLUMN", requires = "target")]
    column: Option<String>,
    #[command(flatten)]
    report: AnswerArgs,
}

/// What is explained, of whom.
struct Explained<'a> {
    database: &'a CompiledDatabase,
    subject: Subject,
    effective: EffectivePolicy,
    target: Option<(RelationName, Option<Identifier>)>,
    giving: Vec<Giving>,
}

/// Runs it.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let database = &args.asked.database()?;
    let subject = args.person.subject(database)?;
    let requests: BTreeSet<String> = args.requests.iter().cloned().collect();
    let written = args.target.as_ref().map(|target| match &args.column {
        Some(column) => format!("{target}.{column}"),
        None => target.clone(),
    });
    let target = written.as_deref().map(|text| ask::target(text, database)).transpose()?;
    let near = target.as_ref().map(|(relation, _)| around(&database.catalog, [relation]));
    let catalog = near.as_ref().unwrap_or(&database.catalog);
    let effective = effective(&database.policies, catalog, &subject, &requests);
    let giving = target
        .as_ref()
        .map(|(relation, column)| giving(&Side::of(database), &subject, relation, column.as_ref()));
    let explained = Explained { database, subject, effective, target, giving: giving.unwrap_or_default() };
    let any = explained.held().next().is_some();
    let mut text = String::new();
    for (name, access) in explained.held() {
        describe(&mut text, name, access, &explained);
    }
    explained.refused(&mut text);
    if !any {
        let what = written.map_or_else(|| "anything".to_owned(), |name| format!("`{name}`"));
        let _ = writeln!(text, "no policy grants this person access to {what}");
    }
    explained.others(&mut text, any);
    args.report.write(&text, &explained.machine())?;
    Ok(if any { ExitCode::SUCCESS } else { Exit::Findings.into() })
}

impl Explained<'_> {
    /// What is held of what was asked for.
    fn held(&self) -> impl Iterator<Item = (&RelationName, &RelationAccess)> {
        let wanted = |name: &RelationName, access: &RelationAccess| match &self.target {
            None => true,
            Some((relation, None)) => relation == name,
            Some((relation, Some(column))) => {
                relation == name && access.verbs.values().any(|columns| columns.contains(column))
            }
        };
        let all = self.effective.relations.iter();
        all.filter(move |(name, access)| self.database.scope.admits(name) && wanted(name, access))
    }

    fn shows(&self, column: &Identifier) -> bool {
        let wanted = self.target.as_ref().and_then(|(_, column)| column.as_ref());
        wanted.is_none_or(|wanted| wanted == column)
    }

    fn refusals(&self) -> impl Iterator<Item = &RefusedGrant> {
        let wanted = self.target.as_ref().map(|(relation, _)| relation);
        self.effective
            .refused
            .iter()
            .filter(move |grant| wanted.is_none_or(|wanted| wanted == &grant.relation))
    }

    fn refused(&self, text: &mut String) {
        for grant in self.refusals() {
            let place = ask::places([&grant.origin]);
            let _ = writeln!(text, "not granted: {}: {}{place}", grant.relation, grant.reason);
        }
    }

    /// Why not, or what else there would be: clauses that do not apply as things are.
    fn others(&self, text: &mut String, held: bool) {
        let Some((relation, _)) = &self.target else { return };
        if !self.database.scope.admits(relation) {
            let _ = writeln!(text, "`{relation}` is outside the scope: the agent serves it to nobody");
            return;
        }
        let others: Vec<&Giving> =
            self.giving.iter().filter(|giving| giving.standing != Standing::Applies).collect();
        for one in &others {
            let verbs: Vec<&str> = one.verbs.iter().map(|verb| verb.as_str()).collect();
            let who: Vec<String> = one.who.iter().map(ToString::to_string).collect();
            let (verbs, who) = (verbs.join(", "), who.join(", "));
            let place = ask::places([&one.origin]);
            let _ = match &one.standing {
                Standing::MayAsk => writeln!(text, "{}: {verbs}{place}", one.condition),
                Standing::ForOthers => writeln!(
                    text,
                    "near miss: `{}` gives {verbs} to {who}, {}{place}",
                    one.policy, one.condition
                ),
                standing => writeln!(text, "`{}` gives {verbs}, and {standing}{place}", one.policy),
            };
        }
        if !held && others.is_empty() && self.refusals().next().is_none() {
            let _ = writeln!(text, "no policy and no request ceiling gives it to anybody");
        }
    }

    fn machine(&self) -> Value {
        let relations: Vec<Value> = self.held().map(|(name, access)| self.relation(name, access)).collect();
        let refused: Vec<Value> = self
            .refusals()
            .map(|grant| {
                json!({
                    "relation": grant.relation.to_string(),
                    "reason": grant.reason.to_string(),
                    "clauses": ask::clauses([&grant.origin]),
                })
            })
            .collect();
        let giving: Vec<Value> = self
            .giving
            .iter()
            .map(|one| {
                json!({
                    "policy": one.policy,
                    "when": one.condition.to_string(),
                    "who": one.who.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "verbs": one.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>(),
                    "standing": one.standing.to_string(),
                    "clauses": ask::clauses([&one.origin]),
                })
            })
            .collect();
        json!({
            "version": 1,
            "database": self.database.policies.database,
            "subject": { "email": self.subject.email, "groups": self.effective.subject.groups },
            "policies": self.effective.policies,
            "relations": relations,
            "refused": refused,
            "giving": giving,
        })
    }

    fn relation(&self, name: &RelationName, access: &RelationAccess) -> Value {
        let filter = |clauses: &[FilterClause]| -> Vec<Value> {
            let one = |clause: &FilterClause| json!({ "text": clause.text, "clauses": ask::clauses([&clause.origin]) });
            clauses.iter().map(one).collect()
        };
        let verbs: Vec<Value> = access
            .verbs
            .iter()
            .map(|(verb, columns)| {
                let columns: Vec<&str> =
                    columns.iter().filter(|column| self.shows(column)).map(Identifier::as_str).collect();
                let rows = access.rows.get(verb);
                json!({
                    "verb": verb.as_str(),
                    "columns": columns,
                    "rows": rows.map(|rows| json!({ "any": filter(&rows.any), "all": filter(&rows.all) })),
                    "clauses": ask::clauses(access.verb_origins.get(verb).into_iter().flatten()),
                })
            })
            .collect();
        let masks: Vec<Value> = access
            .masks
            .iter()
            .filter(|(column, _)| self.shows(column))
            .map(|(column, mask)| {
                json!({
                    "column": column.as_str(),
                    "mask": preset::written(mask.mask()),
                    "clauses": ask::clauses(access.mask_origins.get(column).into_iter().flatten()),
                })
            })
            .collect();
        json!({ "relation": name.to_string(), "verbs": verbs, "masks": masks })
    }
}

fn describe(text: &mut String, name: &RelationName, access: &RelationAccess, explained: &Explained<'_>) {
    let _ = writeln!(text, "{name}");
    let total = explained.database.catalog.relation(name).map_or(0, |relation| relation.columns.len());
    for (verb, columns) in &access.verbs {
        let names: Vec<String> =
            columns.iter().filter(|column| explained.shows(column)).map(ToString::to_string).collect();
        let shown = if !verb.has_columns() {
            String::new()
        } else if names.is_empty() {
            continue;
        } else if names.len() == total {
            "  all columns".to_owned()
        } else {
            format!("  {}", names.join(", "))
        };
        let places = ask::places(access.verb_origins.get(verb).into_iter().flatten());
        let _ = writeln!(text, "  {:<9}{shown}{places}", verb.as_str());
        rows(text, *verb, access);
    }
    for (column, mask) in access.masks.iter().filter(|(column, _)| explained.shows(column)) {
        let places = ask::places(access.mask_origins.get(column).into_iter().flatten());
        let _ = writeln!(text, "  masked    {column}: {}{places}", preset::written(mask.mask()));
    }
}

fn rows(text: &mut String, verb: Verb, access: &RelationAccess) {
    let Some(filter) = access.rows.get(&verb) else { return };
    for (word, clauses) in [("rows where  ", &filter.any), ("and only    ", &filter.all)] {
        for clause in clauses {
            let _ = writeln!(text, "    {word} {}{}", clause.text, ask::places([&clause.origin]));
        }
    }
}
