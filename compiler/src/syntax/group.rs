//! `kind: group`: membership that the repository, not the directory, decides.

use super::decode::{Decoder, Spanned};
use super::node::Node;

/// A group document.
#[derive(Debug)]
pub(crate) struct WrittenGroup {
    pub(crate) name: Spanned<String>,
    pub(crate) members: Vec<Spanned<String>>,
}

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenGroup> {
    let fields = decoder.mapping(node, "a group", &["kind", "name", "description", "members"])?;
    if let Some(node) = fields.get("description") {
        decoder.text(node, "a description");
    }
    let name = decoder.required(&fields, "a group", "name");
    let members = decoder.required(&fields, "a group", "members");
    let members = members.map(|node| decoder.texts(node, "`members`")).unwrap_or_default();
    let members = members.iter().filter_map(|member| email(decoder, member)).collect();
    let name = decoder.text(name?, "the name").and_then(|name| decoder.name(name))?;
    Some(WrittenGroup { name, members })
}

/// An e-mail address in lower case.
pub(crate) fn email(decoder: &mut Decoder<'_>, text: &Spanned<String>) -> Option<Spanned<String>> {
    // As people's addresses are compared: folding more than ASCII would make one of different ones, or of one none.
    let lower = text.value.to_ascii_lowercase();
    let mut halves = lower.split('@');
    let whole = halves.next().is_some_and(|name| !name.is_empty())
        && halves.next().is_some_and(|domain| !domain.is_empty())
        && halves.next().is_none()
        && !lower.contains(char::is_whitespace);
    if whole {
        return Some(Spanned { value: lower, at: text.at });
    }
    decoder.sink.push(
        crate::rule::WRONG_NODE_TYPE
            .at(text.at, format!("`{}` is not an e-mail address", text.value))
            .help("people are named by their address, groups under `groups`"),
    );
    None
}
