//! What the changes mean for policies: what they name that is gone, and who reaches more than before.
//!
//! Reach is asked of the evaluator agents run, over both catalogues cut down to what changed and what shares rows
//! with it. A mask that is not surely as strict as before, and a filter that does not surely reach fewer rows, count
//! as more.

use super::{Context, Kind, Object, Reached, SchemaChange, Significance};
use crate::effects::{Access, Class, Condition, Holding, Index, Side, cut, kin};
use daam_catalog::{Catalog, Column, Identifier, Relation, RelationName};
use daam_model::{EffectiveMask, Origin, Verb};
use daam_sql::Filter;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(
    changes: &mut Vec<SchemaChange>,
    before: &Catalog,
    after: &Catalog,
    context: Context<'_>,
) {
    let named = Named::of(context, changes, after);
    let reached = reached(changes, before, after, context);
    opened(changes, &reached);
    let known: BTreeSet<Object> = changes.iter().map(|change| change.object.clone()).collect();
    for change in changes {
        change.named = named.clauses(change);
        change.reached = reached_by(change, &known, &reached);
        let sensitive =
            change.reached.iter().any(|reached| reached.sensitive.is_some() && reached.is_clear());
        change.significance = if !change.named.is_empty() {
            Significance::BreaksPolicy
        } else if sensitive {
            Significance::NewlySensitive
        } else if !change.reached.is_empty() {
            Significance::NewlyMatched
        } else {
            Significance::Neutral
        };
    }
}

/// What policies name outright, as far as it is gone or no longer fits.
#[derive(Default)]
struct Named(BTreeMap<Object, BTreeSet<Origin>>);

impl Named {
    fn of(context: Context<'_>, changes: &[SchemaChange], after: &Catalog) -> Self {
        let mut named = Self::default();
        let gone: BTreeSet<&Object> = changes
            .iter()
            .filter(|change| change.kind == Kind::Removed)
            .map(|change| &change.object)
            .collect();
        let retyped = changes.iter().filter(|change| change.kind == Kind::Changed).filter_map(|change| {
            let Object::Column(relation, column) = &change.object else { return None };
            after.relation(relation)?.column(column).map(|found| (relation, found))
        });
        let retyped: Vec<(&RelationName, &Column)> = retyped.collect();
        for policy in &context.policies.policies {
            for grant in &policy.grants {
                for pattern in &grant.on {
                    named.relation(pattern.literal(), &gone, &grant.origin);
                }
                named.functions(grant, &gone);
                named.columns(grant, &gone);
            }
            for mask in &policy.masks {
                for pattern in &mask.on {
                    let relation = pattern.relation().literal();
                    let column = pattern.literal_column().and_then(|name| Identifier::stored(name).ok());
                    if let (Some(relation), Some(column)) = (relation.clone(), column) {
                        named.add(Object::Column(relation, column), &gone, &mask.origin);
                        for (relation, column) in &retyped {
                            let fits = mask.with == daam_model::Mask::Redact
                                || mask.with.fits(column.data_type.class);
                            if !fits && pattern.matches(relation, &column.name) {
                                let object = Object::Column((*relation).clone(), column.name.clone());
                                named.0.entry(object).or_default().insert(mask.origin.clone());
                            }
                        }
                    }
                    named.relation(relation, &gone, &mask.origin);
                }
            }
        }
        named
    }

    fn add(&mut self, object: Object, gone: &BTreeSet<&Object>, origin: &Origin) {
        if gone.contains(&object) {
            self.0.entry(object).or_default().insert(origin.clone());
        }
    }

    fn relation(&mut self, name: Option<RelationName>, gone: &BTreeSet<&Object>, origin: &Origin) {
        if let Some(name) = name {
            self.add(Object::Relation(name), gone, origin);
        }
    }

