//! Evaluates cases with the combination rules of `daam_model`, which the agent uses too.

use super::coverage::ClauseKind;
use super::deciding::{Held, filtering, granting, masking, policies_by_place};
use super::{Access, Expectation, Scenario, Sight, WhoCan};
use crate::compile::CompiledDatabase;
use crate::effects::{self, Condition, Question, Side};
use daam_catalog::{ColumnRef, Identifier, RelationName};
use daam_diagnostic::Location;
use daam_model::{AttributeValue, FilterClause, Mask, Origin, RelationAccess, RowFilter, Subject, Verb};
use daam_sql::{BuiltInTypes, Filter, SubjectValue};
use std::collections::BTreeSet;

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it was written.
    pub at: Location,
    /// What is so instead.
    pub message: String,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Every expectation that does not hold.
    pub failures: Vec<Failure>,
    /// The clauses that determined what was expected.
    pub determined: BTreeSet<(ClauseKind, Origin)>,
    /// The columns that were looked at.
    pub columns: BTreeSet<ColumnRef>,
}

impl Outcome {
    fn failed(&mut self, at: Location, message: String) {
        self.failures.push(Failure { at, message });
    }
}

/// Evaluates a case, apart from what only a server can answer.
pub fn run(database: &CompiledDatabase, scenario: &Scenario) -> Outcome {
    let mut outcome = Outcome::default();
    let held = Held::of(database, &scenario.subject, &scenario.requests, scenario.relations());
    for policy in database.policies.policies.iter().filter(|policy| policy.request.is_some()) {
        if held.effective.policies.contains(&policy.name) {
            outcome.determined.insert((ClauseKind::Request, policy.origin.clone()));
        }
    }
    for expectation in &scenario.expect {
        verbs(expectation, &held, &mut outcome);
        rows_of(expectation, &held, &mut outcome);
        columns(expectation, &held, database, &mut outcome);
        reason(expectation, &held, database, &mut outcome);
    }
    if let Some(question) = &scenario.who_can {
        who_can(question, database, &mut outcome);
    }
    outcome
}

fn verbs(expectation: &Expectation, held: &Held<'_>, outcome: &mut Outcome) {
    let name = &expectation.relation;
    let access = held.access(name);
    for (verb, wanted, at) in &expectation.verbs {
        let granted = access.filter(|access| access.verbs.contains_key(verb));
        let word = verb.as_str();
        match (wanted, granted) {
            (Access::Allow, Some(access)) => outcome.determined.extend(granting(access, *verb)),
            (Access::Deny, None) => {}
            (Access::Request, None) => {
                let clauses = held.on_request(name, *verb);
                if clauses.is_empty() {
                    outcome
                        .failed(*at, format!("`{word}` on `{name}` is denied, and no request would give it"));
                }
                outcome.determined.extend(clauses);
            }
            (Access::Allow, None) => {
                let on_request = !held.on_request(name, *verb).is_empty();
                let hint = if on_request { "; it can be had on request" } else { "" };
                outcome.failed(*at, format!("`{word}` on `{name}` is denied{hint}"));
            }
            (Access::Deny | Access::Request, Some(_)) => {
                outcome.failed(*at, format!("`{word}` on `{name}` is allowed by {}", origins(access)));
            }
        }
    }
}

fn rows_of(expectation: &Expectation, held: &Held<'_>, outcome: &mut Outcome) {
    let Some((wanted, at)) = &expectation.rows else { return };
    let name = &expectation.relation;
    let access = held.access(name);
    let subject = &held.effective.subject;
    let found = access.map_or_else(|| "false".to_owned(), |access| rows(access, subject));
    if found != bound(wanted, subject) {
        outcome.failed(*at, format!("the rows of `{name}` are `{found}`"));
    }
    if let Some(access) = access {
        match access.rows.get(&Verb::Select) {
            Some(filter) => outcome.determined.extend(filtering(filter)),
            None => outcome.determined.extend(granting(access, Verb::Select)),
        }
    }
}

