//! What one class holds, in a form two of which can be compared.

use super::{Class, Condition, Index, Side};
use daam_catalog::pattern::RelationPattern;
use daam_catalog::{FunctionName, Identifier, RelationName};
use daam_model::{
    EffectiveMask, Grant, Origin, Policy, RelationAccess, RowFilter, SessionLimits, Subjects, Verb,
};
use daam_sql::Filter;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What one class holds under one condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holding {
    /// Granted verbs, within the scope.
    pub access: BTreeMap<(RelationName, Verb), Access>,
    /// Masks over every column, granted to this class or not: they hold over other policies' grants too.
    pub masks: BTreeMap<(RelationName, Identifier), EffectiveMask>,
    /// Restrictions over every verb, granted to this class or not.
    pub restrictions: BTreeMap<(RelationName, Verb), Rows>,
    /// Functions that may be called.
    pub functions: BTreeSet<FunctionName>,
    /// Limits on sessions.
    pub limits: SessionLimits,
}

/// One verb on one relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Columns, with their mask where the verb reads; empty for verbs without columns.
    pub columns: BTreeMap<Identifier, Option<EffectiveMask>>,
    /// The rows it reaches.
    pub rows: Rows,
    /// The clauses that grant it.
    pub origins: BTreeSet<Origin>,
    /// The rules that mask its columns.
    pub mask_origins: BTreeSet<Origin>,
}

/// A row filter as conditions: any of `any` (all rows if there is none), and all of `all`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rows {
    any: BTreeSet<BTreeSet<String>>,
    all: BTreeSet<String>,
}

impl Rows {
    /// The conditions of a filter.
    pub fn of(filter: &RowFilter) -> Self {
        let any = filter.any.iter().map(|clause| conjuncts(&clause.text)).collect();
        let all = filter.all.iter().flat_map(|clause| conjuncts(&clause.text)).collect();
        Self { any, all }.settled()
    }

    /// The one form of all filters that are within one another both ways: what every alternative says is said once,
    /// and an alternative within another is none.
    fn settled(self) -> Self {
        let Self { any, mut all } = self;
        let without = |alternative: &BTreeSet<String>, said: &BTreeSet<String>| -> BTreeSet<String> {
            alternative.difference(said).cloned().collect()
        };
        let any: BTreeSet<BTreeSet<String>> = any.iter().map(|one| without(one, &all)).collect();
        let within_another =
            |one: &BTreeSet<String>| any.iter().any(|other| other != one && other.is_subset(one));
        let any: Vec<&BTreeSet<String>> = any.iter().filter(|one| !within_another(one)).collect();
        let Some((first, rest)) = any.split_first() else { return Self { any: BTreeSet::new(), all } };
        let common: BTreeSet<String> =
            first.iter().filter(|text| rest.iter().all(|one| one.contains(*text))).cloned().collect();
        let any = if rest.is_empty() {
            BTreeSet::new()
        } else {
            any.iter().map(|one| without(one, &common)).collect()
        };
        all.extend(common);
        Self { any, all }
    }

    /// Whether every row is reached.
    pub fn is_all(&self) -> bool {
        self.any.is_empty() && self.all.is_empty()
    }

    /// Whether these rows are surely among the other's. `false` also where that cannot be told.
    pub fn within(&self, other: &Self) -> bool {
        let everything = BTreeSet::from([BTreeSet::new()]);
        let mine = if self.any.is_empty() { &everything } else { &self.any };
        let theirs = if other.any.is_empty() { &everything } else { &other.any };
        mine.iter().all(|alternative| {
            let holds = |condition: &String| alternative.contains(condition) || self.all.contains(condition);
            other.all.iter().all(holds) && theirs.iter().any(|wider| wider.iter().all(holds))
        })
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all rows");
        }
        let both = |conditions: &BTreeSet<String>| {
            let parts: Vec<String> = conditions.iter().map(|text| bracketed(text)).collect();
            parts.join(" and ")
        };
        let any: Vec<String> = self.any.iter().map(both).collect();
        let mut parts = match any.as_slice() {
            [] => Vec::new(),
            [only] => vec![only.clone()],
            several => vec![format!("({})", several.join(" or "))],
        };
        parts.extend(self.all.iter().map(|text| bracketed(text)));
        f.write_str(&parts.join(" and "))
    }
}

