//! What PostgreSQL would refuse of a filter on each relation it applies to, and what a session could shift by its
//! settings. Told once a place, whatever relation shows it.

use super::Database;
use super::filter::place;
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::project::BUILT_IN;
use daam_catalog::{CastContext, Catalog, Relation, RelationName, UserTypeKind};
use daam_diagnostic::Sink;
use daam_model::AttributeType;
use daam_sql::Filter;
use daam_sql::typing::{
    AttributeKind, Definition, Dependence, Environment, Fault, TypeError, Universe, judge,
};
use std::collections::BTreeSet;

pub(super) fn types(
    filter: &Filter,
    text: &Spanned<String>,
    relations: &[&Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) {
    let Some(catalog) = database.catalog else { return };
    let universe = database.universe.get_or_init(|| universe(catalog));
    let find = |name: &RelationName| catalog.relation(name);
    let attribute = |name: &str| attribute(database, name);
    let mut told = BTreeSet::new();
    for relation in relations {
        let judgement =
            judge(filter, universe, &Environment { relation, find: &find, attribute: &attribute });
        for error in &judgement.errors {
            if told.insert(error.offset) {
                refused(error, text, relation, database, sink);
            }
        }
        for found in &judgement.depends {
            if told.insert(found.offset) {
                depends(found, text, database, sink);
            }
        }
    }
}

fn universe(catalog: &Catalog) -> Universe {
    let types: Vec<(RelationName, Definition)> =
        catalog.types.iter().map(|(name, found)| (name.clone(), definition(&found.kind))).collect();
    let mut universe = Universe::of(catalog, &types);
    for cast in &catalog.casts {
        let implicit = match cast.context {
            CastContext::Implicit => Some(true),
            CastContext::Assignment => Some(false),
            CastContext::Explicit => None,
        };
        universe.define_cast(&cast.from, &cast.to, implicit, cast.function.is_some());
    }
    universe
}

fn definition(kind: &UserTypeKind) -> Definition {
    match kind {
        UserTypeKind::Enum { labels } => Definition::Enum(labels.clone()),
        UserTypeKind::Domain { base, .. } => Definition::Domain(base.clone()),
        UserTypeKind::Composite { fields } => Definition::Composite(fields.clone()),
        UserTypeKind::Range { subtype } => Definition::Range(subtype.clone()),
        UserTypeKind::Base => Definition::Base,
    }
}

fn attribute(database: &Database<'_>, name: &str) -> Option<AttributeKind> {
    if let Some((_, kind)) = BUILT_IN.into_iter().find(|(known, _)| *known == name) {
        return Some(kind);
    }
    database.attributes.get(name).map(|kind| match kind {
        AttributeType::Text => AttributeKind::Text,
        AttributeType::Uuid => AttributeKind::Uuid,
        AttributeType::Integer => AttributeKind::Integer,
        AttributeType::Boolean => AttributeKind::Boolean,
    })
}

fn refused(
    error: &TypeError,
    text: &Spanned<String>,
    relation: &Relation,
    database: &Database<'_>,
    sink: &mut Sink,
) {
    let at = place(database.sources, text, error.offset);
    let on = format!("{}, on `{}`", error.message, relation.name);
    sink.push(match error.fault {
        Fault::NotBoolean => rule::FILTER_NOT_BOOLEAN.at(at, on).help(
            "a filter is a condition: compare the value with something, e.g. `region = subject.region`",
        ),
        Fault::Mismatch => rule::FILTER_TYPE_MISMATCH
            .at(at, on)
            .help("PostgreSQL would refuse it; cast one side, e.g. `tenant_id = subject.tenant::uuid`"),
        Fault::Literal => rule::FILTER_TYPE_MISMATCH
            .at(at, on)
            .help("the literal is read as the type it is compared with, and is no value of it"),
        // Names are looked up, and reported, before types.
        Fault::UnknownColumn | Fault::UnknownRelation | Fault::UnknownAttribute | Fault::UnknownFunction => {
            return;
        }
    });
}

fn depends(found: &Dependence, text: &Spanned<String>, database: &Database<'_>, sink: &mut Sink) {
    let at = place(database.sources, text, found.offset);
    let message =
        format!("{} depends on `{}`, which a session can set for itself", found.what, found.setting);
    sink.push(rule::FILTER_SESSION_SETTING.at(at, message).help(found.remedy));
}
