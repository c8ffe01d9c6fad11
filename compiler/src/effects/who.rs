//! Who can do something: every class, asked one by one.
//!
//! A table is also read through a view over it, and through a parent or child that shares its rows. Whoever can do it
//! only that way is named with it: who asks who reads a column does not ask by which name.

use super::reached::ancestors;
use super::{Class, Condition, Index, Rows, Side, around};
use daam_catalog::{Catalog, ColumnRef, Identifier, RelationName};
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
    /// The view, parent or child it is done through, if it cannot be done (as far) on the relation itself.
    pub through: Option<RelationName>,
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
    let around = ways(question, &catalog);
    let ask =
        |class: &Class, condition: &Condition| answer(&near, &index, (question, &around), class, condition);
    let common = ask(&Class::Everyone, &Condition::Standing);
    let mut answers: Vec<Answer> = Vec::new();
    for class in index.classes() {
        let standing = ask(&class, &Condition::Standing);
        for condition in index.conditions(&class) {
            for found in ask(&class, &condition) {
                let same = |one: &Answer| {
                    (&one.through, &one.mask, &one.rows) == (&found.through, &found.mask, &found.rows)
                };
                let of_everyone =
                    |one: &Answer| one.class == Class::Everyone && one.condition == found.condition;
                let held = found.condition != Condition::Standing && standing.iter().any(same);
                let shared = class != Class::Everyone
                    && (common.iter().any(same) || answers.iter().any(|one| of_everyone(one) && same(one)));
                if !held && !shared {
                    answers.push(found);
                }
            }
        }
    }
    answers
}

/// The same question of the views that read what is meant, and of parents and children, which share rows with it.
fn ways(question: &Question, catalog: &Catalog) -> Vec<Question> {
    let relation = &question.relation;
    let reads = |read: &ColumnRef| {
        read.relation == *relation && question.column.as_ref().is_none_or(|column| read.column == *column)
    };
    let mut found = Vec::new();
    for (name, other) in &catalog.relations {
        let counts = question.column.is_none() && other.scans.contains(relation);
        if counts || other.reads.iter().any(reads) {
            // Which of a view's columns shows it cannot be told.
            found.push(Question {
                relation: name.clone(),
                column: None,
                unmasked: false,
                ..question.clone()
            });
        }
        let related = ancestors(other, catalog).contains(relation)
            || catalog.relation(relation).is_some_and(|own| ancestors(own, catalog).contains(name));
        let shown = question.column.as_ref().is_none_or(|column| other.column(column).is_some());
        if related && shown {
            found.push(Question { relation: name.clone(), ..question.clone() });
        }
    }
    found
}

/// What a class can do directly, and what more it can do in another way.
fn answer(
    side: &Side<'_>,
    index: &Index<'_>,
    (question, ways): (&Question, &[Question]),
    class: &Class,
    condition: &Condition,
) -> Vec<Answer> {
    let held = index.evaluate(side.catalog, class, condition);
    let direct = reach(side, question, &held);
    let all = direct.as_ref().is_some_and(|direct| direct.mask.is_none() && direct.rows.is_all());
    let through = ways.iter().filter(|_| !all).filter_map(|way| {
        let reached = reach(side, way, &held)?;
        let clear = !question.unmasked || way.unmasked || shows_any(&held, way);
        clear.then_some(())?;
        Some(Answer { through: Some(way.relation.clone()), ..reached })
    });
    let found = direct.iter().cloned().chain(through);
    found.map(|reached| Answer { class: class.clone(), condition: condition.clone(), ..reached }).collect()
}

/// Whether any column of the view is seen as it is.
fn shows_any(held: &EffectivePolicy, view: &Question) -> bool {
    held.relations.get(&view.relation).is_some_and(|access| {
        let columns = access.verbs.get(&view.verb);
        columns.is_some_and(|columns| columns.iter().any(|column| !access.masks.contains_key(column)))
    })
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
        through: None,
        mask: mask.cloned(),
        rows: access.rows.get(&question.verb).map(Rows::of).unwrap_or_default(),
        origins: access.verb_origins.get(&question.verb).cloned().unwrap_or_default(),
        mask_origins: behind.filter(|_| mask.is_some()).cloned().unwrap_or_default(),
    })
}
