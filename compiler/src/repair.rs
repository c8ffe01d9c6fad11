//! Applies the fixes findings suggest, again and again until none is left, and proves that safe ones are.
//!
//! A fix is marked safe by its rule; here the mark is not believed. If the project compiles, the effects before and
//! after are compared, and a run after which anybody can do or see more is refused as a whole. If it does not, there
//! are no effects to compare: a fix is then taken only if the documents say the same before and after to the letter
//! (it quotes a text, it moves white space), and held back otherwise. Edits that overlap wait for the next round.

use crate::compile::Checked;
use crate::diff::{Diff, diff};
use crate::effects::Side;
use crate::file_source::FileSource;
use crate::overlay::Overlay;
use crate::rule;
use crate::syntax::yaml;
use daam_diagnostic::{Applicability, Diagnostic, Edit, Fix, Sink, SourceMap, Span};
use daam_model::PolicySet;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that repair each other's repairs for ever are stopped here.
const MAX_ROUNDS: usize = 16;

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// The new texts of files that changed.
    pub texts: BTreeMap<String, String>,
    /// How many fixes were applied.
    pub applied: usize,
    /// How many safe fixes were left out because nothing proves that they widen no access.
    pub unproved: usize,
    /// Whether nothing was left to do; otherwise the rules did not come to rest.
    pub settled: bool,
    /// The project as it is afterwards.
    pub checked: Checked,
}

/// Why nothing may be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// Fixes that are called safe would give access.
    #[error("the fixes would widen access")]
    Widens(Vec<Diff>),
    /// Fixes that are called safe would break a project that compiles.
    #[error("the fixes would leave a project with errors: {0}")]
    Breaks(String),
}

/// Repairs a project in memory. `check` finds what is wrong with it, `wanted` says which findings are repaired,
/// `limit` how far their fixes are trusted.
pub fn repair(
    source: &dyn FileSource,
    check: &mut dyn FnMut(&dyn FileSource) -> Checked,
    limit: Applicability,
    wanted: &dyn Fn(&Diagnostic) -> bool,
) -> Result<Repaired, RepairError> {
    let mut texts = BTreeMap::new();
    let mut checked = check(source);
    let mut seen = BTreeSet::new();
    let mut applied = 0;
    for _ in 0..MAX_ROUNDS {
        let (mut chosen, mut unproved) = (choose(&checked, limit, wanted), 0);
        if limit == Applicability::Safe && !checked.has_meaning() {
            let before = chosen.len();
            chosen.retain(|fix| says_the_same(fix, &checked.sources));
            unproved = before - chosen.len();
        }
        let changed = apply(&chosen, &checked.sources);
        if changed.is_empty() || !seen.insert(changed.clone()) {
            return Ok(Repaired { texts, applied, unproved, settled: chosen.is_empty(), checked });
        }
        let count = chosen.len();
        texts.extend(changed);
        let after = check(&Overlay::new(source, &texts));
        if limit == Applicability::Safe && checked.has_meaning() {
            prove(&checked, &after)?;
        }
        applied += count;
        checked = after;
    }
    Ok(Repaired { texts, applied, unproved: 0, settled: false, checked })
}

/// One fix per finding, none touching another.
fn choose<'a>(
    checked: &'a Checked,
    limit: Applicability,
    wanted: &dyn Fn(&Diagnostic) -> bool,
) -> Vec<&'a Fix> {
    let mut taken: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    let mut chosen = Vec::new();
    for found in checked.diagnostics.iter().filter(|found| wanted(found)) {
        let trusted = |fix: &&Fix| fix.applicability <= limit && fix.applicability != Applicability::Display;
        let Some(fix) = found.fixes.iter().find(trusted) else { continue };
        let spans: Vec<(&str, Span)> =
            fix.edits.iter().map(|edit| (checked.sources.path(edit.at.source), edit.at.span)).collect();
        let free = |(path, span): &(&str, Span)| {
            taken.get(path).is_none_or(|taken| taken.iter().all(|other| !touches(*span, *other)))
        };
        if spans.is_empty() || !spans.iter().all(free) {
            continue;
        }
        for (path, span) in spans {
            taken.entry(path).or_default().push(span);
        }
        chosen.push(fix);
    }
    chosen
}

/// Two edits at one place have no order, so places that only meet count as well.
fn touches(one: Span, other: Span) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// The texts of the files that fixes change.
fn apply(fixes: &[&Fix], sources: &SourceMap) -> BTreeMap<String, String> {
    let mut edits: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
    for edit in fixes.iter().flat_map(|fix| &fix.edits) {
        edits.entry(sources.path(edit.at.source)).or_default().push(edit);
    }
    let mut texts = BTreeMap::new();
    for (path, mut edits) in edits {
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.at.span.start));
        let Some(old) = edits.first().map(|edit| sources.text(edit.at.source)) else { continue };
        let mut text = old.to_owned();
        for edit in edits {
            let Span { start, end } = edit.at.span;
            if end <= text.len() && text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &edit.text);
            }
        }
        if text != old {
            texts.insert(path.to_owned(), text);
        }
    }
    texts
}

/// Whether the documents of every file it touches have the same keys and values in the same order.
fn says_the_same(fix: &Fix, sources: &SourceMap) -> bool {
    let after = apply(&[fix], sources);
    fix.edits.iter().all(|edit| {
        let Some(text) = after.get(sources.path(edit.at.source)) else { return true };
        let read = |text: &str| yaml::read(edit.at.source, text, &mut Sink::new());
        let (before, after) = (read(sources.text(edit.at.source)), read(text));
        before.len() == after.len() && before.iter().zip(&after).all(|(one, other)| one.says(other))
    })
}

fn prove(before: &Checked, after: &Checked) -> Result<(), RepairError> {
    if let Some(error) = after.diagnostics.iter().find(|found| rule::leaves_open(found)) {
        return Err(RepairError::Breaks(error.message.clone()));
    }
    let mut widened = Vec::new();
    for (name, new) in &after.databases {
        let none = PolicySet { database: name.clone(), ..PolicySet::default() };
        let new = Side::of(new);
        let old = before.databases.get(name).map_or(Side { policies: &none, ..new }, Side::of);
        let found = diff(&old, &new);
        if found.widens() {
            widened.push(found);
        }
    }
    if widened.is_empty() { Ok(()) } else { Err(RepairError::Widens(widened)) }
}
