//! Filters on columns the same policy masks: which rows come back tells what the mask hides.

use super::{CheckedGrant, CheckedMask};
use crate::rule;
use crate::tables::Tables;
use daam_diagnostic::Sink;

pub(crate) fn compared(grants: &[CheckedGrant], masks: &[CheckedMask], tables: &Tables<'_>, sink: &mut Sink) {
    for grant in grants.iter().filter(|grant| !grant.compared.is_empty()) {
        for (name, at) in &grant.compared {
            let masked = masks.iter().flat_map(|mask| &mask.on).flat_map(|on| on.columns(tables)).find(
                |(relation, column)| {
                    column.name == *name
                        && grant.relations(tables).any(|granted| granted.name == relation.name)
                },
            );
            if let Some((relation, _)) = masked {
                let message =
                    format!("the filter compares `{}.{name}`, which this policy masks", relation.name);
                let help = "filter by a column that may be seen: the rows that come back tell its value";
                sink.push(rule::FILTER_ON_MASKED_COLUMN.at(*at, message).help(help));
            }
        }
    }
}
