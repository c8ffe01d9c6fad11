//! What a project says about its findings: levels, comments that silence, waivers.
//!
//! Runs over all findings at the end, so that no check has to know of it. A comment silences rules without a lock
//! only, a waiver only rules that guard exposure, and nothing silences a rule about meaning. What is silenced is kept
//! apart, not forgotten. Comments and waivers that are wrong, ended or superfluous are findings themselves.

mod comments;
mod owners;
mod waivers;

use crate::day::Day;
use crate::rule::{self, Nature, Rule};
use crate::syntax::lint::{WrittenLevel, WrittenLint, WrittenWaiver};
use crate::syntax::project::WrittenProject;
use crate::syntax::suppression::WrittenSuppression;
use daam_diagnostic::{Diagnostic, Location, Severity, Sink, SourceMap};

pub(crate) use owners::{Owner, Owners};

/// A finding that was silenced, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    /// The finding.
    pub diagnostic: Diagnostic,
    /// By what.
    pub by: WaivedBy,
    /// Where the comment or the waiver stands.
    pub at: Location,
    /// Why.
    pub reason: String,
    /// The last day it is.
    pub until: Option<Day>,
}

/// What silenced a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaivedBy {
    /// A comment beside it.
    Comment,
    /// A waiver in `daam.yaml`, and who answers for it.
    Waiver {
        /// Who answers for it.
        owner: String,
    },
}

impl WaivedBy {
    /// The word used in reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Waiver { .. } => "waiver",
        }
    }
}

/// All findings after the project has had its say.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) waived: Vec<Waived>,
}

/// What there is to settle them by.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) project: &'a WrittenProject,
    pub(crate) suppressions: Vec<&'a WrittenSuppression>,
    /// Which policy and database a place belongs to.
    pub(crate) owners: Owners<'a>,
    pub(crate) today: Option<Day>,
}

/// Settles findings, sorted or not; they come back sorted.
pub(crate) fn settle(found: Sink, settings: &Settings<'_>, sources: &SourceMap) -> Settled {
    let found = found.into_sorted(sources);
    // A check that could not run may have had something to silence.
    let complete =
        !found.iter().any(|one| rule::of(one.code).is_none_or(|rule| rule.nature == Nature::Fixed));
    let mut sink = Sink::new();
    let mut waived = Vec::new();
    let found = waivers::apply(found, settings, complete, &mut waived, &mut sink);
    let found = comments::apply(found, settings, complete, &mut waived, &mut sink);
    misplaced_levels(&settings.project.lint, &mut sink);
    for one in found {
        sink.push(one);
    }
    let diagnostics = sink.into_sorted(sources);
    let diagnostics =
        diagnostics.into_iter().filter_map(|one| levelled(one, &settings.project.lint)).collect();
    Settled { diagnostics, waived }
}

/// Whether something that holds until a day has ended.
fn ended(until: Option<Day>, today: Option<Day>) -> bool {
    until.zip(today).is_some_and(|(until, today)| until < today)
}

/// The finding with the level of the project; nothing if that is `off`.
fn levelled(mut found: Diagnostic, lint: &WrittenLint) -> Option<Diagnostic> {
    let Some(level) = lint.levels.iter().find(|level| level.rule.code == found.code) else {
        return Some(found);
    };
    match (level.rule.nature, level.level) {
        (Nature::Fixed, _) | (Nature::Locked, None) => {}
        (Nature::Free, None) => return None,
        (Nature::Free, Some(severity)) => found.severity = severity,
        // Severities order from the worst on.
        (Nature::Locked, Some(severity)) => found.severity = found.severity.min(severity),
    }
    Some(found)
}

/// Levels that are not for the project to set.
fn misplaced_levels(lint: &WrittenLint, sink: &mut Sink) {
    for WrittenLevel { rule: meant, level, at } in &lint.levels {
        let lower = level.is_none_or(|level: Severity| level > meant.severity);
        let diagnostic = match meant.nature {
            Nature::Free => continue,
            Nature::Locked if !lower => continue,
            Nature::Fixed if *level == Some(meant.severity) => continue,
            Nature::Locked => rule::NOT_SILENCEABLE
                .at(*at, format!("`{}` guards exposure; its level cannot be lowered", meant.code.slug))
                .help("waive single findings under `waivers`, with owner, reason and `until`"),
            Nature::Fixed => rule::NOT_SILENCEABLE
                .at(*at, format!("`{}` is about meaning; its level cannot be changed", meant.code.slug))
                .help("remove the level, and put right what the rule finds"),
        };
        sink.push(diagnostic);
    }
}

/// Whether a waiver may be for that rule.
fn waivable(rule: &Rule) -> bool {
    rule.nature == Nature::Locked
}

/// Whether a waiver still holds.
fn holds(waiver: &WrittenWaiver, settings: &Settings<'_>) -> bool {
    !ended(Some(waiver.until.value), settings.today) && waivable(waiver.rule.value)
}
