//! Two holdings of one class → the units that differ.

use super::Direction;
use crate::effects::{Access, Class, Condition, Holding, Reached, Rows};
use daam_catalog::{ColumnRef, Identifier, RelationName};
use daam_model::{EffectiveMask, Origin, SessionLimits, Verb};
use std::collections::BTreeSet;
use std::time::Duration;

/// The smallest difference: one column of one verb, the rows of one verb, one function, one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) direction: Direction,
    pub(super) class: Class,
    pub(super) condition: Condition,
    pub(super) relation: Option<RelationName>,
    pub(super) what: String,
    pub(super) column: Option<Identifier>,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) origins: BTreeSet<Origin>,
}

/// What makes two units the same.
pub(super) type Key = (Class, Condition, String, Option<Identifier>, (String, String));

impl Unit {
    pub(super) fn key(&self) -> Key {
        let change = (self.before.clone(), self.after.clone());
        (self.class.clone(), self.condition.clone(), self.what.clone(), self.column.clone(), change)
    }
}

/// What is held by anybody, before and after: a mask or restriction matters to whoever has access by any policy.
#[derive(Debug, Default)]
pub(super) struct Anybody {
    pub(super) before: Reached,
    pub(super) after: Reached,
}

/// What is compared, and where the differences go.
pub(super) struct Comparison<'a> {
    pub(super) class: &'a Class,
    pub(super) condition: &'a Condition,
    pub(super) before: &'a Holding,
    pub(super) after: &'a Holding,
    pub(super) anybody: &'a Anybody,
    pub(super) units: &'a mut Vec<Unit>,
}

/// One difference, before it is known whose.
struct Found {
    direction: Direction,
    relation: Option<RelationName>,
    what: String,
    column: Option<Identifier>,
    change: (String, String),
    origins: BTreeSet<Origin>,
}

pub(super) fn compare(comparison: &mut Comparison<'_>) {
    access(comparison);
    hidden_columns(comparison);
    hidden_rows(comparison);
    functions(comparison);
    limits(comparison);
}

impl Comparison<'_> {
    fn push(&mut self, found: Found) {
        self.units.push(Unit {
            direction: found.direction,
            class: self.class.clone(),
            condition: self.condition.clone(),
            relation: found.relation,
            what: found.what,
            column: found.column,
            before: found.change.0,
            after: found.change.1,
            origins: found.origins,
        });
    }
}

fn access(comparison: &mut Comparison<'_>) {
    let (before, after) = (comparison.before, comparison.after);
    let keys: BTreeSet<_> = before.access.keys().chain(after.access.keys()).collect();
    for (relation, verb) in keys {
        let key = (relation.clone(), *verb);
        let (was, is) = (before.access.get(&key), after.access.get(&key));
        let what = format!("{} {relation}", verb.as_str());
        columns(comparison, (relation, &what), *verb, (was, is));
        match (was, is) {
            (Some(was), Some(is)) => rows(comparison, (relation, &what), was, is),
            _ if verb.has_columns() => {}
            (was, is) => comparison.push(Found {
                direction: if is.is_some() { Direction::Widened } else { Direction::Lost },
                relation: Some(relation.clone()),
                what,
                column: None,
                change: (granted(was), granted(is)),
                origins: origins(was, is),
            }),
        }
    }
}

