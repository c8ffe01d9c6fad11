//! Who can do something: every class, asked one by one.

use super::{Class, Condition, Index, Rows, Side, around};
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
    /// The rows it reaches.
    pub rows: Rows,
    /// The clauses that say so.
    pub origins: BTreeSet<Origin>,
    /// The rules behind the mask.
    pub mask_origins: BTreeSet<Origin>,
}

/// Every class that can, under every condition. What is held anyway is not repeated for a request, and what
/// everyone has is not repeated for each group and person.
pub fn who_can(side: &Side<'_>, question: &Question) -> Vec<Answer> {
    let catalog = around(side.catalog, [&question.relation]);
    let index = Index::about(side, &catalog);
    let near = Side { catalog: &catalog, ..*side };
    let ask = |class: &Class, condition| answer(&near, &index, question, class, condition);
    let common = ask(&Class::Everyone, Condition::Standing);
    let mut answers: Vec<Answer> = Vec::new();
    for class in index.classes() {
        let standing = ask(&class, Condition::Standing);
        for condition in index.conditions(&class) {
            let Some(found) = ask(&class, condition) else { continue };
            let same = |one: &Answer| (&one.mask, &one.rows) == (&found.mask, &found.rows);
            let of_everyone =
                |one: &&Answer| one.class == Class::Everyone && one.condition == found.condition;
            let held = found.condition != Condition::Standing && standing.as_ref().is_some_and(same);
            let shared = class != Class::Everyone
                && (common.as_ref().is_some_and(same) || answers.iter().find(of_everyone).is_some_and(same));
            if !held && !shared {
                answers.push(found);
            }
        }
    }
    answers
}

fn answer(
    side: &Side<'_>,
    index: &Index<'_>,
    question: &Question,
    class: &Class,
    condition: Condition,
) -> Option<Answer> {
    let held = index.evaluate(side.catalog, class, &condition);
    reach(side, question, &held).map(|reached| Answer { class: class.clone(), condition, ..reached })
}

/// Without who, and when.
fn reach(side: &Side<'_>, question: &Question, held: &EffectivePolicy) -> Option<Answer> {
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
    let behind = question.column.as_ref().and_then(|column| access.mask_origins.get(column));
    Some(Answer {
        class: Class::Everyone,
        condition: Condition::Standing,
        mask: mask.cloned(),
        rows: access.rows.get(&question.verb).map(Rows::of).unwrap_or_default(),
        origins: access.verb_origins.get(&question.verb).cloned().unwrap_or_default(),
        mask_origins: behind.filter(|_| mask.is_some()).cloned().unwrap_or_default(),
    })
}
