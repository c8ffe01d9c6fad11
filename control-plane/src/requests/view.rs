//! A request as it is shown.

use super::decide::{Actor, State, can, state};
use super::declared::Declared;
use crate::clock::rfc3339;
use daam_api::v1::{AccessEvent, AccessRequest as View, AgentReport, Needed, PendingExtension};
use daam_store::{AccessRequest, Act};

pub(super) fn view(declared: &Declared, request: &AccessRequest, actor: Actor<'_>, now: i64) -> View {
    let state = state(request, now);
    let standing = &request.standing;
    let undecided = state == State::Pending || standing.extension.is_some();
    let needed = declared.terms(&request.asked).filter(|_| undecided).map(|terms| {
        let counting = request
            .approved_by(standing.round)
            .filter(|id| declared.may_decide(id, &request.user_id, terms))
            .count();
        Needed {
            approvals: terms.asked.count,
            given: u32::try_from(counting).unwrap_or(u32::MAX),
            groups: terms.asked.approvers.clone(),
        }
    });
    View {
        id: request.id.clone(),
        database: request.database.clone(),
        requester: request.email.clone(),
        name: request.name.clone(),
        what: request.asked.clone(),
        reason: request.reason.clone(),
        seconds: u64::try_from(request.seconds).unwrap_or(0),
        state: state.name().to_owned(),
        note: note(request, state),
        created_at: rfc3339(request.created_at),
        starts_at: standing.starts_at.or(request.wanted_start).map(rfc3339),
        ends_at: standing.ends_at.map(rfc3339),
        extension: standing
            .extension
            .as_ref()
            .map(|more| PendingExtension { ends_at: rfc3339(more.ends_at), reason: more.reason.clone() }),
        needed,
        history: request
            .events
            .iter()
            .map(|event| AccessEvent {
                act: event.act.name().to_owned(),
                by: event.email.clone(),
                reason: event.reason.clone(),
                at: rfc3339(event.at),
            })
            .collect(),
        agents: request
            .reports
            .iter()
            .map(|report| AgentReport {
                agent: report.agent.clone(),
                state: report.state.clone(),
                reason: report.reason.clone(),
                at: rfc3339(report.at),
            })
            .collect(),
        can: can(declared, request, actor, now).into_iter().map(|act| act.name().to_owned()).collect(),
    }
}

/// What there is to say about the state.
fn note(request: &AccessRequest, state: State) -> Option<String> {
    let said = |word: &str| request.reports.iter().find(|report| report.state == word);
    let last = |act: Act| request.events.iter().rev().find(|event| event.act == act);
    match state {
        State::Refused => said("refused")?.reason.clone(),
        State::Approved => match said("waiting") {
            Some(report) => report.reason.clone(),
            None if request.reports.is_empty() => Some("no agent has confirmed it yet".to_owned()),
            None => None,
        },
        State::Denied => last(Act::Deny).map(|event| format!("{}: {}", event.email, event.reason)),
        State::Revoked => {
            let by = last(Act::End).map_or_else(String::new, |event| format!("ended by {}", event.email));
            let behind =
                request.reports.iter().find(|report| matches!(report.state.as_str(), "active" | "waiting"));
            Some(match behind {
                None => by,
                Some(report) => format!("{by}; agent {} has not said yet that it is over", report.agent),
            })
        }
        State::Expired if request.standing.ends_at.is_none() => Some("nobody decided in time".to_owned()),
        State::Pending | State::Active | State::Expired => None,
    }
}
