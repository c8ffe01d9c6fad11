//! What a change of policies changes for people: effects are compared, not text.
//!
//! An effect is (class of people, when, relation, column or rows, verb) → (mask, filter). Where it cannot be told
//! which of two filters lets more through, the change counts as one that may widen. A change that the new schema
//! alone explains, under the old policies, is marked as driven by the schema.

mod compare;
mod report;
mod terms;

pub use report::{to_json, to_markdown, to_text};

use crate::effects::{Class, Condition, Holding, Side, classes, conditions};
use compare::Unit;
use daam_model::{Origin, Policy};
use std::collections::{BTreeMap, BTreeSet};

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Somebody can do or see more.
    Widened,
    /// It cannot be ruled out that somebody can.
    MayWiden,
    /// Somebody can do or see less.
    Lost,
    /// Nobody can do or see anything else.
    Neutral,
}

impl Direction {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::MayWiden => "may-widen",
            Self::Lost => "lost",
            Self::Neutral => "neutral",
        }
    }

    fn widens(self) -> bool {
        matches!(self, Self::Widened | Self::MayWiden)
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which way it goes.
    pub direction: Direction,
    /// Whether the old policies over the new schema have it too.
    pub by_schema: bool,
    /// Who, e.g. `group:support`; empty where it is about the project.
    pub who: String,
    /// When, e.g. `standing`.
    pub when: String,
    /// What, e.g. `select public.users: email`.
    pub what: String,
    /// How it was.
    pub before: String,
    /// How it is.
    pub after: String,
    /// The clauses behind it.
    pub origins: BTreeSet<Origin>,
}

/// All changes of one database, worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The database.
    pub database: String,
    /// The changes.
    pub changes: Vec<Change>,
}

impl Diff {
    /// Whether access widened, or may have, by the policies or by the schema.
    pub fn widens(&self) -> bool {
        self.changes.iter().any(|change| change.direction.widens())
    }

    /// Whether access was lost.
    pub fn loses(&self) -> bool {
        self.changes.iter().any(|change| change.direction == Direction::Lost)
    }

    /// Whether any effect changed.
    pub fn changed(&self) -> bool {
        self.widens() || self.loses()
    }
}

/// Compares two sides of one database.
pub fn diff(old: &Side<'_>, new: &Side<'_>) -> Diff {
    // The old policies over the new schema: what differs there already is the schema's doing.
    let between = Side { policies: old.policies, catalog: new.catalog, scope: old.scope };
    let units = units(old, new);
    let schema = if old.catalog == new.catalog { BTreeSet::new() } else { keys(&units_of(old, &between)) };
    let mut changes = grouped(&units, &schema);
    changes.extend(terms::changes(old.policies, new.policies));
    changes.extend(without_effect(old, new, &changes));
    changes.sort_by(|a, b| order(a).cmp(&order(b)));
    Diff { database: new.policies.database.clone(), changes }
}

/// Widened, lost, driven by the schema, without effect.
fn order(change: &Change) -> (u8, Direction, &str, &str, &str) {
    let section = match change.direction {
        Direction::Neutral => 3,
        _ if change.by_schema => 2,
        Direction::Lost => 1,
        Direction::Widened | Direction::MayWiden => 0,
    };
    (section, change.direction, &change.who, &change.when, &change.what)
}

fn units(old: &Side<'_>, new: &Side<'_>) -> Vec<Unit> {
    let all = units_of(old, new);
    let known: BTreeSet<_> = all.iter().map(Unit::key).collect();
    // What changed for everyone, or is held anyway, is not said again of each group and request.
    let repeated = |unit: &Unit| {
        let standing = (unit.class.clone(), Condition::Standing);
        let everyone = (Class::Everyone, Condition::Standing);
        [standing, everyone].into_iter().any(|(class, condition)| {
            (&class, &condition) != (&unit.class, &unit.condition)
                && known.contains(&Unit { class, condition, ..unit.clone() }.key())
        })
    };
    all.iter().filter(|unit| !repeated(unit)).cloned().collect()
}