fn columns(
    comparison: &mut Comparison<'_>,
    (relation, what): (&RelationName, &str),
    verb: Verb,
    (was, is): (Option<&Access>, Option<&Access>),
) {
    let names: BTreeSet<&Identifier> =
        was.into_iter().chain(is).flat_map(|access| access.columns.keys()).collect();
    for name in names {
        let sight = |access: Option<&Access>| access.and_then(|access| access.columns.get(name).cloned());
        let (old, new) = (sight(was), sight(is));
        if old == new {
            continue;
        }
        let direction = match (&old, &new) {
            (None, _) => Direction::Widened,
            (_, None) => Direction::Lost,
            (Some(old), Some(new)) => masked(old.as_ref(), new.as_ref()),
        };
        let shown =
            |sight: Option<&Option<EffectiveMask>>, access: Option<&Access>, other: Option<&Access>| {
                let Some(mask) = sight else { return "no access".to_owned() };
                let text = mask.as_ref().map_or_else(
                    || if verb == Verb::Select { "clear" } else { "allowed" }.to_owned(),
                    |mask| format!("mask {mask}"),
                );
                // The rows are said with the columns where the whole verb is new or gone.
                match access.filter(|access| other.is_none() && !access.rows.is_all()) {
                    Some(access) => format!("{text}, rows where {}", access.rows),
                    None => text,
                }
            };
        comparison.push(Found {
            direction,
            relation: Some(relation.clone()),
            what: what.to_owned(),
            column: Some(name.clone()),
            change: (shown(old.as_ref(), was, is), shown(new.as_ref(), is, was)),
            origins: origins(was, is),
        });
    }
}

/// The clauses to show: those that hold now, or held if nothing does.
fn origins(was: Option<&Access>, is: Option<&Access>) -> BTreeSet<Origin> {
    let access = is.or(was);
    access.map(|access| access.origins.union(&access.mask_origins).cloned().collect()).unwrap_or_default()
}

fn granted(access: Option<&Access>) -> String {
    match access {
        None => "no access".to_owned(),
        Some(access) if access.rows.is_all() => "allowed".to_owned(),
        Some(access) => format!("allowed, rows where {}", access.rows),
    }
}

/// Between two masks of which at least one differs; none is the weakest.
fn masked(old: Option<&EffectiveMask>, new: Option<&EffectiveMask>) -> Direction {
    match (old, new) {
        (None, _) => Direction::Lost,
        (_, None) => Direction::Widened,
        (Some(old), Some(new)) if new.covers(old) => Direction::Lost,
        (Some(old), Some(new)) if old.covers(new) => Direction::Widened,
        _ => Direction::MayWiden,
    }
}

fn rows(comparison: &mut Comparison<'_>, (relation, what): (&RelationName, &str), was: &Access, is: &Access) {
    let direction = match (is.rows.within(&was.rows), was.rows.within(&is.rows)) {
        (true, true) => return,
        (true, false) => Direction::Lost,
        (false, true) => Direction::Widened,
        (false, false) => Direction::MayWiden,
    };
    comparison.push(Found {
        direction,
        relation: Some(relation.clone()),
        what: format!("{what} rows"),
        column: None,
        change: (was.rows.to_string(), is.rows.to_string()),
        origins: is.origins.clone(),
    });
}

/// Masks over columns this class cannot read itself, but others of its members may.
fn hidden_columns(comparison: &mut Comparison<'_>) {
    let (before, after) = (comparison.before, comparison.after);
    let keys: BTreeSet<_> = before.masks.keys().chain(after.masks.keys()).collect();
    for key in keys {
        let (relation, column) = key;
        let (old, new) = (before.masks.get(key), after.masks.get(key));
        if old == new || after.reads(relation, column) {
            continue;
        }
        let read = ColumnRef { relation: relation.clone(), column: column.clone() };
        let widens = masked(old, new) != Direction::Lost;
        let reached = if widens { &comparison.anybody.after } else { &comparison.anybody.before };
        if !reached.columns.contains(&read) {
            continue;
        }
        let shown = |mask: Option<&EffectiveMask>| {
            mask.map_or_else(|| "not masked".to_owned(), |mask| format!("mask {mask}"))
        };
        comparison.push(Found {
            direction: if widens { Direction::MayWiden } else { Direction::Lost },
            relation: Some(relation.clone()),
            what: format!("{relation} where granted by another policy"),
            column: Some(column.clone()),
            change: (shown(old), shown(new)),
            origins: BTreeSet::new(),
        });
    }
}

