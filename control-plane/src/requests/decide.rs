//! The state machine: what may be done with a request, by whom, and what becomes of it. Pure.
//!
//! A request is pending until enough people approved it or one denied it; then it may be held from its beginning to its
//! end. More time is asked for and approved like the request itself, by as many people, and only while it is held. Whoever
//! asked never decides. What the bundle no longer declares cannot be approved, whatever was said before; taking away is
//! always possible.

use super::declared::{Declared, Terms};
use super::refusal::Refused;
use daam_api::link::AccessAsked;
use daam_bundle::asked_relation;
use daam_catalog::Catalog;
use daam_store::{AccessRequest, Act, Change, Decision, Extension, Role, Standing};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long a request without a beginning of its own waits for a decision.
pub(crate) const PENDING_SECONDS: i64 = 7 * 86_400;
/// How far ahead a request may begin.
const AHEAD_SECONDS: i64 = 30 * 86_400;
/// Longest time anything may be held for, whatever a bundle says; also keeps sums within bounds.
const LONGEST_SECONDS: i64 = 366 * 86_400;
/// No request waits longer, even one that begins late.
pub(crate) const LONGEST_WAIT_SECONDS: i64 = AHEAD_SECONDS + LONGEST_SECONDS;
/// A beginning that has just passed is meant as now.
const JUST_NOW_SECONDS: i64 = 60;
const LONGEST_REASON: usize = 1000;

/// Where a request is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Approved,
    Active,
    Expired,
    Denied,
    Revoked,
    Refused,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
            Self::Refused => "refused",
        }
    }
}

/// Whoever does something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) role: Role,
}

/// What they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doing {
    pub(crate) act: Act,
    pub(crate) reason: String,
    /// How much more time is asked for.
    pub(crate) seconds: u64,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) what: &'a AccessAsked,
    pub(super) seconds: u64,
    pub(super) wanted_start: Option<i64>,
    pub(super) reason: &'a str,
    /// What ad-hoc requests choose from.
    pub(super) catalog: Option<&'a Catalog>,
}

/// Reads a beginning.
pub(super) fn start(text: &str) -> Result<i64, Refused> {
    OffsetDateTime::parse(text, &Rfc3339).map(OffsetDateTime::unix_timestamp).map_err(|_| Refused::Start)
}

/// Where it is now. Nothing has to happen for time to pass.
pub(crate) fn state(request: &AccessRequest, now: i64) -> State {
    let standing = &request.standing;
    let said = |what: &str| request.reports.iter().any(|report| report.state == what);
    match standing.decision {
        Decision::Pending if now >= lapses_at(request) => State::Expired,
        Decision::Pending => State::Pending,
        Decision::Denied => State::Denied,
        Decision::Revoked => State::Revoked,
        Decision::Approved => {
            let over = standing.ends_at.is_none_or(|end| now >= end);
            match (over, said("active"), said("refused")) {
                (false, true, _) => State::Active,
                (_, false, true) if !said("ended") => State::Refused,
                (true, ..) => State::Expired,
                (false, ..) => State::Approved,
            }
        }
    }
}

/// When a pending request is past deciding.
fn lapses_at(request: &AccessRequest) -> i64 {
    match request.wanted_start {
        Some(start) => start.saturating_add(request.seconds),
        None => request.created_at.saturating_add(PENDING_SECONDS),
    }
}

/// Whether a decision is wanted.
fn is_open(request: &AccessRequest, now: i64) -> bool {
    match state(request, now) {
        State::Pending => true,
        State::Approved | State::Active | State::Refused => {
            request.standing.extension.is_some() && !is_over(request, now)
        }
        State::Expired | State::Denied | State::Revoked => false,
    }
}

fn is_over(request: &AccessRequest, now: i64) -> bool {
    request.standing.ends_at.is_some_and(|end| now >= end)
}

/// Whether they may know of it.
pub(super) fn sees(declared: &Declared, request: &AccessRequest, actor: Actor<'_>) -> bool {
    let decides = |terms| declared.may_decide(actor.user_id, &request.user_id, terms);
    actor.user_id == request.user_id
        || super::sees_all(actor.role)
        || declared.terms(&request.asked).is_some_and(decides)
}

