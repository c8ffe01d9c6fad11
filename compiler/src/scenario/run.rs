//! Evaluates cases with the combination rules of `daam_model`, which the agent uses too.

use super::{Access, Expectation, Scenario, Sight, WhoCan};
use crate::compile::CompiledDatabase;
use crate::effects::{self, Condition, Question, Side};
use daam_catalog::{Identifier, RelationName};
use daam_diagnostic::Location;
use daam_model::{
    AttributeValue, EffectivePolicy, FilterClause, Mask, RelationAccess, RowFilter, Subject, Verb,
    effective::effective,
};
use daam_sql::{Filter, SubjectValue};
use std::collections::BTreeSet;

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it was written.
    pub at: Location,
    /// What is so instead.
    pub message: String,
}

/// Every expectation of a case that does not hold.
pub fn run(database: &CompiledDatabase, scenario: &Scenario) -> Vec<Failure> {
    let mut failures = Vec::new();
    let subject = scenario.subject.with_declared_attributes(&database.policies.attributes);
    let effective = effective(&database.policies, &database.catalog, &subject, &scenario.requests);
    for expectation in &scenario.expect {
        expect(expectation, &effective, database, &mut failures);
    }
    if let Some(question) = &scenario.who_can {
        failures.extend(who_can(question, database));
    }
    failures
}

fn expect(
    expectation: &Expectation,
    effective: &EffectivePolicy,
    database: &CompiledDatabase,
    failures: &mut Vec<Failure>,
) {
    let name = &expectation.relation;
    let access = effective.relations.get(name).filter(|_| database.scope.admits(name));
    for (verb, wanted, at) in &expectation.verbs {
        let holds = access.is_some_and(|access| access.verbs.contains_key(verb));
        let message = match (wanted, holds) {
            (Access::Allow, false) => format!("`{}` on `{name}` is denied", verb.as_str()),
            (Access::Deny, true) => {
                format!("`{}` on `{name}` is allowed by {}", verb.as_str(), origins(access))
            }
            _ => continue,
        };
        failures.push(Failure { at: *at, message });
    }
    if let Some((wanted, at)) = &expectation.rows {
        let found = access.map_or_else(|| "false".to_owned(), |access| rows(access, &effective.subject));
        let wanted = bound(wanted, &effective.subject);
        if found != wanted {
            failures.push(Failure { at: *at, message: format!("the rows of `{name}` are `{found}`") });
        }
    }
    for (column, wanted, at) in &expectation.columns {
        let found = sight(access, column, name, database);
        if &found != wanted {
            let message = format!("`{name}.{column}` is {}", said(&found));
            failures.push(Failure { at: *at, message });
        }
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
fn bound(text: &str, subject: &Subject) -> String {
    match Filter::parse(text) {
        Ok(filter) => readable(&filter.bind("row", &|name| value(subject, name)).sql),
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
fn who_can(question: &WhoCan, database: &CompiledDatabase) -> Option<Failure> {
    let asked = Question {
        verb: question.verb,
        relation: question.relation.clone(),
        column: question.column.clone(),
        unmasked: question.unmasked,
    };
    let standing = effects::who_can(&Side::of(database), &asked).into_iter();
    let standing = standing.filter(|answer| answer.condition == Condition::Standing);
    let found: BTreeSet<String> = standing.map(|answer| answer.class.to_string()).collect();
    if found == question.exactly {
        return None;
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
    Some(Failure { at: question.at, message: parts.join("; ") })
}
