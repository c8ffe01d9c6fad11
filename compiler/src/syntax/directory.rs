//! `kind: directory`: the groups of the identity provider and how many members each has.

use super::decode::{Decoder, Spanned};
use super::node::Node;

/// A directory document.
#[derive(Debug, Clone)]
pub(crate) struct WrittenDirectory {
    /// Groups and how many members they have.
    pub(crate) groups: Vec<(Spanned<String>, u64)>,
}

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenDirectory> {
    let fields = decoder.mapping(node, "a directory", &["kind", "description", "groups"])?;
    if let Some(node) = fields.get("description") {
        decoder.text(node, "a description");
    }
    let groups = decoder.required(&fields, "a directory", "groups")?;
    let mut out = Vec::new();
    for entry in decoder.entries(groups, "`groups`")? {
        let at = decoder.at(entry.key_span);
        let count = decoder.number(&entry.value, "the number of members");
        // A group whose number cannot be read still exists.
        let count = count.map_or(u64::MAX, |count| count.value);
        out.extend(decoder.name(Spanned { value: entry.key.clone(), at }).map(|name| (name, count)));
    }
    Some(WrittenDirectory { groups: out })
}
