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
use daam_diagnostic::{Diagnostic, Location, Severity, Sink, Span};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

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

/// What there is to settle findings by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) project: &'a WrittenProject,
    pub(crate) today: Option<Day>,
    /// Whether every check could run; one that could not may have had something to silence.
    pub(crate) complete: bool,
}

/// The findings of one file after the project has had its say, but for what it says about itself.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Sorted, with their levels.
    pub(crate) left: Vec<Diagnostic>,
    /// Silenced by waivers.
    pub(crate) waived: Vec<Arc<Waived>>,
    /// Silenced by comments.
    pub(crate) suppressed: Vec<Arc<Waived>>,
    /// Waivers that silenced something, by their place in `daam.yaml`, once each.
    pub(crate) used: BTreeSet<usize>,
}

/// Whether a finding says that some check could not run.
pub(crate) fn hinders(found: &Diagnostic) -> bool {
    rule::of(found.code).is_none_or(|rule| rule.nature == Nature::Fixed)
}

/// Settles the findings of one file, which come sorted. `owners` says which policy a place of it belongs to.
pub(crate) fn settle(
    found: Vec<&Diagnostic>,
    suppressions: &[Arc<WrittenSuppression>],
    owners: &Owners<'_>,
    settings: Settings<'_>,
) -> Settled {
    let mut sink = Sink::new();
    let mut settled = Settled::default();
    let found = waivers::apply(found, settings, owners, &mut settled);
    let found = comments::apply(found, suppressions, settings, &mut settled, &mut sink);
    settled.left = found.into_iter().cloned().chain(sink.into_found()).collect();
    settled.left = levelled(std::mem::take(&mut settled.left), settings.project);
    settled
}

/// What is wrong with the project's own waivers and levels; `used` are the waivers that silenced anything.
pub(crate) fn closing(used: &BTreeSet<usize>, settings: Settings<'_>) -> Vec<Diagnostic> {
    let mut sink = Sink::new();
    waivers::judge(used, settings, &mut sink);
    misplaced_levels(&settings.project.lint, &mut sink);
    levelled(sink.into_found(), settings.project)
}

/// Findings of one file in their order, each once, with the levels of the project.
fn levelled(mut found: Vec<Diagnostic>, project: &WrittenProject) -> Vec<Diagnostic> {
    sort(&mut found);
    found.dedup();
    found.into_iter().filter_map(|one| with_level(one, &project.lint)).collect()
}

/// Puts findings of one file into the order they are told in.
pub(crate) fn sort<D: Borrow<Diagnostic>>(found: &mut [D]) {
    fn key(found: &Diagnostic) -> (Span, u16, &str) {
        (found.at.span, found.code.number, found.message.as_str())
    }
    found.sort_by(|a, b| key(a.borrow()).cmp(&key(b.borrow())));
}

/// Whether something that holds until a day has ended.
fn ended(until: Option<Day>, today: Option<Day>) -> bool {
    until.zip(today).is_some_and(|(until, today)| until < today)
}

/// The finding with the level of the project; nothing if that is `off`.
fn with_level(mut found: Diagnostic, lint: &WrittenLint) -> Option<Diagnostic> {
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
fn holds(waiver: &WrittenWaiver, settings: Settings<'_>) -> bool {
    !ended(Some(waiver.until.value), settings.today) && waivable(waiver.rule.value)
}
