//! What a request asks for ad hoc, from the words of a message to checked values. Agents judge by it, and the control
//! plane says by it beforehand what they would.

use crate::content::decode_mask;
use daam_api::link::{AskedRelation as Wire, AskedRows as WireRows};
use daam_catalog::{Identifier, RelationName};
use daam_model::{AskedRelation, AskedRows, Verb};
use std::collections::BTreeSet;
use std::error::Error as _;

/// Why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskedError {
    /// No name.
    #[error("`{0}` is no name of PostgreSQL's")]
    Name(String),
    /// No mask.
    #[error("the mask of `{column}` is none: {why}")]
    Mask {
        /// Of what.
        column: String,
        /// Why.
        why: String,
    },
    /// No verb.
    #[error("`{0}` is no verb; `select`, `insert`, `update`, `delete` and `truncate` are")]
    Verb(String),
}

/// One relation that is asked for.
pub fn asked_relation(wire: &Wire) -> Result<AskedRelation, AskedError> {
    let name = RelationName::stored(&wire.schema, &wire.name)
        .map_err(|_| AskedError::Name(format!("{}.{}", wire.schema, wire.name)))?;
    let identifier =
        |text: &String| Identifier::stored(text.clone()).map_err(|_| AskedError::Name(text.clone()));
    let columns = |names: &BTreeSet<String>| names.iter().map(identifier).collect::<Result<_, _>>();
    let mask = |column: &String, value| {
        let mask = decode_mask(value).map_err(|error| {
            let why = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            AskedError::Mask { column: column.clone(), why }
        })?;
        Ok::<_, AskedError>((identifier(column)?, mask))
    };
    let rows =
        |rows: &WireRows| Ok(AskedRows { column: identifier(&rows.column)?, any_of: rows.any_of.clone() });
    Ok(AskedRelation {
        name,
        verbs: wire.verbs.iter().map(|word| verb(word)).collect::<Result<_, _>>()?,
        columns: wire
            .columns
            .iter()
            .map(|(word, names)| Ok((verb(word)?, columns(names)?)))
            .collect::<Result<_, AskedError>>()?,
        masks: wire.masks.iter().map(|(column, value)| mask(column, value)).collect::<Result<_, _>>()?,
        rows: wire.rows.iter().map(rows).collect::<Result<_, AskedError>>()?,
    })
}

fn verb(word: &str) -> Result<Verb, AskedError> {
    let known = Verb::ALL.into_iter().find(|verb| verb.as_str() == word);
    known.ok_or_else(|| AskedError::Verb(word.to_owned()))
}
