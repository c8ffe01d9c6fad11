//! Who reads sensitive columns in clear: the 6xx rules.
//!
//! Every column is classified once; then each policy is asked which of the flagged ones it shows without a mask to
//! at least one of its groups or people. Both grow with the size of the project, not with its square.

mod classified;
mod exposed;
mod masks;
mod sibling;

pub(crate) use classified::Classified;

use super::{CheckedPolicy, Database};
use crate::syntax::project::WrittenDatabase;
use daam_diagnostic::Sink;
use std::collections::{BTreeMap, BTreeSet};

/// Reports all of them.
pub(crate) fn exposure(
    policies: &[CheckedPolicy],
    database: &Database<'_>,
    written: &WrittenDatabase,
    groups: &BTreeMap<String, BTreeSet<String>>,
    sink: &mut Sink,
) {
    let Some(reach) = database.reach() else { return };
    let classified = Classified::of(reach, &written.classification, sink);
    let masks = masks::Masks::of(policies, groups);
    exposed::report(policies, reach, &classified, &masks, sink);
    if let Some(at) = written.strict_classification {
        exposed::unclassified(policies, &classified, at, database.tables, sink);
    }
    sibling::report(policies, database.tables, sink);
}