fn columns(expectation: &Expectation, held: &Held<'_>, database: &CompiledDatabase, outcome: &mut Outcome) {
    let name = &expectation.relation;
    let access = held.access(name);
    for (column, wanted, at) in &expectation.columns {
        let found = sight(access, column, name, database);
        if &found != wanted {
            outcome.failed(*at, format!("`{name}.{column}` is {}", said(&found)));
        }
        outcome.columns.insert(ColumnRef { relation: name.clone(), column: column.clone() });
        let Some(access) = access else { continue };
        match found {
            Sight::Deny => {}
            Sight::Clear => outcome.determined.extend(granting(access, Verb::Select)),
            Sight::Mask(_) => outcome.determined.extend(masking(access, column)),
        }
    }
}

/// The policies behind what is expected: those that grant the verbs, and those that mask the columns.
fn reason(expectation: &Expectation, held: &Held<'_>, database: &CompiledDatabase, outcome: &mut Outcome) {
    let Some((at, wanted)) = &expectation.reason else { return };
    let mut clauses = BTreeSet::new();
    if let Some(access) = held.access(&expectation.relation) {
        let named: Vec<Verb> = expectation.verbs.iter().map(|(verb, _, _)| *verb).collect();
        let verbs = if named.is_empty() { access.verbs.keys().copied().collect() } else { named };
        clauses.extend(verbs.into_iter().flat_map(|verb| granting(access, verb)));
        clauses.extend(expectation.columns.iter().flat_map(|(column, _, _)| masking(access, column)));
    }
    for (verb, _, _) in expectation.verbs.iter().filter(|(_, wanted, _)| *wanted == Access::Request) {
        clauses.extend(held.on_request(&expectation.relation, *verb));
    }
    let names = policies_by_place(&database.policies);
    let found: BTreeSet<String> =
        clauses.iter().filter_map(|(_, origin)| names.get(origin)).map(|name| (*name).to_owned()).collect();
    if found != *wanted {
        let list: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
        let list = if list.is_empty() { "no policy".to_owned() } else { list.join(", ") };
        outcome.failed(*at, format!("what decides about `{}` is {list}", expectation.relation));
    }
}

fn origins(access: Option<&RelationAccess>) -> String {
    let places = access.into_iter().flat_map(|access| &access.origins);
    let places: Vec<String> = places.map(|origin| format!("{}:{}", origin.file, origin.line)).collect();
    places.join(", ")
}

fn sight(
    access: Option<&RelationAccess>,
    column: &Identifier,
    relation: &RelationName,
    database: &CompiledDatabase,
) -> Sight {
    let Some(access) = access else { return Sight::Deny };
    if !access.verbs.get(&Verb::Select).is_some_and(|columns| columns.contains(column)) {
        return Sight::Deny;
    }
    let class = database
        .catalog
        .relation(relation)
        .and_then(|relation| relation.column(column))
        .map(|column| column.data_type.class);
    match access.masks.get(column) {
        None => Sight::Clear,
        // What is applied, except that `redact` is called so where it shows NULL for want of text.
        Some(mask) => {
            let written = mask.mask();
            let fitted = class.filter(|_| *written != Mask::Redact).map(|class| mask.fit(class));
            Sight::Mask(fitted.as_ref().unwrap_or(written).preset().to_owned())
        }
    }
}

fn said(sight: &Sight) -> String {
    match sight {
        Sight::Clear => "`clear`".to_owned(),
        Sight::Deny => "`deny`".to_owned(),
        Sight::Mask(preset) => format!("`mask:{preset}`"),
    }
}

/// The rows `select` reaches, with the subject's values in place; `true` when all.
fn rows(access: &RelationAccess, subject: &Subject) -> String {
    if !access.verbs.contains_key(&Verb::Select) {
        return "false".to_owned();
    }
    let Some(filter) = access.rows.get(&Verb::Select) else { return "true".to_owned() };
    joined(filter, subject)
}

