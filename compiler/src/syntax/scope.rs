//! `kind: scope`: the customer's allowlist of one database, reviewed like code.

use super::decode::{Decoder, Spanned};
use super::node::Node;

/// A scope document.
#[derive(Debug)]
pub(crate) struct WrittenScope {
    pub(crate) database: Spanned<String>,
    pub(crate) patterns: Vec<Spanned<String>>,
}

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenScope> {
    let fields = decoder.mapping(node, "a scope", &["kind", "database", "description", "scope"])?;
    if let Some(node) = fields.get("description") {
        decoder.text(node, "a description");
    }
    let database = decoder.required(&fields, "a scope", "database");
    let patterns = decoder.required(&fields, "a scope", "scope");
    let patterns = patterns.map(|node| decoder.texts(node, "`scope`")).unwrap_or_default();
    let database = decoder.text(database?, "the database")?;
    Some(WrittenScope { database, patterns })
}
