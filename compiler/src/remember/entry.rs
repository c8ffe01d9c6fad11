//! One checked policy, with what was found when it was compared with others.

use crate::check::conflicts::Conflict;
use crate::check::{CheckedPolicy, family};
use crate::found::Found;
use crate::syntax::policy::WrittenPolicy;
use crate::tables::Tables;
use daam_diagnostic::{SourceId, SourceMap};
use std::cmp::Ordering;
use std::sync::Arc;

/// A policy as it was checked last.
#[derive(Debug)]
pub(super) struct Entry {
    /// Another one for everything that was ever checked.
    pub(super) id: u64,
    pub(super) written: Arc<WrittenPolicy>,
    pub(super) checked: Arc<CheckedPolicy>,
    /// What was found in it alone.
    pub(super) own: Found,
    /// What was found comparing it with others.
    pub(super) compared: Compared,
    pub(super) facts: Facts,
    /// Its masks that differ from earlier ones.
    pub(super) conflicts: Vec<Conflict>,
    /// The first policy of its name, if it is another one.
    pub(super) earlier: Option<u64>,
}

/// What decides which comparisons a policy takes part in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The file it is in.
    pub(super) source: SourceId,
    /// It masks something.
    pub(super) masks: bool,
    /// It grants a relation that has children.
    pub(super) parent: bool,
    /// It restricts a relation that has parents.
    pub(super) child: bool,
    /// Its file has an error.
    pub(super) unclear: bool,
}

/// Findings by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) name: Found,
    pub(super) conflicts: Found,
    pub(super) readable: Found,
    pub(super) together: Found,
    pub(super) joins: Found,
    pub(super) family: Found,
    pub(super) exposed: Found,
    pub(super) siblings: Found,
    pub(super) untested: Found,
}

impl Entry {
    pub(super) fn new(
        id: u64,
        written: &Arc<WrittenPolicy>,
        (checked, own): (CheckedPolicy, Found),
        parents: &family::Parents,
        tables: &Tables<'_>,
    ) -> Self {
        let facts = Facts {
            source: checked.at.source,
            masks: !checked.masks.is_empty(),
            parent: parents.covered(&checked),
            child: family::concerns(&checked, tables),
            unclear: false,
        };
        let checked = Arc::new(checked);
        let (written, compared) = (Arc::clone(written), Compared::default());
        Self { id, written, checked, own, compared, facts, conflicts: Vec::new(), earlier: None }
    }

    pub(super) fn source(&self) -> SourceId {
        self.facts.source
    }

    /// Everything found about it.
    pub(super) fn found(&self) -> impl Iterator<Item = &Found> {
        let Compared { name, conflicts, readable, together, joins, family, exposed, siblings, untested } =
            &self.compared;
        [&self.own, name, conflicts, readable, together, joins, family, exposed, siblings, untested]
            .into_iter()
    }

    /// Whether there is an error in it, or in how it stands to others; who sees sensitive columns is not asked of such.
    pub(super) fn is_wrong(&self) -> bool {
        let Compared { name, conflicts, readable, together, joins, family, .. } = &self.compared;
        [&self.own, name, conflicts, readable, together, joins, family].iter().any(|found| found.has_errors())
    }
}

/// By name, then by place: the order policies are compared and built in.
pub(super) fn order(a: &CheckedPolicy, b: &CheckedPolicy, sources: &SourceMap) -> Ordering {
    let path = || sources.path(a.at.source).cmp(sources.path(b.at.source));
    let place = |policy: &CheckedPolicy| (policy.at.span.start, policy.at.span.end);
    // The file first: a line more at the top of one of them does not make the other one the earlier.
    a.name.value.cmp(&b.name.value).then_with(path).then_with(|| place(a).cmp(&place(b)))
}
