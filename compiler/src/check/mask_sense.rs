//! Masks that fit and still do not do what was wanted: they show NULL where there is none, the value itself, or
//! most of it.

use super::CheckedMask;
use crate::preset;
use crate::rule::{self, Rule};
use crate::tables::Tables;
use daam_catalog::Column;
use daam_diagnostic::Sink;
use daam_model::Mask;

/// Characters from which on an unbounded text is shown for the better part: names, phone and account numbers are
/// seldom longer than twice that.
const MANY: usize = 8;

/// A finding per rule and pattern, naming the first column it is true of.
pub(super) fn sense(checked: &CheckedMask, tables: &Tables<'_>, sink: &mut Sink) {
    first(checked, tables, &rule::MASK_NULL_ON_NOT_NULL, null_on_not_null, sink);
    first(checked, tables, &rule::REVERSIBLE_MASK, gives_back, sink);
    first(checked, tables, &rule::PARTIAL_MASK_TOO_REVEALING, shows_most, sink);
}

fn first(
    checked: &CheckedMask,
    tables: &Tables<'_>,
    rule: &Rule,
    judge: impl Fn(&Mask, &Column) -> Option<String>,
    sink: &mut Sink,
) {
    for found in &checked.on {
        let mut met = found
            .columns(tables)
            .filter_map(|(relation, column)| Some((relation, column, judge(&checked.with, column)?)));
        let Some((relation, column, why)) = met.next() else { continue };
        let more = match met.count() {
            0 => String::new(),
            number => format!(" (and {number} more columns)"),
        };
        let preset = preset::written(&checked.with);
        let message = format!("`{preset}` on `{}.{}` {why}{more}", relation.name, column.name);
        sink.push(rule.at(found.at, message).label(checked.at, "this mask"));
    }
}

fn null_on_not_null(mask: &Mask, column: &Column) -> Option<String> {
    let null = match mask {
        Mask::Null => true,
        Mask::Redact => !column.data_type.class.is_text_like(),
        _ => false,
    };
    (null && column.not_null).then(|| "shows NULL, and the column is NOT NULL".to_owned())
}

fn gives_back(mask: &Mask, column: &Column) -> Option<String> {
    let class = column.data_type.class;
    // What gives back every value of the type is refused as a preset that does not fit.
    match mask {
        Mask::Bucket(1) | Mask::Round(1) if mask.fits(class) => {
            Some("shows the value but for its fraction".to_owned())
        }
        Mask::Network(bits) if *bits >= 32 && mask.fits(class) => Some(
            "shows no part of IPv4 addresses: they become NULL, since nothing would be cut off".to_owned(),
        ),
        _ => None,
    }
}

fn shows_most(mask: &Mask, column: &Column) -> Option<String> {
    let Mask::Partial { prefix, suffix } = mask else { return None };
    let shown = usize::try_from(prefix.saturating_add(*suffix)).ok()?;
    match length(&column.data_type.sql) {
        Some(limit) if shown.saturating_mul(2) >= limit => {
            Some(format!("shows {shown} of at most {limit} characters"))
        }
        None if shown >= MANY => Some(format!("shows {shown} characters, most of many values")),
        _ => None,
    }
}

/// The length of `character varying(40)`.
fn length(sql: &str) -> Option<usize> {
    sql.strip_prefix("character")?.split_once('(')?.1.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn a_declared_length_is_read_from_the_type() {
        assert_eq!(length("character varying(40)"), Some(40));
        assert_eq!(length("character(2)"), Some(2));
        for sql in ["text", "character varying", "numeric(10,2)"] {
            assert_eq!(length(sql), None, "{sql}");
        }
    }
}
