//! What a message asks for, as checked values.

use super::judge::Refused;
use daam_api::link::{AskedRelation as Wire, AskedRows as WireRows};
use daam_catalog::{Identifier, RelationName};
use daam_model::{AskedRelation, AskedRows, Verb};
use std::collections::BTreeSet;

pub(super) fn relation(wire: &Wire) -> Result<AskedRelation, Refused> {
    let unusable = |what: &str| Refused::Unusable(format!("`{what}` is no name of PostgreSQL's"));
    let name = RelationName::stored(&wire.schema, &wire.name)
        .map_err(|_| unusable(&format!("{}.{}", wire.schema, wire.name)))?;
    let identifier = |text: &String| Identifier::stored(text.clone()).map_err(|_| unusable(text));
    let columns = |names: &BTreeSet<String>| names.iter().map(identifier).collect::<Result<_, _>>();
    let mask = |column: &String, value| {
        let mask = daam_bundle::decode_mask(value).map_err(|error| {
            Refused::Unusable(format!("the mask of `{column}` is none: {}", crate::cause::chain(&error)))
        })?;
        Ok::<_, Refused>((identifier(column)?, mask))
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
            .collect::<Result<_, Refused>>()?,
        masks: wire.masks.iter().map(|(column, value)| mask(column, value)).collect::<Result<_, _>>()?,
        rows: wire.rows.iter().map(rows).collect::<Result<_, Refused>>()?,
    })
}

fn verb(word: &str) -> Result<Verb, Refused> {
    Verb::ALL.into_iter().find(|verb| verb.as_str() == word).ok_or_else(|| {
        Refused::Unusable(format!(
            "`{word}` is no verb; `select`, `insert`, `update`, `delete` and `truncate` are"
        ))
    })
}