fn bracketed(text: &str) -> String {
    if text.contains(" OR ") { format!("({text})") } else { text.to_owned() }
}

fn conjuncts(text: &str) -> BTreeSet<String> {
    Filter::parse(text).map_or_else(|_| BTreeSet::from([text.to_owned()]), |filter| filter.conjuncts())
}

impl Holding {
    /// Evaluates a class; the index is the side's.
    pub fn of(side: &Side<'_>, index: &Index<'_>, class: &Class, condition: &Condition) -> Self {
        let held = index.evaluate(side.catalog, class, condition);
        let hiding = Self::hiding(side, index, class, condition);
        let mut holding = Self { functions: held.functions, limits: held.limits, ..hiding };
        for (name, access) in &held.relations {
            if side.scope.admits(name) {
                for verb in access.verbs.keys() {
                    holding.access.insert((name.clone(), *verb), one(*verb, access));
                }
            }
        }
        holding
    }

    /// What the class's policies hide from whoever they apply to, whatever else grants access: seen by asking
    /// what would be left of access to everything.
    fn hiding(side: &Side<'_>, index: &Index<'_>, class: &Class, condition: &Condition) -> Self {
        let mut holding = Self::default();
        let held = index.evaluate_with(side.catalog, class, condition, Some(everything()));
        for (name, access) in &held.relations {
            if !side.scope.admits(name) {
                continue;
            }
            for (column, mask) in &access.masks {
                holding.masks.insert((name.clone(), column.clone()), mask.clone());
            }
            for (verb, filter) in &access.rows {
                holding.restrictions.insert((name.clone(), *verb), Rows::of(filter));
            }
        }
        holding
    }

    /// Whether the verb is held on any column of the relation.
    pub fn has(&self, relation: &RelationName, verb: Verb) -> bool {
        self.access.contains_key(&(relation.clone(), verb))
    }

    /// Whether the column can be read.
    pub fn reads(&self, relation: &RelationName, column: &Identifier) -> bool {
        let access = self.access.get(&(relation.clone(), Verb::Select));
        access.is_some_and(|access| access.columns.contains_key(column))
    }
}

fn everything() -> Policy {
    Policy {
        name: String::new(),
        description: String::new(),
        subjects: Subjects { everyone: true, ..Subjects::default() },
        grants: vec![Grant {
            on: RelationPattern::parse("*.*").into_iter().collect(),
            allow: Verb::ALL.into_iter().collect(),
            ..Grant::default()
        }],
        masks: Vec::new(),
        session: SessionLimits::default(),
        request: None,
        origin: Origin::default(),
    }
}

fn one(verb: Verb, access: &RelationAccess) -> Access {
    let columns = access.verbs.get(&verb).into_iter().flatten();
    let mask = |column: &Identifier| access.masks.get(column).filter(|_| verb == Verb::Select).cloned();
    let columns: BTreeMap<_, _> = columns.map(|column| (column.clone(), mask(column))).collect();
    let masked = access.mask_origins.iter().filter(|(column, _)| columns.contains_key(*column));
    let mask_origins = masked.flat_map(|(_, origins)| origins.iter().cloned());
    Access {
        rows: access.rows.get(&verb).map(Rows::of).unwrap_or_default(),
        origins: access.verb_origins.get(&verb).cloned().unwrap_or_default(),
        mask_origins: if verb == Verb::Select { mask_origins.collect() } else { BTreeSet::new() },
        columns,
    }
}
