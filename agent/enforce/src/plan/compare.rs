//! Whether a change of plan takes something away.

use super::table::ProtectedTable;
use super::{Access, SessionPlan};
use daam_catalog::{Catalog, Identifier};
use daam_model::{EffectiveMask, Verb};

/// Anything that is not clearly the same or more counts as less.
pub(super) fn tightens(old: &SessionPlan, new: &SessionPlan) -> bool {
    let relations = old.relations().any(|relation| loses(old.access(relation), new.access(relation)));
    let read_only = new.limits.read_only == Some(true) && old.limits.read_only != Some(true);
    relations || read_only || does_less(old, new)
}

/// Whether a change takes something away that PostgreSQL goes on to give to what the session has made for itself: views,
/// defaults and functions of its own, what it listens to. That is what everyone may do, and only texts are refused.
pub(super) fn outlasts(old: &SessionPlan, new: &SessionPlan, catalog: &Catalog) -> bool {
    let mut everyones = catalog.relations.values().filter(|relation| !relation.public.is_empty());
    does_less(old, new) || everyones.any(|it| loses(old.access(&it.name), new.access(&it.name)))
}

/// A function may not be called any more, or code not be run.
fn does_less(old: &SessionPlan, new: &SessionPlan) -> bool {
    let procedural = old.limits.procedural == Some(true) && new.limits.procedural != Some(true);
    procedural || !old.functions.is_subset(&new.functions)
}

fn loses(old: Access<'_>, new: Access<'_>) -> bool {
    let (Some(before), Some(after)) = (old.verbs(), new.verbs()) else { return old.verbs().is_some() };
    let verbs = before.iter().any(|(verb, columns)| {
        after.get(verb).is_none_or(|kept| !columns.is_subset(kept))
            || rows(old, *verb) != rows(new, *verb) && rows(new, *verb).is_some()
    });
    let selected = before.get(&Verb::Select).into_iter().flatten();
    verbs || selected.into_iter().any(|column| hides_more(mask(old, column), mask(new, column)))
}

fn rows(access: Access<'_>, verb: Verb) -> Option<String> {
    match access {
        Access::Protected(table) => table.condition(verb),
        Access::Direct(_) | Access::None => None,
    }
}

fn mask<'a>(access: Access<'a>, column: &Identifier) -> Option<&'a EffectiveMask> {
    let masked = |table: &'a ProtectedTable| {
        table.columns.iter().find(|known| &known.name == column).and_then(|known| known.mask.as_ref())
    };
    match access {
        Access::Protected(table) => masked(table),
        Access::Direct(_) | Access::None => None,
    }
}

fn hides_more(old: Option<&EffectiveMask>, new: Option<&EffectiveMask>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => !old.covers(new),
    }
}