    fn functions(&mut self, grant: &daam_model::Grant, gone: &BTreeSet<&Object>) {
        for object in gone {
            let Object::Function(name) = object else { continue };
            let meant = |pattern: &&daam_catalog::RelationPattern| {
                pattern.literal().is_some() && pattern.matches_parts(&name.schema, &name.name)
            };
            if grant.functions.iter().find(meant).is_some() {
                self.add((*object).clone(), gone, &grant.origin);
            }
        }
        for filter in filters(grant) {
            for used in filter.functions() {
                for object in gone {
                    let Object::Function(name) = object else { continue };
                    if name.schema == used.schema && name.name == used.name {
                        self.add((*object).clone(), gone, &grant.origin);
                    }
                }
            }
            for used in filter.relations() {
                for column in used.columns {
                    self.add(Object::Column(used.name.clone(), column), gone, &grant.origin);
                }
                self.relation(Some(used.name), gone, &grant.origin);
            }
        }
    }

    /// Columns a grant narrows itself to, and columns its filters read.
    fn columns(&mut self, grant: &daam_model::Grant, gone: &BTreeSet<&Object>) {
        let mut read: BTreeSet<Identifier> = grant.columns.values().flatten().cloned().collect();
        read.extend(filters(grant).into_iter().flat_map(|filter| filter.columns()).map(|used| used.name));
        for object in gone {
            if let Object::Column(relation, column) = object
                && read.contains(column)
                && grant.on.iter().any(|pattern| pattern.matches(relation))
            {
                self.add((*object).clone(), gone, &grant.origin);
            }
        }
    }

    fn clauses(&self, change: &SchemaChange) -> BTreeSet<Origin> {
        self.0.get(&change.object).cloned().unwrap_or_default()
    }
}

fn filters(grant: &daam_model::Grant) -> Vec<Filter> {
    grant.rows.iter().chain(&grant.restrict).filter_map(|text| Filter::parse(text).ok()).collect()
}

/// New reach by relation.
type Found = BTreeMap<RelationName, Vec<Reached>>;

fn reached(changes: &[SchemaChange], before: &Catalog, after: &Catalog, context: Context<'_>) -> Found {
    let touched: BTreeSet<RelationName> = changes
        .iter()
        .filter(|change| !change.hint)
        .filter_map(|change| match &change.object {
            Object::Relation(name) | Object::Column(name, _) => Some(name.clone()),
            _ => None,
        })
        .collect();
    // One set for both sides: what only one of them has to do with would seem to be new.
    let mut kept = kin(before, &touched);
    kept.extend(kin(after, &touched));
    let (old, new) = (cut(before, kept.iter().copied()), cut(after, kept));
    let side = |catalog| Side { policies: context.policies, catalog, scope: context.scope };
    let mut found = Found::new();
    let mut everyone = BTreeSet::new();
    // Whom policies concern is the same on both sides: only the schema is another.
    let index = Index::of(&side(&new));
    for class in index.classes() {
        for condition in index.conditions(&class) {
            let held = Holding::of(&side(&new), &index, &class, &condition);
            let had = Holding::of(&side(&old), &index, &class, &condition);
            for (name, mut reached) in more(&had, &held, &class, &condition) {
                let Some(relation) = new.relation(&name) else { continue };
                judge_sensitive(&mut reached, relation, old.relation(&name), context);
                let key = (name.clone(), reached.column.clone(), reached.verbs.clone(), reached.mask.clone());
                if class == Class::Everyone && condition == Condition::Standing {
                    everyone.insert(key);
                } else if everyone.contains(&key) {
                    continue;
                }
                found.entry(name).or_default().push(reached);
            }
            sensitive_now(&held, (&old, &new), (&class, &condition), context, &mut found);
        }
    }
    found
}

/// What is held now and was not, column by column.
fn more(had: &Holding, held: &Holding, class: &Class, condition: &Condition) -> Vec<(RelationName, Reached)> {
    let mut columns: BTreeMap<(RelationName, Identifier), Reached> = BTreeMap::new();
    for ((name, verb), access) in &held.access {
        let old = had.access.get(&(name.clone(), *verb));
        for (column, mask) in &access.columns {
            if !grows(old, access, column, mask.as_ref()) {
                continue;
            }
            let reached = columns.entry((name.clone(), column.clone())).or_insert_with(|| Reached {
                who: class.to_string(),
                when: condition.to_string(),
                column: column.as_str().to_owned(),
                verbs: Vec::new(),
                mask: None,
                sensitive: None,
                origins: BTreeSet::new(),
            });
            reached.verbs.push(verb.as_str());
            reached.origins.extend(access.origins.iter().cloned());
            if *verb == Verb::Select {
                reached.mask = mask.as_ref().map(|mask| crate::preset::written(mask.mask()));
            }
        }
    }
    columns.into_iter().map(|((name, _), reached)| (name, reached)).collect()
}

