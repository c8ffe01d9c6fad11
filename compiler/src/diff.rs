//! What a change of policies changes for people: effects are compared, not text.
//!
//! An effect is (class of people, when, relation, column or rows, verb) → (mask, filter). Where it cannot be told
//! which of two filters lets more through, the change counts as one that may widen. A change that the new schema
//! alone explains, under the old policies, is marked as driven by the schema.

mod compare;
mod left;
mod report;
mod terms;

pub use report::{to_json, to_markdown, to_text};

use crate::effects::{Class, Condition, Holding, Index, Side, document};
use compare::Unit;
use daam_catalog::{RelationName, RelationPattern};
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
    /// Whether something is not managed any more: daam says nothing about it now.
    pub left: bool,
    /// Who, e.g. `group:support`; empty where it is about the project.
    pub who: String,
    /// When, e.g. `standing`.
    pub when: String,
    /// The relation it is about, if it is about one.
    pub relation: Option<RelationName>,
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

    /// The same with a database that is on no side any more.
    #[must_use]
    pub fn without_database(mut self) -> Self {
        let mut change = terms::project_change(
            Direction::Lost,
            format!("database {}", self.database),
            "managed".to_owned(),
            "not in the project".to_owned(),
        );
        change.left = true;
        self.changes.insert(0, change);
        self.changes.sort_by(|a, b| order(a).cmp(&order(b)));
        self
    }

    /// Only what concerns a subject (`group:support`) or relations of a pattern; changes of the project that name the
    /// subject stay.
    #[must_use]
    pub fn only(mut self, subject: Option<&str>, resource: Option<&RelationPattern>) -> Self {
        self.changes.retain(|change| {
            let named = |subject: &str| {
                change.who == subject
                    || change.who == "everyone"
                    || change.what.ends_with(&format!(" {subject}"))
            };
            let within = |pattern: &RelationPattern| {
                change.relation.as_ref().is_some_and(|relation| pattern.matches(relation))
            };
            subject.is_none_or(named) && resource.is_none_or(within)
        });
        self
    }
}

/// Compares two sides of one database.
pub fn diff(old: &Side<'_>, new: &Side<'_>) -> Diff {
    // The old policies over the new schema: what differs there already is the schema's doing.
    let between = Side { policies: old.policies, catalog: new.catalog, scope: old.scope };
    let found = Compared::of(old, new);
    let schema =
        if old.catalog == new.catalog { BTreeSet::new() } else { keys(&Compared::of(old, &between).units) };
    let mut changes = grouped(&told(&found.units), &schema);
    changes.extend(terms::changes(old.policies, new.policies, &found.requests, &found.viewed));
    changes.extend(left::changes(old, new, &found.reached));
    changes.extend(without_effect(old, new, &changes));
    changes.sort_by(|a, b| order(a).cmp(&order(b)));
    Diff { database: new.policies.database.clone(), changes }
}

/// Widened, lost, left management, driven by the schema, without effect.
fn order(change: &Change) -> (u8, Direction, &str, &str, &str) {
    let section = match change.direction {
        Direction::Neutral => 4,
        _ if change.left => 2,
        _ if change.by_schema => 3,
        Direction::Lost => 1,
        Direction::Widened | Direction::MayWiden => 0,
    };
    (section, change.direction, &change.who, &change.when, &change.what)
}

/// What changed for everyone, or is held anyway, is not said again of each group and request.
fn told(units: &[Unit]) -> Vec<Unit> {
    let known: BTreeSet<_> = units.iter().map(Unit::key).collect();
    let repeated = |unit: &Unit| {
        let standing = (unit.class.clone(), Condition::Standing);
        let everyone = (Class::Everyone, Condition::Standing);
        [standing, everyone].into_iter().any(|(class, condition)| {
            (&class, &condition) != (&unit.class, &unit.condition)
                && known.contains(&Unit { class, condition, ..unit.clone() }.key())
        })
    };
    units.iter().filter(|unit| !repeated(unit)).cloned().collect()
}

/// Two sides, held against one another class by class.
struct Compared {
    units: Vec<Unit>,
    /// Requests that give something on either side.
    requests: BTreeSet<Condition>,
    /// Relations somebody reached on the old side.
    reached: BTreeSet<RelationName>,
    /// Relations whose filters had a say elsewhere on the old side.
    viewed: BTreeSet<RelationName>,
}

impl Compared {
    fn of(old: &Side<'_>, new: &Side<'_>) -> Self {
        let (before, after) = (Index::of(old), Index::of(new));
        let mut holdings = BTreeMap::new();
        let mut anybody = compare::Anybody::default();
        for class in before.classes().into_iter().chain(after.classes()).collect::<BTreeSet<Class>>() {
            let conditions = before.conditions(&class).into_iter().chain(after.conditions(&class));
            for condition in conditions.collect::<BTreeSet<Condition>>() {
                let was = Holding::of(old, &before, &class, &condition);
                let is = Holding::of(new, &after, &class, &condition);
                anybody.before.add(&was, old.catalog);
                anybody.after.add(&is, new.catalog);
                holdings.insert((class.clone(), condition), (was, is));
            }
        }
        anybody.before.close(old.catalog);
        anybody.after.close(new.catalog);
        let mut requests = BTreeSet::new();
        for ((class, condition), (was, is)) in &holdings {
            let Some(standing) = holdings.get(&(class.clone(), Condition::Standing)) else { continue };
            let more = document(was, &anybody.before) != document(&standing.0, &anybody.before)
                || document(is, &anybody.after) != document(&standing.1, &anybody.after);
            if more {
                requests.insert(condition.clone());
            }
        }
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
        let viewed = anybody.before.viewed;
        let reached = anybody.before.verbs.into_iter().map(|(relation, _)| relation).collect();
        Self { units, requests, reached, viewed }
    }
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
            (unit.what.as_str(), &unit.relation),
            (unit.before.as_str(), unit.after.as_str()),
        );
        let group = groups.entry(key).or_default();
        group.0.extend(unit.column.as_ref().map(ToString::to_string));
        group.1.extend(unit.origins.iter().cloned());
    }
    groups
        .into_iter()
        .map(
            |(
                (direction, by_schema, (class, condition), (what, relation), (before, after)),
                (columns, origins),
            )| {
                let columns =
                    if columns.is_empty() { String::new() } else { format!(": {}", columns.join(", ")) };
                Change {
                    direction,
                    by_schema,
                    left: false,
                    relation: relation.clone(),
                    who: class.to_string(),
                    when: condition.to_string(),
                    what: format!("{what}{columns}"),
                    before: before.to_owned(),
                    after: after.to_owned(),
                    origins,
                }
            },
        )
        .collect()
}

/// Policies that were edited although nobody they concern has a change.
fn without_effect(old: &Side<'_>, new: &Side<'_>, changes: &[Change]) -> Vec<Change> {
    let touched: BTreeSet<&str> = changes.iter().map(|change| change.who.as_str()).collect();
    let by_name = |side: &Side<'_>| {
        let ceilings: Vec<Policy> = side.policies.ceilings.iter().map(daam_model::Ceiling::whole).collect();
        side.policies.policies.iter().chain(&ceilings).map(|p| (p.name.clone(), unplaced(p))).collect()
    };
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
        let terms = [format!("request {name} "), format!("request ceiling {name} ")];
        let renegotiated =
            changes.iter().any(|change| terms.iter().any(|terms| change.what.starts_with(terms)));
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
