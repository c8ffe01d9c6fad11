//! Who can do something: every class, asked one by one.

use super::{Class, Condition, Side, classes, conditions, evaluate};
use daam_catalog::{Identifier, RelationName};
use daam_model::{EffectiveMask, EffectivePolicy, Origin, Verb};
use std::collections::BTreeSet;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The verb.
    pub verb: Verb,
    /// The relation.
    pub relation: RelationName,
    /// One column of it; without one the whole relation is meant.
    pub column: Option<Identifier>,
    /// Only where nothing of it is masked.
    pub unmasked: bool,
}

/// A class that can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub class: Class,
    /// When.
    pub condition: Condition,
    /// The mask of the column that was asked for.
    pub mask: Option<EffectiveMask>,
    /// Whether only some rows are reached.
    pub filtered: bool,
    /// The clauses that say so.
    pub origins: BTreeSet<Origin>,
}

/// Every class that can, under every condition; what is held anyway is not repeated for a request.
pub fn who_can(side: &Side<'_>, question: &Question) -> Vec<Answer> {
    let mut answers = Vec::new();
    for class in classes(side.policies) {
        let standing = answer(side, question, &class, Condition::Standing);
        for condition in conditions(side.policies) {
            let Some(found) = answer(side, question, &class, condition) else { continue };
            let same = |one: &Answer| (&one.mask, one.filtered) == (&found.mask, found.filtered);
            if found.condition == Condition::Standing || !standing.as_ref().is_some_and(same) {
                answers.push(found);
            }
        }
    }
    answers
}

fn answer(side: &Side<'_>, question: &Question, class: &Class, condition: Condition) -> Option<Answer> {
    let held = evaluate(side.policies, side.catalog, class, &condition);
    reach(side, question, &held).map(|(mask, filtered, origins)| Answer {
        class: class.clone(),
        condition,
        mask,
        filtered,
        origins,
    })
}

fn reach(
    side: &Side<'_>,
    question: &Question,
    held: &EffectivePolicy,
) -> Option<(Option<EffectiveMask>, bool, BTreeSet<Origin>)> {
    let access = held.relations.get(&question.relation).filter(|_| side.scope.admits(&question.relation))?;
    let columns = access.verbs.get(&question.verb)?;
    let mask = match &question.column {
        None if question.unmasked && access.masks.keys().any(|masked| columns.contains(masked)) => {
            return None;
        }
        None => None,
        Some(column) if columns.contains(column) || !question.verb.has_columns() => access.masks.get(column),
        Some(_) => return None,
    };
    if question.unmasked && mask.is_some() {
        return None;
    }
    let origins = access.verb_origins.get(&question.verb).cloned().unwrap_or_default();
    Some((mask.cloned(), access.rows.contains_key(&question.verb), origins))
}
