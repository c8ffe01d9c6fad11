//! Views that would show what is hidden, and columns that hold the same values as a masked one.
//!
//! The agent grants no view that reads a masked column, whether the mask was written on it or reached it: a generated
//! column has the masks of what it is computed from, a child table those of its parents, a parent those of its
//! children. Nor one that calls a function with rights of its own. Here that is said at the grant, before anybody
//! wonders where the view is.

use super::{CheckedMask, CheckedPolicy};
use crate::rule;
use crate::tables::Tables;
use daam_catalog::{Column, ColumnRef, FunctionName, Generated, Relation, RelationKind, RelationName};
use daam_diagnostic::{Diagnostic, Location, Severity, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// `together` are the policies with masks that certainly apply to some of the same people.
pub(crate) fn exposed(
    policy: &CheckedPolicy,
    together: &[&CheckedPolicy],
    derived: &Derived,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let masks: Vec<&CheckedMask> = together.iter().flat_map(|other| &other.masks).collect();
    for found in policy.grants.iter().flat_map(|grant| &grant.on) {
        for view in found.relations(tables).filter(|relation| is_view(relation)) {
            if let Some(mut diagnostic) = masked(view, &masks, (derived, tables), found.at) {
                if found.pattern.literal().is_none() {
                    diagnostic.severity = Severity::Warning;
                }
                sink.push(diagnostic);
            } else if let Some(diagnostic) = called(view, policy, found.at) {
                sink.push(diagnostic);
            }
        }
    }
    referring(policy, &masks, derived, tables, sink);
}

fn is_view(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
}

fn covers(mask: &CheckedMask, column: &ColumnRef) -> bool {
    mask.on.iter().any(|found| found.pattern.matches(&column.relation, &column.column))
}

/// A view that reads what is masked: outright, or through a column that is derived from it.
fn masked(
    view: &Relation,
    masks: &[&CheckedMask],
    (derived, tables): (&Derived, &Tables<'_>),
    at: Location,
) -> Option<Diagnostic> {
    if masks.is_empty() {
        return None;
    }
    let direct =
        masks.iter().find_map(|mask| Some((view.reads.iter().find(|read| covers(mask, read))?, mask.at)));
    if let Some((read, mask)) = direct {
        let message = format!(
            "the view `{}` reads `{}.{}`, which is masked for these subjects",
            view.name, read.relation, read.column
        );
        return Some(
            rule::MASKED_COLUMN_EXPOSED_BY_VIEW
                .at(at, message)
                .label(mask, "masked here")
                .help("the view would not be granted; grant its tables, or a view without that column"),
        );
    }
    for read in &view.reads {
        let sources = derived.sources(read, tables);
        let met = sources
            .iter()
            .find_map(|source| Some((source, masks.iter().find(|mask| covers(mask, source))?.at)));
        if let Some((source, mask)) = met {
            let message = format!(
                "the view `{}` reads `{}.{}`, which shows what is masked in `{}.{}` for these subjects",
                view.name, read.relation, read.column, source.relation, source.column
            );
            return Some(
                rule::DERIVED_COLUMN_EXPOSURE
                    .at(at, message)
                    .label(mask, "masked here")
                    .help("the view would not be granted; grant its tables, where the derived column is masked too")
                    .about(format!("relation:{}", view.name)),
            );
        }
    }
    None
}

/// A view that calls a function with rights of its own, which this policy does not grant. Another one may, so it is no
/// more than a warning; if none does, the view is not granted.
fn called(view: &Relation, policy: &CheckedPolicy, at: Location) -> Option<Diagnostic> {
    let granted = |function: &FunctionName| {
        let mut patterns = policy.policy.grants.iter().flat_map(|grant| &grant.functions);
        patterns.any(|pattern| pattern.matches_parts(&function.schema, &function.name))
    };
    let function = view.calls.iter().find(|function| !granted(function))?;
    let message = format!(
        "the view `{}` calls `{function}`, which reads with its owner's rights past every mask and filter",
        view.name
    );
    let mut diagnostic = rule::MASKED_COLUMN_EXPOSED_BY_VIEW
        .at(at, message)
        .help("without the function the view is not granted; grant it too, or a view that does not call it")
        .about(format!("relation:{}", view.name));
    diagnostic.severity = Severity::Warning;
    Some(diagnostic)
}

/// What the catalogue says about values that are those of another column.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    children: BTreeMap<RelationName, Vec<RelationName>>,
    /// Columns of foreign keys, with what they refer to.
    refers: BTreeMap<ColumnRef, Vec<ColumnRef>>,
}

impl Derived {
    /// That of a catalogue.
    pub(crate) fn of(tables: &Tables<'_>) -> Self {
        let mut derived = Self::default();
        for relation in tables.iter() {
            for parent in &relation.parents {
                derived.children.entry(parent.clone()).or_default().push(relation.name.clone());
            }
            for key in &relation.foreign_keys {
                for (column, target) in key.columns.iter().zip(&key.referenced) {
                    let target = ColumnRef { relation: key.references.clone(), column: target.clone() };
                    let column = ColumnRef { relation: relation.name.clone(), column: column.clone() };
                    if column != target {
                        derived.refers.entry(column).or_default().push(target);
                    }
                }
            }
        }
        derived
    }

    /// Where a mask would have to be written to reach this column, besides on itself.
    fn sources(&self, column: &ColumnRef, tables: &Tables<'_>) -> BTreeSet<ColumnRef> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        // A mask of a child reaches its parents but not, through them, its siblings.
        let mut open = vec![(column.clone(), false)];
        while let Some((one, upwards)) = open.pop() {
            if !seen.insert((one.clone(), upwards)) {
                continue;
            }
            let Some((relation, definition)) = definition(&one, tables) else { continue };
            if let Generated::From(sources) = &definition.generated {
                let sources = sources
                    .iter()
                    .map(|source| ColumnRef { relation: relation.name.clone(), column: source.clone() });
                open.extend(sources.map(|source| (source, upwards)));
            }
            let same = |name: &RelationName| ColumnRef { relation: name.clone(), column: one.column.clone() };
            open.extend(relation.parents.iter().map(|parent| (same(parent), true)));
            if !upwards {
                let children = self.children.get(&relation.name).into_iter().flatten();
                open.extend(children.map(|child| (same(child), false)));
            }
            if one != *column {
                found.insert(one);
            }
        }
        found
    }
}

fn definition<'t>(column: &ColumnRef, tables: &'t Tables<'t>) -> Option<(&'t Relation, &'t Column)> {
    let relation = tables.relation(tables.find(&column.relation)?)?;
    Some((relation, relation.column(&column.column)?))
}

