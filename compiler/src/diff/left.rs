//! What left management: relations somebody reached that policies say nothing about any more.
//!
//! Access to them is lost as well, class by class. This says why, and that nothing guards the table from now on but what
//! PostgreSQL itself was told.

use super::terms::project_change;
use super::{Change, Direction};
use crate::effects::Side;
use daam_catalog::RelationName;
use std::collections::BTreeSet;

pub(super) fn changes(old: &Side<'_>, new: &Side<'_>, reached: &BTreeSet<RelationName>) -> Vec<Change> {
    let managed =
        reached.iter().filter(|name| old.scope.admits(name) && old.catalog.relation(name).is_some());
    let left = managed.filter_map(|name| {
        let now = if !new.scope.admits(name) {
            "outside the scope"
        } else if new.catalog.relation(name).is_none() {
            "not in the schema"
        } else {
            return None;
        };
        let what = format!("relation {name}");
        let change = project_change(Direction::Lost, what, "managed".to_owned(), now.to_owned());
        Some(Change { left: true, relation: Some(name.clone()), ..change })
    });
    left.collect()
}
