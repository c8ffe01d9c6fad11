//! Comments that silence findings on their line or the next.

use super::{Settings, Settled, Waived, WaivedBy, ended};
use crate::rule::{self, Nature, Rule};
use crate::syntax::lint::unknown;
use crate::syntax::suppression::WrittenSuppression;
use daam_diagnostic::{Applicability, Diagnostic, Edit, Fix, Location, Sink};
use std::sync::Arc;

/// A comment with its rules looked up, and which of them silenced anything.
struct Live<'a> {
    written: &'a WrittenSuppression,
    rules: Vec<(&'static Rule, Location, bool)>,
    ended: bool,
}

/// What is left after the comments of the file; what they silenced goes to `settled`, what is wrong with them to the
/// sink.
pub(super) fn apply<'d>(
    found: Vec<&'d Diagnostic>,
    suppressions: &[Arc<WrittenSuppression>],
    settings: Settings<'_>,
    settled: &mut Settled,
    sink: &mut Sink,
) -> Vec<&'d Diagnostic> {
    let mut live: Vec<Live<'_>> = Vec::new();
    for written in suppressions {
        let until = written.until.as_ref().map(|until| until.value);
        let rules = written.rules.iter().filter_map(|text| known(text, sink)).collect();
        live.push(Live { written, rules, ended: ended(until, settings.today) });
    }
    let mut left = Vec::new();
    for one in found {
        match silenced(one, &mut live) {
            None => left.push(one),
            Some(written) => settled.suppressed.push(Arc::new(Waived {
                by: WaivedBy::Comment,
                at: written.at,
                reason: written.reason.clone(),
                until: written.until.as_ref().map(|until| until.value),
                diagnostic: one.clone(),
            })),
        }
    }
    for comment in &live {
        judge(comment, settings.complete, sink);
    }
    left
}

fn known(
    text: &crate::syntax::decode::Spanned<String>,
    sink: &mut Sink,
) -> Option<(&'static Rule, Location, bool)> {
    let found = rule::find(&text.value);
    if found.is_none() {
        sink.push(unknown(&text.value, text.at));
    }
    found.map(|rule| (rule, text.at, false))
}

/// The comment that silences a finding, marked as used.
fn silenced<'a>(found: &Diagnostic, comments: &mut [Live<'a>]) -> Option<&'a WrittenSuppression> {
    let start = found.at.span.start;
    for comment in comments.iter_mut().filter(|comment| !comment.ended) {
        let covers = comment.written.covers;
        if !(covers.start..covers.end).contains(&start) {
            continue;
        }
        let meant = comment.rules.iter_mut().find(|(rule, ..)| rule.code == found.code);
        if let Some((rule, _, used)) = meant
            && rule.nature == Nature::Free
        {
            *used = true;
            return Some(comment.written);
        }
    }
    None
}

fn judge(comment: &Live<'_>, complete: bool, sink: &mut Sink) {
    if comment.ended {
        let until = comment.written.until.as_ref().map_or(comment.written.at, |until| until.at);
        sink.push(
            rule::EXPIRED_WAIVER
                .at(until, "the comment silenced findings until this day")
                .help("put right what it silenced, or give a new reason and a new day"),
        );
        return;
    }
    for (rule, at, _) in &comment.rules {
        let message = match rule.nature {
            Nature::Free => continue,
            Nature::Locked => {
                format!("`{}` guards exposure and cannot be silenced by a comment", rule.code.slug)
            }
            Nature::Fixed => format!("`{}` is about meaning and cannot be silenced", rule.code.slug),
        };
        let help = match rule.nature {
            Nature::Locked => "a waiver in `daam.yaml`, with owner, reason and `until`, can waive it",
            _ => "put right what it finds",
        };
        sink.push(rule::NOT_SILENCEABLE.at(*at, message).help(help));
    }
    let idle: Vec<_> =
        comment.rules.iter().filter(|(rule, _, used)| rule.nature == Nature::Free && !used).collect();
    if complete && !idle.is_empty() {
        let names: Vec<&str> = idle.iter().map(|(rule, ..)| rule.code.slug).collect();
        let message = format!("there is nothing to silence here for {}", crate::syntax::decode::list(&names));
        let mut diagnostic = rule::UNUSED_SUPPRESSION.at(comment.written.at, message);
        if idle.len() == comment.written.rules.len() {
            let at = Location::new(comment.written.at.source, comment.written.removal);
            let edits = vec![Edit { at, text: String::new() }];
            diagnostic.fixes.push(Fix { applicability: Applicability::Safe, edits });
        }
        sink.push(diagnostic);
    }
}
