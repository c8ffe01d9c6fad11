//! What of an extension belongs into a catalogue: what the types of columns have to do with.
//!
//! A filter over a `citext` column needs the operators, functions and casts of `citext`; a database that merely has a
//! large extension installed should not carry all of it.

use super::user_types::OfExtensions;
use daam_catalog::user_type::named_type;
use daam_catalog::{Catalog, Function, RelationName, UserTypeKind};
use std::collections::BTreeSet;

/// Drops functions, types, operators and casts of extensions over types of extensions that no column uses.
pub(super) fn keep_used(catalog: &mut Catalog, owned: &OfExtensions) {
    let used = used_types(
        catalog,
        catalog
            .relations
            .values()
            .flat_map(|relation| relation.columns.iter().map(|column| column.data_type.sql.as_str())),
    );
    let unused: BTreeSet<RelationName> = catalog
        .types
        .iter()
        .filter(|(name, user_type)| user_type.extension.is_some() && !used.contains(*name))
        .map(|(name, _)| name.clone())
        .collect();
    let suits = |sql: &str| named_type(sql).is_none_or(|name| !unused.contains(&name));
    catalog.types.retain(|name, _| !unused.contains(name));
    catalog.operators.retain(|operator| {
        !owned.operators.contains(operator)
            || operator.left.iter().chain([&operator.right, &operator.result]).all(|sql| suits(sql))
    });
    catalog.casts.retain(|cast| !owned.casts.contains(cast) || (suits(&cast.from) && suits(&cast.to)));
    catalog.functions.retain(|_, function| {
        function.extension.is_none()
            || function.security_definer
            || is_plain(function) && takes(function, &suits)
    });
}

fn takes(function: &Function, suits: &impl Fn(&str) -> bool) -> bool {
    function.name.arguments.iter().chain([&function.returns]).all(|sql| suits(sql))
}

/// Whether SQL can call it at all: not the functions a type or a trigger is made with.
fn is_plain(function: &Function) -> bool {
    let internal = |sql: &String| matches!(sql.as_str(), "internal" | "cstring");
    !function.name.arguments.iter().any(internal)
        && !internal(&function.returns)
        && !matches!(function.returns.as_str(), "trigger" | "event_trigger")
}

/// The user types these types are made of, through domains, fields and ranges.
pub(crate) fn used_types<'a>(
    catalog: &Catalog,
    types: impl Iterator<Item = &'a str>,
) -> BTreeSet<RelationName> {
    let mut open: Vec<RelationName> = types.filter_map(named_type).collect();
    let mut used = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(user_type) = catalog.types.get(&name) else { continue };
        if !used.insert(name) {
            continue;
        }
        match &user_type.kind {
            UserTypeKind::Domain { base, .. } => open.extend(named_type(base)),
            UserTypeKind::Range { subtype } => open.extend(named_type(subtype)),
            UserTypeKind::Composite { fields } => {
                open.extend(fields.iter().filter_map(|(_, sql)| named_type(sql)));
            }
            UserTypeKind::Enum { .. } | UserTypeKind::Base => {}
        }
    }
    used
}
