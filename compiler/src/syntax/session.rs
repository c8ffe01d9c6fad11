//! `session:` and `request:` of a policy.

use super::decode::{Decoder, Spanned};
use super::node::Node;
use super::policy::{WrittenSubjects, subjects};
use crate::rule;
use daam_diagnostic::Location;
use daam_model::SessionLimits;
use std::time::Duration;

/// `request:` as written.
#[derive(Debug)]
pub(crate) struct WrittenRequest {
    pub(crate) at: Location,
    pub(crate) who: Option<WrittenSubjects>,
    pub(crate) approvers: Option<WrittenApprovers>,
    pub(crate) max_duration: Option<Spanned<Duration>>,
    pub(crate) duration_given: bool,
    pub(crate) reason_required: bool,
}

/// `approvers:` as written.
#[derive(Debug)]
pub(crate) struct WrittenApprovers {
    pub(crate) at: Location,
    pub(crate) groups: Vec<Spanned<String>>,
    pub(crate) count: u32,
}

const SESSION: [&str; 5] = ["max_duration", "idle_timeout", "statement_timeout", "read_only", "procedural"];

pub(crate) fn session(decoder: &mut Decoder<'_>, node: &Node) -> SessionLimits {
    let Some(fields) = decoder.mapping(node, "`session`", &SESSION) else {
        return SessionLimits::default();
    };
    let mut time = |key: &str| {
        let node = fields.get(key)?;
        decoder.duration(node, &format!("`{key}`")).map(|found| found.value)
    };
    let (max_duration, idle_timeout, statement_timeout) =
        (time("max_duration"), time("idle_timeout"), time("statement_timeout"));
    let mut flag = |key: &str| fields.get(key).and_then(|node| decoder.boolean(node, &format!("`{key}`")));
    let (read_only, procedural) = (flag("read_only"), flag("procedural"));
    SessionLimits { max_duration, idle_timeout, statement_timeout, read_only, procedural }
}

pub(crate) fn request(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenRequest> {
    let keys = ["who", "approvers", "max_duration", "reason"];
    let fields = decoder.mapping(node, "`request`", &keys)?;
    let who = decoder.required(&fields, "`request`", "who");
    let who = who.and_then(|node| subjects(decoder, node, "`who`"));
    let approvers = fields.get("approvers").and_then(|node| approvers(decoder, node));
    let max_duration = fields.get("max_duration");
    let duration_given = max_duration.is_some();
    let max_duration = max_duration.and_then(|node| decoder.duration(node, "`max_duration`"));
    let reason_required = fields.get("reason").is_none_or(|node| reason(decoder, node));
    let at = decoder.at(fields.head());
    Some(WrittenRequest { at, who, approvers, max_duration, duration_given, reason_required })
}

/// A reason is required unless the policy says it is optional.
fn reason(decoder: &mut Decoder<'_>, node: &Node) -> bool {
    let Some(text) = decoder.text(node, "`reason`") else { return true };
    if !matches!(text.value.as_str(), "required" | "optional") {
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(text.at, format!("`reason` is `required` or `optional`, not `{}`", text.value)),
        );
    }
    text.value != "optional"
}

fn approvers(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenApprovers> {
    let fields = decoder.mapping(node, "`approvers`", &["groups", "count"])?;
    let groups = fields.get("groups").map(|node| decoder.names(node, "`groups`")).unwrap_or_default();
    let mut count = 1;
    if let Some(found) = fields.get("count").and_then(|node| decoder.number(node, "`count`")) {
        match u32::try_from(found.value) {
            Ok(value @ 1..=10) => count = value,
            _ => decoder.sink.push(rule::WRONG_NODE_TYPE.at(found.at, "`count` is between 1 and 10")),
        }
    }
    Some(WrittenApprovers { at: decoder.at(fields.head()), groups, count })
}
