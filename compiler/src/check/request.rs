//! `request:`: somebody else decides, and it ends.

use super::policy::values;
use super::{Database, people};
use crate::rule;
use crate::syntax::session::WrittenRequest;
use daam_diagnostic::Sink;
use daam_model::RequestTerms;
use std::time::Duration;

/// The longest time requested access may be held.
const CEILING: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn request(
    written: &WrittenRequest,
    database: &Database<'_>,
    sink: &mut Sink,
) -> Option<RequestTerms> {
    let approvers = written.approvers.as_ref();
    let groups = approvers.map(|approvers| values(&approvers.groups)).unwrap_or_default();
    if groups.is_empty() {
        sink.push(
            rule::REQUESTABLE_WITHOUT_APPROVER
                .at(approvers.map_or(written.at, |approvers| approvers.at), "nobody can approve this request")
                .help("name them: `approvers: { groups: [dba], count: 1 }`"),
        );
    }
    people::approvers(written, database, sink);
    self_approval(written, sink);
    let max_duration = written.max_duration.as_ref();
    match max_duration {
        None if !written.duration_given => sink.push(
            rule::DURATION_MISSING
                .at(written.at, "requested access has to end, and `max_duration` is missing")
                .help("write `max_duration: 2h`"),
        ),
        Some(found) if found.value > CEILING => sink.push(
            rule::DURATION_TOO_LONG
                .at(found.at, "requested access may be held for 24 hours at most")
                .help("make it a standing policy if it is needed longer"),
        ),
        _ => {}
    }
    Some(RequestTerms {
        approvers: groups,
        count: approvers.map_or(1, |approvers| approvers.count),
        max_duration: max_duration?.value,
        reason_required: written.reason_required,
    })
}

/// Requesters that are all approvers too can do without anybody else.
fn self_approval(written: &WrittenRequest, sink: &mut Sink) {
    let (Some(who), Some(approvers)) = (&written.who, &written.approvers) else { return };
    let approving = values(&approvers.groups);
    let only_approvers = !who.everyone
        && who.users.is_empty()
        && !who.groups.is_empty()
        && values(&who.groups).is_subset(&approving);
    if only_approvers {
        sink.push(
            rule::SELF_APPROVAL
                .at(approvers.at, "everyone who may ask may also approve")
                .label(who.at, "who may ask")
                .help("let a group approve that does not ask itself"),
        );
    }
}