/// Restrictions on verbs this class does not hold itself, and filters that closed a view over the table.
fn hidden_rows(comparison: &mut Comparison<'_>) {
    let (before, after) = (comparison.before, comparison.after);
    let keys: BTreeSet<_> = before
        .restrictions
        .keys()
        .chain(after.restrictions.keys())
        .chain(before.access.keys())
        .cloned()
        .collect();
    for (relation, verb) in keys {
        if after.has(&relation, verb) {
            continue;
        }
        let key = (relation.clone(), verb);
        let all = Rows::default();
        let old = before.restrictions.get(&key).unwrap_or(&all);
        let new = after.restrictions.get(&key).unwrap_or(&all);
        let narrower = new.within(old);
        let reached = if narrower { &comparison.anybody.before } else { &comparison.anybody.after };
        let viewed = reached.viewed.contains(&relation);
        let filtered = before.access.get(&key).map(|access| &access.rows).filter(|rows| !rows.is_all());
        let (direction, was) = match filtered {
            _ if old != new && (viewed || reached.verbs.contains(&key)) => {
                (if narrower { Direction::Lost } else { Direction::MayWiden }, old)
            }
            Some(rows) if comparison.anybody.after.viewed.contains(&relation) => (Direction::MayWiden, rows),
            _ => continue,
        };
        comparison.push(Found {
            direction,
            relation: Some(relation.clone()),
            what: format!("{} {relation} rows where granted by another policy", verb.as_str()),
            column: None,
            change: (was.to_string(), new.to_string()),
            origins: BTreeSet::new(),
        });
    }
}

fn functions(comparison: &mut Comparison<'_>) {
    let (before, after) = (&comparison.before.functions, &comparison.after.functions);
    let gained = after.difference(before).map(|name| (name, Direction::Widened));
    for (name, direction) in gained.chain(before.difference(after).map(|name| (name, Direction::Lost))) {
        let (no, yes) = ("no access".to_owned(), "allowed".to_owned());
        let widened = direction == Direction::Widened;
        comparison.push(Found {
            direction,
            relation: None,
            what: format!("execute {name}"),
            column: None,
            change: if widened { (no, yes) } else { (yes, no) },
            origins: BTreeSet::new(),
        });
    }
}

/// Limits hold over sessions whatever opened them: those of a class that reaches nothing itself matter to the members
/// who do by another policy.
fn limits(comparison: &mut Comparison<'_>) {
    if comparison.after.access.is_empty() {
        if comparison.anybody.before.verbs.is_empty() || comparison.anybody.after.verbs.is_empty() {
            return;
        }
    } else if comparison.before.access.is_empty() {
        // Who gains access gains it under these limits; nothing got looser.
        return;
    }
    let (was, is) = (&comparison.before.limits, &comparison.after.limits);
    for (name, of) in TIMES {
        let (old, new) = (of(was), of(is));
        if old != new {
            let longer = new.is_none_or(|new| old.is_some_and(|old| new > old));
            limit(comparison, name, longer, (shown(old), shown(new)));
        }
    }
    let flag = |value: Option<bool>| value == Some(true);
    let written = |value: bool| value.to_string();
    let (old, new) = (flag(was.read_only), flag(is.read_only));
    if old != new {
        limit(comparison, "read_only", !new, (written(old), written(new)));
    }
    let (old, new) = (flag(was.procedural), flag(is.procedural));
    if old != new {
        limit(comparison, "procedural", new, (written(old), written(new)));
    }
}

type TimeOf = fn(&SessionLimits) -> Option<Duration>;

const TIMES: [(&str, TimeOf); 3] = [
    ("max_duration", |limits| limits.max_duration),
    ("idle_timeout", |limits| limits.idle_timeout),
    ("statement_timeout", |limits| limits.statement_timeout),
];

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(|| "no limit".to_owned(), |time| format!("{time:?}"))
}

fn limit(comparison: &mut Comparison<'_>, name: &str, widens: bool, change: (String, String)) {
    let held = !comparison.after.access.is_empty();
    let elsewhere = if held { "" } else { " where granted by another policy" };
    comparison.push(Found {
        direction: match widens {
            true if held => Direction::Widened,
            true => Direction::MayWiden,
            false => Direction::Lost,
        },
        relation: None,
        what: format!("session {name}{elsewhere}"),
        column: None,
        change,
        origins: BTreeSet::new(),
    });
}
