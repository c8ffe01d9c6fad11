//! Columns with two different masks: one finding per rule and other mask its columns have. A rule is compared with the
//! first of each mask only: with all of them, a project of a thousand such rules would have a million findings.

use super::CheckedPolicy;
use crate::tables::ColumnId;
use daam_model::Mask;
use std::collections::{BTreeSet, HashMap};

/// A mask rule, the first one that masks one of its columns in another way, and that column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The policy of the first rule, by its number, and the rule's place in it.
    pub(crate) first: (u64, usize),
    /// The place of the second rule in its own policy.
    pub(crate) second: usize,
    /// The column.
    pub(crate) column: ColumnId,
}

/// One rule of those compared.
#[derive(Debug, Clone, Copy)]
struct Rule<'a> {
    policy: u64,
    place: usize,
    with: &'a Mask,
}

/// The conflicts of every policy, in the order of the policies, which come with their numbers.
pub(crate) fn conflicts<'a>(
    policies: impl Iterator<Item = (u64, &'a CheckedPolicy)>,
) -> Vec<(u64, Vec<Conflict>)> {
    // The first rule of each column, and where masks differ, the first of every further mask.
    let mut firsts: HashMap<ColumnId, usize> = HashMap::new();
    let mut further: HashMap<ColumnId, Vec<usize>> = HashMap::new();
    let mut rules: Vec<Rule<'_>> = Vec::new();
    let mut out = Vec::new();
    for (policy, checked) in policies {
        let mut found = Vec::new();
        for (place, mask) in checked.masks.iter().enumerate() {
            let second = rules.len();
            let rule = Rule { policy, place, with: &mask.with };
            rules.push(rule);
            let mut told = BTreeSet::new();
            for column in mask.on.iter().flat_map(|on| &on.covers).copied() {
                let first = *firsts.entry(column).or_insert(second);
                let mut known = false;
                let more = further.get(&column).into_iter().flatten();
                for other in std::iter::once(&first).chain(more) {
                    let Some(one) = rules.get(*other) else { continue };
                    if one.with == rule.with {
                        known = true;
                    } else if told.insert(*other) {
                        found.push(Conflict { first: (one.policy, one.place), second: place, column });
                    }
                }
                if !known {
                    further.entry(column).or_default().push(second);
                }
            }
        }
        if !found.is_empty() {
            out.push((policy, found));
        }
    }
    out
}