/// Whether it waits for their word.
pub(super) fn waits_for(declared: &Declared, request: &AccessRequest, actor: Actor<'_>, now: i64) -> bool {
    let yes = Doing { act: Act::Approve, reason: String::new(), seconds: 0 };
    decide(declared, request, actor, &yes, now).is_ok()
}

/// What they can do with it now.
pub(super) fn can(declared: &Declared, request: &AccessRequest, actor: Actor<'_>, now: i64) -> Vec<Act> {
    let able = |act: &Act| {
        let doing = Doing { act: *act, reason: "-".to_owned(), seconds: 1 };
        decide(declared, request, actor, &doing, now).is_ok()
    };
    Act::EVERY.into_iter().filter(able).collect()
}

/// Whether something may be asked for; the name of what it is, and for how long.
pub(super) fn may_ask<'a>(
    declared: &'a Declared,
    user_id: &str,
    asked: &Asked<'_>,
    now: i64,
) -> Result<(&'a str, i64), Refused> {
    let terms = declared.terms(asked.what).ok_or_else(|| Refused::Undeclared(name_of(asked.what)))?;
    if !declared.may_ask(user_id, terms) {
        return Err(Refused::MayNotAsk(terms.name.to_owned()));
    }
    let seconds = duration(asked.seconds, 0, terms)?;
    reason(asked.reason, terms.asked.reason_required)?;
    if asked.wanted_start.is_some_and(|start| {
        start < now.saturating_sub(JUST_NOW_SECONDS) || start > now.saturating_add(AHEAD_SECONDS)
    }) {
        return Err(Refused::Start);
    }
    if let (AccessAsked::AdHoc { relations, .. }, Some(ceiling)) = (asked.what, terms.ceiling) {
        let relations = relations.iter().map(asked_relation).collect::<Result<Vec<_>, _>>()?;
        let catalog = asked.catalog.ok_or(Refused::NoCatalog)?;
        ceiling.within(terms.name, &relations, catalog, declared.set())?;
    }
    Ok((terms.name, seconds))
}

/// What becomes of a request, or why nothing does.
pub(super) fn decide(
    declared: &Declared,
    request: &AccessRequest,
    actor: Actor<'_>,
    doing: &Doing,
    now: i64,
) -> Result<Change, Refused> {
    let case = Case { declared, request, actor, now };
    reason(&doing.reason, doing.act == Act::Deny)?;
    let (standing, told) = match doing.act {
        Act::Approve => case.approve()?,
        Act::Deny => case.deny()?,
        Act::Extend => case.extend(doing)?,
        Act::End => case.end()?,
    };
    // An extension's own round begins with it.
    let round = standing.round;
    Ok(Change { act: doing.act, round, reason: doing.reason.trim().to_owned(), standing, told })
}

struct Case<'a> {
    declared: &'a Declared,
    request: &'a AccessRequest,
    actor: Actor<'a>,
    now: i64,
}

