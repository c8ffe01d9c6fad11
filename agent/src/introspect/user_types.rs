//! Rows about types, operators and casts.

use super::IntrospectError;
use super::assemble::{identifier, relation_name};
use super::queries::{Facts, get};
use daam_catalog::{CastContext, FunctionName, RelationName, UserCast, UserOperator, UserType, UserTypeKind};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

pub(super) fn read(rows: &[Row]) -> Result<BTreeMap<RelationName, UserType>, IntrospectError> {
    rows.iter().map(user_type).collect()
}

fn user_type(row: &Row) -> Result<(RelationName, UserType), IntrospectError> {
    const WHAT: &str = "types";
    let name = relation_name(get(row, 0, WHAT)?, get(row, 1, WHAT)?)?;
    let below: Option<String> = get(row, 6, WHAT)?;
    let kind = match (get::<String>(row, 2, WHAT)?.as_str(), below) {
        ("e", _) => UserTypeKind::Enum { labels: get(row, 8, WHAT)? },
        ("d", Some(base)) => UserTypeKind::Domain { base, not_null: get(row, 7, WHAT)? },
        ("r", Some(subtype)) => UserTypeKind::Range { subtype },
        ("c", _) => {
            let (names, types): (Vec<String>, Vec<String>) = (get(row, 9, WHAT)?, get(row, 10, WHAT)?);
            let fields =
                names.into_iter().zip(types).map(|(name, sql)| Ok((identifier(name, "field")?, sql)));
            UserTypeKind::Composite { fields: fields.collect::<Result<_, IntrospectError>>()? }
        }
        _ => UserTypeKind::Base,
    };
    let extension: Option<String> = get(row, 5, WHAT)?;
    let user_type = UserType {
        kind,
        category: get::<String>(row, 3, WHAT)?.chars().next().unwrap_or('U'),
        preferred: get(row, 4, WHAT)?,
        extension: extension.map(|name| identifier(name, "extension")).transpose()?,
    };
    Ok((name, user_type))
}

pub(super) fn operator(row: &Row) -> Result<UserOperator, IntrospectError> {
    const WHAT: &str = "operators";
    Ok(UserOperator {
        schema: identifier(get(row, 0, WHAT)?, "schema")?,
        name: identifier(get(row, 1, WHAT)?, "operator")?,
        left: get(row, 2, WHAT)?,
        right: get(row, 3, WHAT)?,
        result: get(row, 4, WHAT)?,
        function: FunctionName {
            schema: identifier(get(row, 5, WHAT)?, "schema")?,
            name: identifier(get(row, 6, WHAT)?, "function")?,
            arguments: get(row, 7, WHAT)?,
        },
    })
}

pub(super) fn cast(row: &Row) -> Result<UserCast, IntrospectError> {
    const WHAT: &str = "casts";
    let schema: Option<String> = get(row, 3, WHAT)?;
    let function: Option<String> = get(row, 4, WHAT)?;
    let function = match (schema, function) {
        (Some(schema), Some(name)) => Some(FunctionName {
            schema: identifier(schema, "schema")?,
            name: identifier(name, "function")?,
            arguments: get(row, 5, WHAT)?,
        }),
        _ => None,
    };
    let context = match get::<String>(row, 2, WHAT)?.as_str() {
        "i" => CastContext::Implicit,
        "a" => CastContext::Assignment,
        _ => CastContext::Explicit,
    };
    Ok(UserCast { from: get(row, 0, WHAT)?, to: get(row, 1, WHAT)?, context, function })
}

/// The operators and casts that extensions own; functions and types say so themselves.
#[derive(Debug, Default)]
pub(super) struct OfExtensions {
    pub(super) operators: BTreeSet<UserOperator>,
    pub(super) casts: BTreeSet<UserCast>,
}

pub(super) fn of_extensions(facts: &Facts) -> Result<OfExtensions, IntrospectError> {
    let mut found = OfExtensions::default();
    for row in &facts.operators {
        if get(row, 8, "operators")? {
            found.operators.insert(operator(row)?);
        }
    }
    for row in &facts.casts {
        if get(row, 6, "casts")? {
            found.casts.insert(cast(row)?);
        }
    }
    Ok(found)
}
