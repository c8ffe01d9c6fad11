//! The digest of what policies mean: equal for equal effects, however they are written.
//!
//! What a class has because everyone has it, or a person because their groups have it, is not said again, and neither
//! is a request that adds nothing: naming somebody in vain changes no effect. Two sides have one digest where
//! [`crate::diff::diff`] finds nothing that changed.

use super::{Access, Class, Condition, Holding, Index, Reached, Side, uses};
use daam_catalog::{ColumnRef, Identifier, RelationName};
use daam_model::{EffectiveMask, RequestTerms, Verb};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The digest of a side's effects, in hexadecimal.
pub fn effects_sha256(side: &Side<'_>) -> String {
    let mut hasher = Sha256::new();
    for line in lines(side) {
        hasher.update(line.as_bytes());
        hasher.update([0]);
    }
    let mut text = String::new();
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What a holding says, without who holds it and where that is written.
pub(crate) type Document = Vec<String>;

fn lines(side: &Side<'_>) -> BTreeSet<String> {
    let index = Index::of(side);
    let groups = Index::of(side).without_users();
    let mut holdings = BTreeMap::new();
    let mut reached = Reached::default();
    for class in index.classes() {
        for condition in index.conditions(&class) {
            let holding = Holding::of(side, &index, &class, &condition);
            reached.add(&holding, side.catalog);
            holdings.insert((class.clone(), condition), holding);
        }
    }
    reached.close(side.catalog);
    let documents: BTreeMap<&(Class, Condition), Document> =
        holdings.iter().map(|(key, holding)| (key, document(holding, &reached))).collect();
    let standing = |class: &Class| documents.get(&(class.clone(), Condition::Standing));
    let common = |class: &Class, condition: &Condition| -> Option<Document> {
        let by_groups = |email: &String| {
            let person = Class::User(email.clone());
            document(&Holding::of(side, &groups, &person, condition), &reached)
        };
        let everyone = || {
            documents
                .get(&(Class::Everyone, condition.clone()))
                .or_else(|| standing(&Class::Everyone))
                .cloned()
        };
        match class {
            Class::Everyone => None,
            Class::User(email) if groups.has_groups(email) => Some(by_groups(email)),
            Class::Group(_) | Class::User(_) => everyone(),
        }
    };
    let mut lines = BTreeSet::new();
    let mut requests = BTreeSet::new();
    for ((class, condition), found) in &documents {
        let held = standing(class);
        if *condition != Condition::Standing && held != Some(found) {
            requests.insert(condition.clone());
        }
        let as_usual =
            *condition == Condition::Standing || held == common(class, &Condition::Standing).as_ref();
        let usual = if as_usual { common(class, condition) } else { held.cloned() };
        if usual.as_ref() != Some(found) {
            lines.insert(format!("{class}\n{condition}\n{}", found.join("\n")));
        }
    }
    lines.extend(beside(side, &requests));
    lines
}

/// What diffs report beside access.
fn beside(side: &Side<'_>, requests: &BTreeSet<Condition>) -> Vec<String> {
    let groups = side.policies.groups.iter().map(|(group, members)| format!("group {group}: {members:?}"));
    let attributes = side.policies.attributes.iter().filter(|(name, _)| uses(side.policies, name));
    let attributes = attributes.map(|(name, kind)| format!("attribute {name}: {}", kind.as_str()));
    let terms = terms(side).into_iter().filter(|(condition, _)| requests.contains(condition));
    groups
        .chain(attributes)
        .chain(terms.map(|(condition, terms)| format!("terms {condition}: {terms:?}")))
        .collect()
}

fn terms<'a>(side: &Side<'a>) -> Vec<(Condition, &'a RequestTerms)> {
    let asked = side.policies.policies.iter().filter_map(|policy| {
        policy.request.as_ref().map(|terms| (Condition::Request(policy.name.clone()), terms))
    });
    let ad_hoc =
        side.policies.ceilings.iter().map(|ceiling| (Condition::AdHoc(ceiling.name.clone()), &ceiling.terms));
    asked.chain(ad_hoc).collect()
}

pub(crate) fn document(holding: &Holding, reached: &Reached) -> Document {
    let mut out = Vec::new();
    for ((relation, verb), access) in &holding.access {
        granted(&mut out, relation, *verb, access);
    }
    for ((relation, column), mask) in &holding.masks {
        let read = ColumnRef { relation: relation.clone(), column: column.clone() };
        if !holding.reads(relation, column) && reached.columns.contains(&read) {
            out.push(format!("hidden {relation} {}", masked(column, Some(mask))));
        }
    }
    for ((relation, verb), rows) in &holding.restrictions {
        let key = (relation.clone(), *verb);
        let matters = reached.verbs.contains(&key) || reached.viewed.contains(relation);
        if !holding.access.contains_key(&key) && matters && !rows.is_all() {
            out.push(format!("restricted {} {relation} {rows:?}", verb.as_str()));
        }
    }
    out.extend(holding.functions.iter().map(|function| format!("execute {function}")));
    // Without access of its own a class limits its members where another policy gives them some.
    if !holding.access.is_empty()
        || (!reached.verbs.is_empty() && limits(holding) != limits(&Holding::default()))
    {
        out.push(limits(holding));
    }
    out
}

fn limits(holding: &Holding) -> String {
    let limits = &holding.limits;
    let flag = |value: Option<bool>| value == Some(true);
    format!(
        "limits {:?} {:?} {:?} {} {}",
        limits.max_duration,
        limits.idle_timeout,
        limits.statement_timeout,
        flag(limits.read_only),
        flag(limits.procedural)
    )
}

fn granted(out: &mut Document, relation: &RelationName, verb: Verb, access: &Access) {
    let columns: Vec<String> =
        access.columns.iter().map(|(column, mask)| masked(column, mask.as_ref())).collect();
    out.push(format!("{} {relation} {columns:?} {:?}", verb.as_str(), access.rows));
}

fn masked(column: &Identifier, mask: Option<&EffectiveMask>) -> String {
    mask.map_or_else(|| column.to_string(), |mask| format!("{column} {:?}", mask.mask()))
}
