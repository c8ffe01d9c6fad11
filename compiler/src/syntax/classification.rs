//! `classification:` of a database: what its columns hold, said by the team instead of guessed.
//!
//! `none` clears a column, so it needs a reason.

use super::decode::{Decoder, Spanned, list};
use super::node::Node;
use crate::rule;
use crate::sensitive::Class;
use daam_diagnostic::{Location, suggest};

/// One entry.
#[derive(Debug)]
pub(crate) struct WrittenClassification {
    pub(crate) at: Location,
    pub(crate) on: Vec<Spanned<String>>,
    /// `None` where the columns hold nothing sensitive.
    pub(crate) is: Option<Class>,
}

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Vec<WrittenClassification> {
    let items = decoder.list(node, "`classification`").unwrap_or_default();
    items.iter().filter_map(|item| entry(decoder, item)).collect()
}

fn entry(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenClassification> {
    let what = "an entry of `classification`";
    let fields = decoder.mapping(node, what, &["on", "is", "reason"])?;
    let on = decoder.required(&fields, what, "on");
    let on = on.map(|node| decoder.one_or_many(node, "`on`")).unwrap_or_default();
    let reason = fields.get("reason").map(|node| decoder.text(node, "the reason"));
    let is = decoder.required(&fields, what, "is")?;
    let is = decoder.text(is, "the class")?;
    if is.value == "none" {
        if reason.is_none() {
            let message = "`none` says that nothing sensitive is in these columns, and needs a `reason`";
            decoder.sink.push(rule::MISSING_KEY.at(is.at, message).help("say why, for whoever reviews it"));
            return None;
        }
        return Some(WrittenClassification { at: is.at, on, is: None });
    }
    let Some(class) = Class::parse(&is.value) else {
        let known: Vec<&str> = std::iter::once("none").chain(Class::ALL.map(Class::as_str)).collect();
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(is.at, format!("`{}` is not a class of columns", is.value))
                .help(format!("the classes are {}", list(&known)))
                .maybe_help(suggest::did_you_mean(&is.value, known)),
        );
        return None;
    };
    Some(WrittenClassification { at: is.at, on, is: Some(class) })
}