/// One filter of all clauses: any of the permissive ones, and every restrictive one. A clause that lacks an
/// attribute reaches nothing.
fn joined(filter: &RowFilter, subject: &Subject) -> String {
    let held = |clause: &&FilterClause| bound(&clause.text, subject) != "false";
    let text = |clause: &FilterClause| format!("({})", clause.text);
    let any: Vec<String> = filter.any.iter().filter(held).map(text).collect();
    let all: Vec<String> = filter.all.iter().filter(held).map(text).collect();
    if all.len() < filter.all.len() || (any.is_empty() && !filter.any.is_empty()) {
        return "false".to_owned();
    }
    let any = if any.len() > 1 { vec![format!("({})", any.join(" or "))] } else { any };
    let parts: Vec<String> = any.into_iter().chain(all).collect();
    bound(&parts.join(" and "), subject)
}

/// The condition with the subject's values, as people would write it.
pub(super) fn bound(text: &str, subject: &Subject) -> String {
    match Filter::parse(text) {
        Ok(filter) => readable(&filter.bind("row", &|name| value(subject, name), &BuiltInTypes).sql),
        Err(_) => text.to_owned(),
    }
}

/// Without what pins names to `pg_catalog`: the type of a literal, the schema of an operator, the table.
fn readable(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql.replace("\"row\".", "");
    for pinned in ["text", "uuid", "int8", "bool"] {
        rest = rest.replace(&format!("::pg_catalog.{pinned}"), "");
    }
    while let Some((head, tail)) = rest.split_once("OPERATOR(pg_catalog.") {
        let Some((operator, after)) = tail.split_once(')') else { break };
        out.push_str(head);
        out.push_str(operator);
        rest = after.to_owned();
    }
    out.push_str(&rest);
    let whole = out.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    match whole.filter(|inner| !inner.contains(['(', ')'])) {
        Some(inner) => inner.replace('"', ""),
        None => out,
    }
}

fn value(subject: &Subject, name: &str) -> Option<SubjectValue> {
    match name {
        "id" => Some(SubjectValue::Text(subject.id.clone())),
        "email" => Some(SubjectValue::Text(subject.email.clone())),
        "groups" => Some(SubjectValue::TextArray(subject.groups.iter().cloned().collect())),
        name => subject.attributes.get(name).map(|value| match value {
            AttributeValue::Text(text) => SubjectValue::Text(text.clone()),
            AttributeValue::Uuid(text) => SubjectValue::Uuid(text.clone()),
            AttributeValue::Integer(number) => SubjectValue::Integer(*number),
            AttributeValue::Boolean(flag) => SubjectValue::Boolean(*flag),
        }),
    }
}

/// Asks for every group, user and "everyone" any policy names, each alone.
fn who_can(question: &WhoCan, database: &CompiledDatabase, outcome: &mut Outcome) {
    let asked = Question {
        verb: question.verb,
        relation: question.relation.clone(),
        column: question.column.clone(),
        unmasked: false,
    };
    let answers =
        effects::who_can(&Side::of(database), &Question { unmasked: question.unmasked, ..asked.clone() });
    let standing: Vec<_> =
        answers.into_iter().filter(|answer| answer.condition == Condition::Standing).collect();
    let found: BTreeSet<String> = standing.iter().map(|answer| answer.class.to_string()).collect();
    let granting = standing.iter().flat_map(|answer| &answer.origins);
    outcome.determined.extend(granting.map(|origin| (ClauseKind::Grant, origin.clone())));
    if let Some(column) = &question.column {
        outcome.columns.insert(ColumnRef { relation: question.relation.clone(), column: column.clone() });
        if question.unmasked {
            // That others do not see it as it is stored is the doing of the masks.
            let everybody = effects::who_can(&Side::of(database), &asked);
            let held = everybody.iter().filter(|answer| answer.condition == Condition::Standing);
            let masks = held.flat_map(|answer| &answer.mask_origins);
            outcome.determined.extend(masks.map(|origin| (ClauseKind::Mask, origin.clone())));
        }
    }
    if found == question.exactly {
        return;
    }
    let list = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let extra = list(&mut found.difference(&question.exactly));
    let missing = list(&mut question.exactly.difference(&found));
    let mut parts = Vec::new();
    if !extra.is_empty() {
        parts.push(format!("{extra} can too"));
    }
    if !missing.is_empty() {
        parts.push(format!("{missing} cannot"));
    }
    outcome.failed(question.at, parts.join("; "));
}