fn grows(old: Option<&Access>, new: &Access, column: &Identifier, mask: Option<&EffectiveMask>) -> bool {
    let Some(old) = old else { return true };
    let Some(masked) = old.columns.get(column) else { return true };
    let weaker = match (masked, mask) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => !new.covers(old),
    };
    weaker || !new.rows.within(&old.rows)
}

fn judge_sensitive(reached: &mut Reached, relation: &Relation, old: Option<&Relation>, context: Context<'_>) {
    let named = |relation: &Relation| {
        relation.columns.iter().find(|column| column.name.as_str() == reached.column).cloned()
    };
    let Some(column) = named(relation) else { return };
    let known = old.and_then(|old| named(old).map(|column| (old, column)));
    let was = known.is_some_and(|(old, column)| (context.sensitive)(old, &column).is_some());
    reached.sensitive = (context.sensitive)(relation, &column).filter(|_| !was);
}

/// Columns that were read before and look sensitive only now: a comment, a label or the type changed.
fn sensitive_now(
    held: &Holding,
    (old, new): (&Catalog, &Catalog),
    (class, condition): (&Class, &Condition),
    context: Context<'_>,
    found: &mut Found,
) {
    for ((name, verb), access) in held.access.iter().filter(|((_, verb), _)| *verb == Verb::Select) {
        let (Some(before), Some(after)) = (old.relation(name), new.relation(name)) else { continue };
        for (column, _) in access.columns.iter().filter(|(_, mask)| mask.is_none()) {
            let (Some(was), Some(is)) = (before.column(column), after.column(column)) else { continue };
            if was == is || (context.sensitive)(before, was).is_some() {
                continue;
            }
            let Some(why) = (context.sensitive)(after, is) else { continue };
            found.entry(name.clone()).or_default().push(Reached {
                who: class.to_string(),
                when: condition.to_string(),
                column: column.as_str().to_owned(),
                verbs: vec![verb.as_str()],
                mask: None,
                sensitive: Some(why),
                origins: access.origins.clone(),
            });
        }
    }
}

/// Objects can open because of others: a view because of what it reads, a column because of the one it is computed
/// from. What no change of their own explains gets one.
fn opened(changes: &mut Vec<SchemaChange>, reached: &Found) {
    let known: BTreeSet<Object> = changes.iter().map(|change| change.object.clone()).collect();
    for (name, list) in reached {
        let object = Object::Relation(name.clone());
        if !known.contains(&object) && list.iter().any(|one| !explains(&known, name, one)) {
            changes.push(SchemaChange {
                significance: Significance::Neutral,
                object,
                kind: Kind::Changed,
                what: "what it is made of changed".to_owned(),
                hint: false,
                reached: Vec::new(),
                named: BTreeSet::new(),
            });
        }
    }
}

/// Whether the column has a change of its own.
fn explains(known: &BTreeSet<Object>, relation: &RelationName, reached: &Reached) -> bool {
    let column = Identifier::stored(reached.column.as_str());
    column.is_ok_and(|column| known.contains(&Object::Column(relation.clone(), column)))
}

/// A column's own change speaks for it; the rest belongs to the relation.
fn reached_by(change: &SchemaChange, known: &BTreeSet<Object>, reached: &Found) -> Vec<Reached> {
    let (name, own) = match &change.object {
        Object::Relation(name) => (name, None),
        Object::Column(name, column) => (name, Some(column.as_str())),
        _ => return Vec::new(),
    };
    let belongs = |one: &&Reached| match own {
        Some(column) => one.column == column,
        None => !explains(known, name, one),
    };
    reached.get(name).into_iter().flatten().filter(belongs).cloned().collect()
}
