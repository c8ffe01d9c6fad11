//! `kind: request-ceiling`: the most that may be asked for ad hoc, as written.
//!
//! Read as the policy of a request that asks for all of it. Refused beside what a policy refuses: `functions`, since
//! people ask for rows, and `restrict`, since a ceiling holds over nothing but itself.

use super::decode::Decoder;
use super::node::Node;
use super::policy::{WrittenPolicy, grants, head, is_blank, masks};
use super::session::request;
use daam_model::SessionLimits;

const WHAT: &str = "a request ceiling";
const CEILING: [&str; 7] = ["kind", "name", "database", "description", "request", "grants", "masks"];
const GRANT: [&str; 4] = ["on", "allow", "columns", "rows"];

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenPolicy> {
    let fields = decoder.mapping(node, WHAT, &CEILING)?;
    let at = decoder.at(fields.head());
    let (name, database, description) = head(decoder, &fields, WHAT);
    let terms = decoder.required(&fields, WHAT, "request");
    let request = terms.and_then(|node| request(decoder, node));
    decoder.required(&fields, WHAT, "grants");
    let blank = fields.get("grants").is_some() && is_blank(fields.get("grants"));
    let grants = grants(decoder, &fields, &GRANT);
    let masks = masks(decoder, &fields);
    let (name, database) = (name?, database?);
    let session = SessionLimits::default();
    let subjects = None;
    Some(WrittenPolicy { at, name, database, description, subjects, grants, masks, session, request, blank })
}