impl Case<'_> {
    fn closed(&self) -> Refused {
        Refused::Closed(state(self.request, self.now))
    }

    /// The terms, if it is theirs to decide and there is something to decide.
    fn deciding(&self) -> Result<Terms<'_>, Refused> {
        let Self { declared, request, actor, now } = self;
        let terms =
            declared.terms(&request.asked).ok_or_else(|| Refused::Undeclared(request.name.clone()))?;
        if actor.user_id == request.user_id {
            return Err(Refused::Own(terms.asked.approvers.clone()));
        }
        if !declared.may_decide(actor.user_id, &request.user_id, terms) {
            return Err(Refused::NoApprover(terms.asked.approvers.clone()));
        }
        if is_open(request, *now) { Ok(terms) } else { Err(self.closed()) }
    }

    fn approve(&self) -> Result<(Standing, bool), Refused> {
        let terms = self.deciding()?;
        let Self { declared, request, actor, now } = self;
        let before = &request.standing;
        if request.approved_by(before.round).any(|id| id == actor.user_id) {
            return Err(Refused::Twice);
        }
        // All of it may have changed since it was asked for.
        if !declared.may_ask(&request.user_id, terms) {
            return Err(Refused::MayNotAskAnyMore(terms.name.to_owned()));
        }
        let held = match (before.starts_at, &before.extension) {
            (Some(start), Some(extension)) => extension.ends_at.saturating_sub(start),
            _ => request.seconds,
        };
        duration(u64::try_from(held).unwrap_or(0), 0, terms)?;
        let earlier = request
            .approved_by(before.round)
            .filter(|id| declared.may_decide(id, &request.user_id, terms))
            .count();
        let given = u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1);
        if given < terms.asked.count {
            return Ok((before.clone(), false));
        }
        let (starts_at, ends_at) = match (&before.extension, before.starts_at, request.wanted_start) {
            (Some(extension), Some(start), _) => (start, extension.ends_at),
            // Asked for a time: what is approved late begins late and ends as planned.
            (_, _, Some(start)) => (start.max(*now), start.saturating_add(request.seconds)),
            _ => (*now, now.saturating_add(request.seconds)),
        };
        let after = Standing {
            decision: Decision::Approved,
            starts_at: Some(starts_at),
            ends_at: Some(ends_at),
            round: before.round,
            approved_round: Some(before.round),
            extension: None,
        };
        Ok((after, true))
    }

    fn deny(&self) -> Result<(Standing, bool), Refused> {
        self.deciding()?;
        let before = self.request.standing.clone();
        Ok(match before.decision {
            // What is held stays; only more of it is denied.
            Decision::Approved => (Standing { extension: None, ..before }, false),
            _ => (Standing { decision: Decision::Denied, ..before }, false),
        })
    }

    fn extend(&self, doing: &Doing) -> Result<(Standing, bool), Refused> {
        let Self { declared, request, actor, now } = self;
        let before = &request.standing;
        if actor.user_id != request.user_id {
            return Err(Refused::NotYours);
        }
        let (Decision::Approved, Some(start), Some(end)) =
            (before.decision, before.starts_at, before.ends_at)
        else {
            return Err(Refused::NotHeld);
        };
        if is_over(request, *now) {
            return Err(self.closed());
        }
        if before.extension.is_some() {
            return Err(Refused::ExtendedAlready);
        }
        let terms =
            declared.terms(&request.asked).ok_or_else(|| Refused::Undeclared(request.name.clone()))?;
        if !declared.may_ask(actor.user_id, terms) {
            return Err(Refused::MayNotAsk(terms.name.to_owned()));
        }
        reason(&doing.reason, terms.asked.reason_required)?;
        let held = duration(doing.seconds, end.saturating_sub(start), terms)?;
        let extension =
            Extension { ends_at: start.saturating_add(held), reason: doing.reason.trim().to_owned() };
        let round = before.round.saturating_add(1);
        Ok((Standing { round, extension: Some(extension), ..before.clone() }, false))
    }

    /// Withdraws it, or ends it early.
    fn end(&self) -> Result<(Standing, bool), Refused> {
        let Self { declared, request, actor, now } = self;
        let decides = declared
            .terms(&request.asked)
            .is_some_and(|terms| declared.may_decide(actor.user_id, &request.user_id, terms));
        if actor.user_id != request.user_id && actor.role != Role::Admin && !decides {
            return Err(Refused::NotYoursToEnd);
        }
        let before = request.standing.clone();
        match state(request, *now) {
            State::Pending => Ok((Standing { decision: Decision::Revoked, ..before }, false)),
            State::Approved | State::Active | State::Refused if !is_over(request, *now) => {
                Ok((Standing { decision: Decision::Revoked, extension: None, ..before }, true))
            }
            _ => Err(self.closed()),
        }
    }
}

/// `more` on top of what is held already, if that may be.
fn duration(more: u64, held: i64, terms: Terms<'_>) -> Result<i64, Refused> {
    let most = i64::try_from(terms.asked.max_duration.as_secs()).unwrap_or(i64::MAX).min(LONGEST_SECONDS);
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    let all = more.saturating_add(held);
    if more > 0 && all <= most {
        return Ok(all);
    }
    Err(Refused::Duration { name: terms.name.to_owned(), most, left: most.saturating_sub(held).max(0) })
}

fn reason(text: &str, required: bool) -> Result<(), Refused> {
    if required && text.trim().is_empty() {
        return Err(Refused::NoReason);
    }
    if text.len() > LONGEST_REASON || text.chars().any(char::is_control) {
        return Err(Refused::Reason);
    }
    Ok(())
}

fn name_of(what: &AccessAsked) -> String {
    let name = match what {
        AccessAsked::Policy { policy_id } => policy_id,
        AccessAsked::AdHoc { ceiling_id, .. } => ceiling_id,
    };
    crate::name::shown(name)
}
