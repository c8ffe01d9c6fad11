//! Why something is not done with a request, in words and with a code.

use super::decide::State;
use crate::problem::Refusal;
use axum::http::StatusCode;
use daam_bundle::AskedError;
use daam_model::Excess;
use std::collections::BTreeSet;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The bundle does not declare it requestable, or no longer.
    Undeclared(String),
    /// They are not among those who may ask.
    MayNotAsk(String),
    /// Who asked is no longer among those who may.
    MayNotAskAnyMore(String),
    /// Too long, or no time at all.
    Duration { name: String, most: i64, left: i64 },
    /// A reason is wanted.
    NoReason,
    /// The reason cannot be kept.
    Reason,
    /// The beginning is no time, or not one that can be asked for.
    Start,
    /// Nobody knows what tables there are.
    NoCatalog,
    /// What is asked for ad hoc cannot be read.
    Unreadable(AskedError),
    /// It is above the ceiling.
    Above(Excess),
    /// Nobody decides about their own request.
    Own(BTreeSet<String>),
    /// They do not decide about it.
    NoApprover(BTreeSet<String>),
    /// They have said so already.
    Twice,
    /// There is nothing to decide or end.
    Closed(State),
    /// Only who asked extends.
    NotYours,
    /// Neither who asked nor an admin nor who decides.
    NotYoursToEnd,
    /// It is not held.
    NotHeld,
    /// More time is asked for already.
    ExtendedAlready,
}

impl From<AskedError> for Refused {
    fn from(error: AskedError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Excess> for Refused {
    fn from(excess: Excess) -> Self {
        Self::Above(excess)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let forbidden = |code, title: &str| Self::new(StatusCode::FORBIDDEN, code, title);
        match refused {
            Refused::Undeclared(name) => Self::conflict(
                "request.undeclared",
                format!("the published bundle declares nothing requestable by the name `{name}`"),
            )
            .allowed("what `daam request options DATABASE` lists"),
            Refused::MayNotAsk(name) => {
                forbidden("request.may-not-ask", &format!("you are not among those who may ask for `{name}`"))
                    .allowed("what `daam request options DATABASE` lists")
            }
            Refused::MayNotAskAnyMore(name) => {
                let title = format!("who asked is no longer among those who may ask for `{name}`");
                Self::conflict("request.may-not-ask", title).allowed("denying it")
            }
            Refused::Duration { name, most, left: 0 } => Self::bad(
                "request.duration",
                format!("`{name}` may be held for {} in all, and that is used up", span(most)),
            )
            .allowed("a new request once this one has ended"),
            Refused::Duration { name, most, left } => {
                Self::bad("request.duration", format!("`{name}` may be held for at most {}", span(most)))
                    .allowed(format!("1 second to {}", span(left)))
            }
            Refused::NoReason => Self::bad("request.reason", "a reason is required")
                .allowed("a sentence that whoever decides understands, with `--reason`"),
            Refused::Reason => Self::bad("request.reason", "the reason cannot be kept as it is")
                .allowed("at most 1000 bytes in one line"),
            Refused::Start => Self::bad("request.start", "the beginning is not one that can be asked for")
                .allowed("a time such as `2027-01-31T08:00:00Z`, from now to 30 days ahead"),
            Refused::NoCatalog => Self::conflict("request.no-schema", "no agent has reported the tables yet")
                .allowed("this once the database's agent has connected"),
            Refused::Unreadable(error) => Self::bad("request.asked", error.to_string()),
            Refused::Above(excess) => Self::bad("request.above-ceiling", excess.to_string()),
            Refused::Own(groups) => {
                forbidden("request.own", "you asked for this yourself, so somebody else has to decide")
                    .allowed(members(&groups))
            }
            Refused::NoApprover(groups) => {
                forbidden("request.not-approver", "you are not among those who decide about this")
                    .allowed(members(&groups))
            }
            Refused::Twice => Self::conflict("request.twice", "you have approved this already")
                .allowed("the approval of somebody else, if more are needed"),
            Refused::Closed(state) => {
                Self::conflict("request.closed", format!("the request is {} already", state.name()))
                    .allowed("a new request")
            }
            Refused::NotYours => forbidden("request.not-yours", "only who asked can ask for more time")
                .allowed("a request of your own"),
            Refused::NotYoursToEnd => forbidden("request.not-yours", "this is not yours to end")
                .allowed("who asked, who decides about it, or an admin"),
            Refused::NotHeld => Self::conflict("request.not-held", "there is nothing to extend yet")
                .allowed("this once the request is approved"),
            Refused::ExtendedAlready => Self::conflict("request.extended", "more time is asked for already")
                .allowed("this once that is decided"),
        }
    }
}

pub(super) fn not_all() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "auth.wrong-role", "your role does not see everybody's requests")
        .allowed("`show=mine` and `show=waiting`; everybody's are for admins, auditors and approvers")
}

fn members(groups: &BTreeSet<String>) -> String {
    let groups: Vec<String> = groups.iter().map(|group| format!("`{group}`")).collect();
    format!("a member of {}", groups.join(" or "))
}

/// Seconds in the largest units that say them exactly.
pub(super) fn span(seconds: i64) -> String {
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")] {
        let count = left.checked_div(size).unwrap_or(0);
        left = left.checked_rem(size).unwrap_or(0);
        if count > 0 {
            parts.push(format!("{count} {unit}"));
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}