fn units_of(old: &Side<'_>, new: &Side<'_>) -> Vec<Unit> {
    let union = |one: BTreeSet<Class>, other| one.into_iter().chain(other).collect::<BTreeSet<Class>>();
    let classes = union(classes(old.policies), classes(new.policies));
    let conditions: BTreeSet<Condition> =
        conditions(old.policies).into_iter().chain(conditions(new.policies)).collect();
    let mut holdings = BTreeMap::new();
    for class in &classes {
        for condition in &conditions {
            let pair = (Holding::of(old, class, condition), Holding::of(new, class, condition));
            holdings.insert((class, condition), pair);
        }
    }
    let pairs: Vec<&(Holding, Holding)> = holdings.values().collect();
    let anybody = compare::Anybody::of(&pairs, old.catalog, new.catalog);
    let mut units = Vec::new();
    for ((class, condition), (before, after)) in &holdings {
        compare::compare(&mut compare::Comparison {
            class,
            condition,
            before,
            after,
            anybody: &anybody,
            units: &mut units,
        });
    }
    units
}

fn keys(units: &[Unit]) -> BTreeSet<compare::Key> {
    units.iter().map(Unit::key).collect()
}

/// Columns that changed in the same way are one change.
fn grouped(units: &[Unit], schema: &BTreeSet<compare::Key>) -> Vec<Change> {
    let mut groups: BTreeMap<_, (Vec<String>, BTreeSet<Origin>)> = BTreeMap::new();
    for unit in units {
        let by_schema = schema.contains(&unit.key());
        let key = (
            unit.direction,
            by_schema,
            (&unit.class, &unit.condition),
            unit.what.as_str(),
            (unit.before.as_str(), unit.after.as_str()),
        );
        let group = groups.entry(key).or_default();
        group.0.extend(unit.column.as_ref().map(ToString::to_string));
        group.1.extend(unit.origins.iter().cloned());
    }
    groups
        .into_iter()
        .map(|((direction, by_schema, (class, condition), what, (before, after)), (columns, origins))| {
            let columns =
                if columns.is_empty() { String::new() } else { format!(": {}", columns.join(", ")) };
            Change {
                direction,
                by_schema,
                who: class.to_string(),
                when: condition.to_string(),
                what: format!("{what}{columns}"),
                before: before.to_owned(),
                after: after.to_owned(),
                origins,
            }
        })
        .collect()
}

/// Policies that were edited although nobody they concern has a change.
fn without_effect(old: &Side<'_>, new: &Side<'_>, changes: &[Change]) -> Vec<Change> {
    let touched: BTreeSet<&str> = changes.iter().map(|change| change.who.as_str()).collect();
    let by_name =
        |side: &Side<'_>| side.policies.policies.iter().map(|p| (p.name.clone(), unplaced(p))).collect();
    let before: BTreeMap<String, Policy> = by_name(old);
    let after: BTreeMap<String, Policy> = by_name(new);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        let subjects = [was, is].into_iter().flatten().map(|policy| &policy.subjects);
        let concerns = |subjects: &daam_model::Subjects| {
            let everyone = subjects.everyone && touched.contains("everyone");
            let group = |name: &String| touched.contains(format!("group:{name}").as_str());
            let user = |email: &String| touched.contains(format!("user:{email}").as_str());
            everyone || subjects.groups.iter().any(group) || subjects.users.iter().any(user)
        };
        let terms = format!("request {name} ");
        let renegotiated = changes.iter().any(|change| change.what.starts_with(&terms));
        if was == is || renegotiated || subjects.into_iter().any(concerns) {
            continue;
        }
        let (before, after) = match (was, is) {
            (None, _) => ("", "new"),
            (_, None) => ("", "removed"),
            _ => ("", "edited"),
        };
        found.push(terms::project_change(
            Direction::Neutral,
            format!("policy {name}"),
            before.to_owned(),
            after.to_owned(),
        ));
    }
    found
}

fn unplaced(policy: &Policy) -> Policy {
    let mut policy = Policy { origin: Origin::default(), ..policy.clone() };
    for grant in &mut policy.grants {
        grant.origin = Origin::default();
    }
    for mask in &mut policy.masks {
        mask.origin = Origin::default();
    }
    policy
}
