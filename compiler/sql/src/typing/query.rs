//! Subqueries: the relations they read, the type they select, and where aggregates may stand.

use super::judge::{Judge, Judged};
use super::kind::TypeId;
use super::{Fault, TypeError};
use crate::filter::expression::{Expression, Kind, Owner, Query};
use std::collections::BTreeSet;

/// A subquery around the current place.
#[derive(Debug, Default)]
pub(super) struct Level {
    items: Vec<usize>,
    /// Its select list is being read, where aggregates may stand.
    selecting: bool,
    aggregates: bool,
    /// Offsets of the columns inside its aggregates.
    covered: BTreeSet<usize>,
}

impl<'e> Judge<'e, '_> {
    /// The type a subquery selects; none for `EXISTS`.
    pub(super) fn query(&mut self, query: &'e Query) -> Judged<Option<TypeId>> {
        for index in &query.from {
            let Some(item) = self.items.get(*index) else { continue };
            if (self.environment.find)(&item.relation).is_none() {
                let message = format!("relation \"{}\" does not exist", item.relation);
                return Err(TypeError::new(Fault::UnknownRelation, "42P01", item.offset, message));
            }
        }
        self.levels.push(Level { items: query.from.clone(), selecting: true, ..Level::default() });
        let judged = self.parts(query);
        let level = self.levels.pop().unwrap_or_default();
        let selected = judged?;
        if level.aggregates
            && let Some(select) = &query.select
            && let Some((at, name)) = ungrouped(select, &level)
        {
            let message = format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            );
            return self.fail("42803", at, message);
        }
        Ok(selected)
    }

    fn parts(&mut self, query: &'e Query) -> Judged<Option<TypeId>> {
        let ids = *self.universe.ids();
        let mut selected = None;
        if let Some(select) = &query.select {
            let value = self.value(select)?;
            selected = Some(if value.id == ids.unknown { ids.text } else { value.id });
        }
        if let Some(level) = self.levels.last_mut() {
            level.selecting = false;
        }
        if let Some(condition) = &query.condition {
            let value = self.value(condition)?;
            self.boolean(value, "WHERE")?;
        }
        Ok(selected)
    }

    /// Which query an aggregate belongs to is decided by the columns in its arguments; it must be selecting.
    pub(super) fn enter_aggregate(&mut self, node: &Expression, arguments: &[Expression]) -> Judged<()> {
        let (mut items, mut row, mut nested, mut columns) = (BTreeSet::new(), false, false, BTreeSet::new());
        for argument in arguments {
            argument.visit(&mut |part| match &part.kind {
                Kind::Column { owner: Owner::Item(index), .. } => {
                    items.insert(*index);
                    columns.insert(part.offset);
                }
                Kind::Column { owner: Owner::Row { .. }, .. } => row = true,
                Kind::Call { schema: None, name, .. } if crate::filter::is_aggregate(name.as_str()) => {
                    nested = true;
                }
                _ => {}
            });
        }
        if nested {
            return self.fail("42803", node.offset, "aggregate function calls cannot be nested".to_owned());
        }
        let innermost =
            self.levels.iter().rposition(|level| level.items.iter().any(|item| items.contains(item)));
        let index = match innermost {
            Some(index) => Some(index),
            None if row => None,
            None => self.levels.len().checked_sub(1),
        };
        match index.and_then(|index| self.levels.get_mut(index)).filter(|level| level.selecting) {
            Some(level) => {
                level.aggregates = true;
                level.covered.extend(columns);
                Ok(())
            }
            None => {
                self.fail("42803", node.offset, "aggregate functions are not allowed in WHERE".to_owned())
            }
        }
    }
}

/// A column of the query that is selected beside an aggregate.
fn ungrouped(select: &Expression, level: &Level) -> Option<(usize, String)> {
    let mut found = None;
    select.visit(&mut |part| {
        if let Kind::Column { owner: Owner::Item(index), name } = &part.kind
            && level.items.contains(index)
            && !level.covered.contains(&part.offset)
        {
            found.get_or_insert((part.offset, name.as_str().to_owned()));
        }
    });
    found
}