/// Columns that refer to a masked one by a foreign key: they hold its values, in clear.
fn referring(
    policy: &CheckedPolicy,
    masks: &[&CheckedMask],
    derived: &Derived,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    if derived.refers.is_empty() || masks.is_empty() {
        return;
    }
    let mut told = BTreeSet::new();
    for (grant, model) in policy.grants.iter().zip(&policy.policy.grants) {
        if !model.allow.contains(&Verb::Select) {
            continue;
        }
        let only = model.columns.get(&Verb::Select);
        for found in &grant.on {
            for relation in found.relations(tables).filter(|relation| !relation.foreign_keys.is_empty()) {
                let columns = relation.foreign_keys.iter().flat_map(|key| &key.columns);
                for column in columns.filter(|column| only.is_none_or(|only| only.contains(*column))) {
                    let column = ColumnRef { relation: relation.name.clone(), column: column.clone() };
                    let targets = derived.refers.get(&column).into_iter().flatten();
                    let met = targets.into_iter().find_map(|target| {
                        Some((target, masks.iter().find(|mask| covers(mask, target))?.at))
                    });
                    let Some((target, mask)) = met else { continue };
                    if masks.iter().any(|mask| covers(mask, &column)) || !told.insert(column.clone()) {
                        continue;
                    }
                    let shown = Shown { column: &column, target, mask };
                    sink.push(shown.finding(found.at, found.pattern.literal().is_some()));
                }
            }
        }
    }
}

/// A column that shows the values of a masked one.
struct Shown<'a> {
    column: &'a ColumnRef,
    target: &'a ColumnRef,
    mask: Location,
}

impl Shown<'_> {
    fn finding(&self, at: Location, literal: bool) -> Diagnostic {
        let Self { column, target, mask } = self;
        let name = format!("{}.{}", column.relation, column.column);
        let message = format!(
            "`{name}` refers to `{}.{}`, which is masked for these subjects, and shows its values in clear",
            target.relation, target.column
        );
        let mut diagnostic = rule::DERIVED_COLUMN_EXPOSURE
            .at(at, message)
            .label(*mask, "masked here")
            .help(format!("mask it too, or leave it out of `columns: {{ select: […] }}`:\n  - on: {name}"))
            .about(format!("column:{name}"));
        if !literal {
            diagnostic.severity = Severity::Warning;
        }
        diagnostic
    }
}
