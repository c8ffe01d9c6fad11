//! What somebody asks for ad hoc, held against a ceiling.
//!
//! The result is a policy made of the ceiling's own clauses, cut down to what was asked for, so it cannot say more than the
//! ceiling does. What was asked for beyond it refuses all of it: nobody approved a part.

use crate::effective::concerned;
use crate::mask::constant::is_uuid;
use crate::mask::{EffectiveMask, Mask};
use crate::policy::{Ceiling, Grant, MaskRule, Origin, Policy, PolicySet, SessionLimits, Verb};
use daam_catalog::{
    Catalog, Column, ColumnPattern, Generated, Identifier, Relation, RelationName, RelationPattern, TypeClass,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most values of one condition.
const MOST_VALUES: usize = 1000;
/// Longest value of a condition.
const LONGEST_VALUE: usize = 1000;

/// One relation that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRelation {
    /// Which.
    pub name: RelationName,
    /// What to do with it.
    pub verbs: BTreeSet<Verb>,
    /// Verbs narrowed to columns.
    pub columns: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// Masks stricter than the ceiling's.
    pub masks: BTreeMap<Identifier, Mask>,
    /// Conditions on rows, all of which hold.
    pub rows: Vec<AskedRows>,
}

/// One condition on rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRows {
    /// A column.
    pub column: Identifier,
    /// The values it may have.
    pub any_of: BTreeSet<String>,
}

/// Why a ceiling does not admit what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Nothing is asked for.
    #[error("no relation is asked for; name at least one")]
    Nothing,
    /// A relation is asked for twice.
    #[error("`{0}` is asked for twice; say all of it in one entry")]
    Twice(RelationName),
    /// Not in the catalogue.
    #[error("there is no relation `{0}` here; the schema report lists those there are")]
    Unknown(RelationName),
    /// Without verbs.
    #[error("nothing is to be done with `{0}`; name at least one verb")]
    NoVerb(RelationName),
    /// The ceiling does not give the verb.
    #[error("`{}` on `{relation}` is above the ceiling; it has to be in the ceiling's `grants`", .verb.as_str())]
    Verb {
        /// On what.
        relation: RelationName,
        /// What.
        verb: Verb,
    },
    /// The ceiling does not give the verb for a column, or there is no such column.
    #[error("`{}` of column `{column}` of `{relation}` is above the ceiling, or there is no such column", .verb.as_str())]
    Column {
        /// Of what.
        relation: RelationName,
        /// What.
        verb: Verb,
        /// Which column.
        column: Identifier,
    },
    /// Columns of a verb that is not asked for or has none.
    #[error("`{relation}` narrows `{}` to columns, which is not asked for there or has no columns", .verb.as_str())]
    Narrowing {
        /// Of what.
        relation: RelationName,
        /// Which verb.
        verb: Verb,
    },
    /// A mask that shows more than the ceiling's.
    #[error(
        "mask `{asked}` of `{relation}.{column}` shows more than the ceiling's `{ceiling}`; ask for that or a stricter one"
    )]
    Weaker {
        /// Of what.
        relation: RelationName,
        /// Which column.
        column: Identifier,
        /// The preset asked for.
        asked: &'static str,
        /// The ceiling's.
        ceiling: &'static str,
    },
    /// A mask for something that is not read.
    #[error("`{relation}.{column}` is given a mask, but is not asked for reading")]
    MaskUnread {
        /// Of what.
        relation: RelationName,
        /// Which column.
        column: Identifier,
    },
    /// A condition that cannot be carried out, or would tell what a mask hides.
    #[error("the condition on `{relation}.{column}` is not accepted: {why}")]
    Condition {
        /// Of what.
        relation: RelationName,
        /// Which column.
        column: Identifier,
        /// Why, and what is.
        why: &'static str,
    },
}

