//! Masks of every applicable policy, joined per column, and what derived columns inherit.
//!
//! A generated column inherits from the columns its expression reads, a child table from its parents, and a
//! parent from its children, whose rows a query of the parent shows. Whatever is inherited and does not fit
//! becomes `redact`.

use super::RelationAccess;
use super::rows::ancestors;
use crate::mask::EffectiveMask;
use crate::policy::{MaskRule, Origin, Policy};
use daam_catalog::{
    Catalog, ColumnPattern, ColumnRef, Generated, Identifier, Relation, RelationKind, RelationName,
};
use std::collections::{BTreeMap, BTreeSet};

/// The masks of one subject over a part of the catalogue, granted or not.
#[derive(Debug)]
pub(super) struct Masks<'a> {
    rules: Vec<&'a MaskRule>,
    columns: BTreeMap<RelationName, BTreeMap<Identifier, Masked>>,
    /// Relations that a rule could concern by a column they do not have yet.
    open: BTreeSet<RelationName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Masked {
    mask: EffectiveMask,
    origins: BTreeSet<Origin>,
}

impl<'a> Masks<'a> {
    /// Resolves the mask rules of these policies on these relations. They are to be whole families, see
    /// [`super::near`]: a mask passes from parents to children and back.
    pub(super) fn of(policies: &[&'a Policy], near: &[&Relation], catalog: &Catalog) -> Self {
        let rules: Vec<&MaskRule> = policies.iter().flat_map(|policy| &policy.masks).collect();
        let mut masks = Self { rules, columns: BTreeMap::new(), open: BTreeSet::new() };
        if masks.rules.is_empty() {
            return masks;
        }
        for relation in near {
            masks.apply_rules(relation);
        }
        let lineage: BTreeMap<&RelationName, BTreeSet<RelationName>> =
            near.iter().map(|relation| (&relation.name, ancestors(&relation.name, catalog))).collect();
        masks.settle_generated(near);
        for (child, parents) in &lineage {
            for parent in parents {
                masks.copy(parent, child, catalog);
            }
        }
        masks.settle_generated(near);
        // Upwards only now, so that one partition's mask does not reach its siblings through the parent.
        for (child, parents) in &lineage {
            for parent in parents {
                masks.copy(child, parent, catalog);
            }
        }
        masks.settle_generated(near);
        // A column that a parent gets, its children get; one that a child gets shows through no parent.
        let below: Vec<RelationName> = lineage
            .iter()
            .filter(|(_, parents)| parents.iter().any(|parent| masks.open.contains(parent)))
            .map(|(child, _)| (*child).clone())
            .collect();
        // What a child masks is masked in the parent as well.
        let above: Vec<RelationName> = lineage
            .iter()
            .filter(|(child, _)| masks.open.contains(**child))
            .flat_map(|(_, parents)| parents.iter().cloned())
            .collect();
        masks.open.extend(below.into_iter().chain(above));
        masks
    }

    /// Whether a column a view reads is masked; also judged for columns outside the catalogue, by name.
    pub(super) fn hides(&self, read: &ColumnRef) -> bool {
        self.columns.get(&read.relation).is_some_and(|columns| columns.contains_key(&read.column))
            || self
                .rules
                .iter()
                .flat_map(|rule| &rule.on)
                .any(|pattern| pattern.matches(&read.relation, &read.column))
    }

    /// Records the masks of a granted relation.
    pub(super) fn write_into(&self, relation: &Relation, access: &mut RelationAccess) {
        let name = &relation.name;
        // A view can be given a column that reads anything, under any name.
        let view = relation.kind == RelationKind::View && !self.rules.is_empty();
        access.future_masks = view || self.open.contains(name);
        for (column, masked) in self.columns.get(name).into_iter().flatten() {
            access.masks.insert(column.clone(), masked.mask.clone());
            access.mask_origins.insert(column.clone(), masked.origins.clone());
        }
    }

    fn apply_rules(&mut self, relation: &Relation) {
        let mut found = Vec::new();
        for rule in &self.rules {
            // The relation part first: most patterns are not about this relation at all.
            let near: Vec<&ColumnPattern> =
                rule.on.iter().filter(|pattern| pattern.relation().matches(&relation.name)).collect();
            if near.is_empty() {
                continue;
            }
            let there = |pattern: &ColumnPattern| {
                let written = pattern.literal_column();
                written.is_some_and(|name| relation.columns.iter().any(|column| column.name.as_str() == name))
            };
            if !near.iter().all(|pattern| there(pattern)) {
                self.open.insert(relation.name.clone());
            }
            for column in &relation.columns {
                if near.iter().any(|pattern| pattern.matches(&relation.name, &column.name)) {
                    let mask = EffectiveMask::new(rule.with.clone()).fitted(column.data_type.class);
                    let origins = BTreeSet::from([rule.origin.clone()]);
                    found.push((column.name.clone(), Masked { mask, origins }));
                }
            }
        }
        for (column, masked) in found {
            self.add(&relation.name, &column, &masked);
        }
    }

    /// Gives `to` the masks of the columns of the same name in `from`.
    fn copy(&mut self, from: &RelationName, to: &RelationName, catalog: &Catalog) {
        let (Some(source), Some(target)) = (self.columns.get(from).cloned(), catalog.relation(to)) else {
            return;
        };
        for (column, masked) in source {
            if let Some(target_column) = target.column(&column) {
                let mask = masked.mask.fitted(target_column.data_type.class);
                self.add(to, &column, &Masked { mask, origins: masked.origins });
            }
        }
    }

    /// Passes masks on to generated columns until nothing changes (one may read another's source twice removed).
    fn settle_generated(&mut self, near: &[&Relation]) {
        for relation in near {
            while self.settle_once(relation) {}
        }
    }

    fn settle_once(&mut self, relation: &Relation) -> bool {
        let Some(columns) = self.columns.get(&relation.name) else { return false };
        let mut inherited = Vec::new();
        for column in &relation.columns {
            let Generated::From(reads) = &column.generated else { continue };
            for source in reads.iter().filter(|source| **source != column.name) {
                if let Some(masked) = columns.get(source) {
                    let mask = masked.mask.derived(column.data_type.class);
                    inherited.push((column.name.clone(), Masked { mask, origins: masked.origins.clone() }));
                }
            }
        }
        let mut changed = false;
        for (column, masked) in inherited {
            changed |= self.add(&relation.name, &column, &masked);
        }
        changed
    }

    /// Joins a mask in; tells whether that changed anything.
    fn add(&mut self, relation: &RelationName, column: &Identifier, masked: &Masked) -> bool {
        let columns = self.columns.entry(relation.clone()).or_default();
        let Some(present) = columns.get_mut(column) else {
            columns.insert(column.clone(), masked.clone());
            return true;
        };
        let joined = Masked {
            mask: present.mask.join(&masked.mask),
            origins: present.origins.union(&masked.origins).cloned().collect(),
        };
        let changed = *present != joined;
        *present = joined;
        changed
    }
}
