//! The types, operators and casts that what is in scope has to do with.
//!
//! A type is inside if the scope names it as it would name a relation, or if a column in scope is made of it and its
//! schema has something in scope; operators and casts come with their types. Whatever mentions another user type is
//! out, so that nothing of a schema outside is told.

use crate::introspect::used_types;
use daam_catalog::user_type::named_type;
use daam_catalog::{Catalog, FunctionName, Identifier, RelationName, Scope, UserTypeKind};
use std::collections::BTreeSet;

/// Adds to the relations and functions in scope what they need of the full catalogue.
pub(super) fn keep(inside: &mut Catalog, full: &Catalog, scope: &Scope) {
    let columns = inside.relations.values().flat_map(|relation| &relation.columns);
    let used = used_types(full, columns.map(|column| column.data_type.sql.as_str()));
    let schemas: BTreeSet<&Identifier> = inside
        .relations
        .keys()
        .map(|name| &name.schema)
        .chain(inside.functions.keys().map(|name| &name.schema))
        .collect();
    let open = |schema: &Identifier| schemas.contains(schema) || !scope.is_active();
    let mut kept: BTreeSet<RelationName> = full
        .types
        .keys()
        .filter(|name| scope.admits(name) || (used.contains(*name) && open(&name.schema)))
        .cloned()
        .collect();
    // What is made of something outside would tell its name.
    loop {
        let before = kept.len();
        let known = kept.clone();
        kept.retain(|name| {
            full.types.get(name).is_some_and(|it| parts(&it.kind).all(|sql| knows(&known, sql)))
        });
        if kept.len() == before {
            break;
        }
    }
    let types = full.types.iter().filter(|(name, _)| kept.contains(*name));
    let types = types.map(|(name, user_type)| (name.clone(), user_type.clone())).collect();
    let named = |name: &Identifier, schema: &Identifier| {
        scope.admits(&RelationName { schema: schema.clone(), name: name.clone() })
    };
    let reachable =
        |function: &FunctionName| open(&function.schema) || function.schema.as_str() == "pg_catalog";
    let about = |sql: &str| named_type(sql).is_some_and(|name| kept.contains(&name));
    let operators = full.operators.iter().filter(|operator| {
        let operands = || operator.left.iter().chain([&operator.right, &operator.result]);
        let wanted = named(&operator.name, &operator.schema)
            || (open(&operator.schema) && operands().any(|sql| about(sql)));
        wanted && reachable(&operator.function) && operands().all(|sql| knows(&kept, sql))
    });
    let casts = full.casts.iter().filter(|cast| {
        let ends = || [&cast.from, &cast.to].into_iter();
        cast.function.as_ref().is_none_or(reachable)
            && (!scope.is_active() || ends().any(|sql| about(sql)))
            && ends().all(|sql| knows(&kept, sql))
    });
    inside.operators = operators.cloned().collect();
    inside.casts = casts.cloned().collect();
    inside.types = types;
}

/// Whether a type is PostgreSQL's own or kept.
fn knows(kept: &BTreeSet<RelationName>, sql: &str) -> bool {
    named_type(sql).is_none_or(|name| kept.contains(&name))
}

fn parts(kind: &UserTypeKind) -> Box<dyn Iterator<Item = &str> + '_> {
    match kind {
        UserTypeKind::Domain { base, .. } => Box::new(std::iter::once(base.as_str())),
        UserTypeKind::Range { subtype } => Box::new(std::iter::once(subtype.as_str())),
        UserTypeKind::Composite { fields } => Box::new(fields.iter().map(|(_, sql)| sql.as_str())),
        UserTypeKind::Enum { .. } | UserTypeKind::Base => Box::new(std::iter::empty()),
    }
}