impl Ceiling {
    /// The policy of a request within this ceiling, under the name `name`.
    pub fn within(
        &self,
        name: &str,
        asked: &[AskedRelation],
        catalog: &Catalog,
        set: &PolicySet,
    ) -> Result<Policy, Excess> {
        let mut policy = Policy {
            name: name.to_owned(),
            grants: Vec::new(),
            masks: Vec::new(),
            session: SessionLimits::default(),
            ..self.whole()
        };
        let mut seen = BTreeSet::new();
        for relation in asked {
            if !seen.insert(&relation.name) {
                return Err(Excess::Twice(relation.name.clone()));
            }
            Cut { ceiling: self, asked: relation, catalog, set }.into_policy(&mut policy)?;
        }
        if seen.is_empty() { Err(Excess::Nothing) } else { Ok(policy) }
    }
}

/// One relation being cut out of a ceiling.
struct Cut<'a> {
    ceiling: &'a Ceiling,
    asked: &'a AskedRelation,
    catalog: &'a Catalog,
    set: &'a PolicySet,
}

impl Cut<'_> {
    fn into_policy(self, policy: &mut Policy) -> Result<(), Excess> {
        let AskedRelation { name, verbs, columns, .. } = self.asked;
        let relation = self.catalog.relation(name).ok_or_else(|| Excess::Unknown(name.clone()))?;
        if verbs.is_empty() {
            return Err(Excess::NoVerb(name.clone()));
        }
        if let Some(verb) = columns.keys().find(|verb| !verbs.contains(verb) || !verb.has_columns()) {
            return Err(Excess::Narrowing { relation: name.clone(), verb: *verb });
        }
        let condition = self.condition(relation)?;
        for verb in verbs {
            policy.grants.extend(self.grants(relation, *verb, condition.as_deref())?);
        }
        policy.masks.extend(self.masks(relation)?);
        Ok(())
    }

    /// The ceiling's grants of a verb, cut to the relation and the columns.
    fn grants(&self, relation: &Relation, verb: Verb, condition: Option<&str>) -> Result<Vec<Grant>, Excess> {
        let name = &relation.name;
        let wanted = self.asked.columns.get(&verb);
        let mut grants = Vec::new();
        let mut given: BTreeSet<&Identifier> = BTreeSet::new();
        let covering = self.ceiling.grants.iter().filter(|grant| {
            grant.allow.contains(&verb) && grant.on.iter().any(|pattern| pattern.matches(name))
        });
        for grant in covering {
            let narrowed = grant.columns.get(&verb);
            let columns: BTreeSet<&Identifier> = relation
                .columns
                .iter()
                .map(|column| &column.name)
                .filter(|column| narrowed.is_none_or(|names| names.contains(column)))
                .filter(|column| wanted.is_none_or(|names| names.contains(column)))
                .collect();
            if verb.has_columns() && columns.is_empty() {
                continue;
            }
            let narrowing = (verb.has_columns() && (narrowed.is_some() || wanted.is_some()))
                .then(|| (verb, columns.iter().map(|column| (*column).clone()).collect()));
            given.extend(columns);
            grants.push(Grant {
                on: vec![RelationPattern::exactly(name)],
                allow: BTreeSet::from([verb]),
                columns: narrowing.into_iter().collect(),
                rows: both(grant.rows.as_deref(), condition),
                origin: grant.origin.clone(),
                ..Grant::default()
            });
        }
        if let Some(column) = wanted.into_iter().flatten().find(|column| !given.contains(column)) {
            return Err(Excess::Column { relation: name.clone(), verb, column: column.clone() });
        }
        if grants.is_empty() {
            return Err(Excess::Verb { relation: name.clone(), verb });
        }
        Ok(grants)
    }

    /// The ceiling's masks of whatever could show through the relation, and those asked for. Only reading shows anything.
    fn masks(&self, relation: &Relation) -> Result<Vec<MaskRule>, Excess> {
        let name = &relation.name;
        let reads = self.asked.verbs.contains(&Verb::Select);
        let mut rules = Vec::new();
        for (column, mask) in &self.asked.masks {
            let Some(known) = relation.column(column).filter(|_| reads) else {
                return Err(Excess::MaskUnread { relation: name.clone(), column: column.clone() });
            };
            rules.push(self.mask(name, known, mask)?);
        }
        if reads {
            for concerned in concerned(std::iter::once(name), self.catalog) {
                let of = |rule: &MaskRule| {
                    let on = rule.on.iter().filter(|pattern| pattern.relation().matches(concerned));
                    let on: Vec<ColumnPattern> = on.map(|pattern| pattern.only_on(concerned)).collect();
                    (!on.is_empty()).then(|| MaskRule { on, ..rule.clone() })
                };
                rules.extend(self.ceiling.masks.iter().filter_map(of));
            }
        }
        Ok(rules)
    }

    fn mask(&self, relation: &RelationName, column: &Column, asked: &Mask) -> Result<MaskRule, Excess> {
        let class = column.data_type.class;
        let fitted = |mask: &Mask| EffectiveMask::new(mask.clone()).fitted(class);
        let wanted = fitted(asked);
        let on = |rule: &&MaskRule| rule.on.iter().any(|pattern| pattern.matches(relation, &column.name));
        let weaker = self.ceiling.masks.iter().filter(on).map(|rule| fitted(&rule.with));
        if let Some(ceiling) = weaker.into_iter().find(|ceiling| !wanted.covers(ceiling)) {
            return Err(Excess::Weaker {
                relation: relation.clone(),
                column: column.name.clone(),
                asked: wanted.mask().preset(),
                ceiling: ceiling.mask().preset(),
            });
        }
        let on = vec![ColumnPattern::exactly(relation, &column.name)];
        Ok(MaskRule { on, with: asked.clone(), origin: Origin::default() })
    }

    /// All conditions as one expression.
    fn condition(&self, relation: &Relation) -> Result<Option<String>, Excess> {
        let mut all = None;
        for rows in &self.asked.rows {
            let refuse =
                |why| Excess::Condition { relation: relation.name.clone(), column: rows.column.clone(), why };
            let column = relation.column(&rows.column).ok_or_else(|| refuse("there is no such column"))?;
            if self.asked.verbs.contains(&Verb::Truncate) {
                return Err(refuse("`truncate` knows no rows; ask for it apart"));
            }
            if matches!(column.generated, Generated::From(_)) || self.is_masked(relation, &column.name) {
                return Err(refuse(
                    "it would tell what a mask hides; choose a column that is not masked or generated",
                ));
            }
            let literals: Option<Vec<String>> =
                rows.any_of.iter().map(|value| literal(value, column.data_type.class)).collect();
            let literals =
                literals.filter(|literals| (1..=MOST_VALUES).contains(&literals.len())).ok_or_else(|| {
                    refuse("1 to 1000 values of a text, uuid, whole-number or boolean column are")
                })?;
            let text = format!("{} IN ({})", rows.column.quoted(), literals.join(", "));
            all = both(all.as_deref(), Some(&text));
        }
        Ok(all)
    }

    /// Whether any rule of the whole set, for whomever, masks the column here or in the relation's family.
    fn is_masked(&self, relation: &Relation, column: &Identifier) -> bool {
        let concerned = concerned(std::iter::once(&relation.name), self.catalog);
        let of_policies = self.set.policies.iter().flat_map(|policy| &policy.masks);
        let of_ceilings = self.set.ceilings.iter().flat_map(|ceiling| &ceiling.masks);
        self.asked.masks.contains_key(column)
            || of_policies
                .chain(of_ceilings)
                .chain(&self.ceiling.masks)
                .flat_map(|rule| &rule.on)
                .any(|pattern| concerned.iter().any(|relation| pattern.matches(relation, column)))
    }
}

fn both(one: Option<&str>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("({one}) AND ({other})")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// A value as SQL, if it is one of that class. A backslash would depend on a setting.
fn literal(value: &str, class: TypeClass) -> Option<String> {
    let plain = value.len() <= LONGEST_VALUE && !value.contains(['\0', '\\']);
    let quoted = || format!("'{}'", value.replace('\'', "''"));
    match class {
        TypeClass::Text if plain => Some(quoted()),
        TypeClass::Uuid if is_uuid(value) => Some(quoted()),
        TypeClass::Integer => value.parse::<i64>().ok().map(|number| number.to_string()),
        TypeClass::Boolean => value.parse::<bool>().ok().map(|flag| flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
