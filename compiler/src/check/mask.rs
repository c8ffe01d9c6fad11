//! One mask rule: columns that exist, and a preset that works on their types.

use super::{CheckedMask, Database, lists, mask_sense};
use crate::rule;
use crate::syntax::policy::WrittenMask;
use daam_catalog::pattern::ColumnPattern;
use daam_diagnostic::{Severity, Sink};
use daam_model::MaskRule;

pub(crate) fn mask_rule(
    written: &WrittenMask,
    database: &Database<'_>,
    sink: &mut Sink,
) -> (MaskRule, CheckedMask) {
    let reach = database.reach();
    let on: Vec<_> =
        written.on.iter().filter_map(|text| reach.and_then(|reach| reach.columns(text, sink))).collect();
    let checked = CheckedMask { at: written.with.at, with: written.with.value.clone(), on };
    fits(written, &checked, database, sink);
    mask_sense::sense(&checked, database.tables, sink);
    let patterns: Vec<_> = checked.on.iter().map(|found| (found.at, &found.pattern)).collect();
    lists::redundant(&patterns, ColumnPattern::contains, database.sources, sink);
    let rule = MaskRule {
        on: checked.on.iter().map(|found| found.pattern.clone()).collect(),
        with: written.with.value.clone(),
        origin: database.origin(written.at),
    };
    (rule, checked)
}

/// A preset that does not fit shows NULL: an error where the column is named, a warning where a wildcard met it.
fn fits(written: &WrittenMask, checked: &CheckedMask, database: &Database<'_>, sink: &mut Sink) {
    let preset = crate::preset::written(&checked.with);
    for found in &checked.on {
        let literal =
            found.pattern.relation().literal().is_some() && found.pattern.literal_column().is_some();
        let wrong: Vec<_> =
            found.columns(database.tables).filter(|(_, column)| !fits_column(checked, column)).collect();
        let Some((relation, column)) = wrong.first() else { continue };
        let more = match wrong.len() {
            1 => String::new(),
            number => format!(" (and {} more columns)", number - 1),
        };
        let message = format!(
            "the preset `{preset}` does not work on `{}.{}`, which is `{}`{more}",
            relation.name, column.name, column.data_type.sql
        );
        let mut diagnostic = rule::MASK_TYPE_MISMATCH
            .at(found.at, message)
            .label(written.with.at, "this preset")
            .help("NULL would be shown; use a preset for that type, or `null`");
        if !literal {
            diagnostic.severity = Severity::Warning;
        }
        sink.push(diagnostic);
    }
}

/// `redact` is meant for everything: it is NULL where there is no text, as documented.
fn fits_column(checked: &CheckedMask, column: &daam_catalog::Column) -> bool {
    checked.with == daam_model::Mask::Redact || checked.with.fits(column.data_type.class)
}
