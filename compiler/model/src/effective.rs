//! What one subject may do and see in one catalogue: all applicable policies, combined.

use crate::mask::EffectiveMask;
use crate::policy::{Origin, SessionLimits, Verb};
use crate::subject::Subject;
use daam_catalog::{FunctionName, Identifier, RelationName};
use std::collections::{BTreeMap, BTreeSet};

/// The combination of every policy that applies to a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// Whose.
    pub subject: Subject,
    /// Names of the policies that apply.
    pub policies: BTreeSet<String>,
    /// Relations with at least one granted verb; everything else is denied.
    pub relations: BTreeMap<RelationName, RelationAccess>,
    /// Functions granted by name.
    pub functions: BTreeSet<FunctionName>,
    /// Combined limits.
    pub limits: SessionLimits,
}

/// Access to one relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelationAccess {
    /// Granted verbs with their columns (empty for `delete` and `truncate`, which have none).
    pub verbs: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// Masked columns, whether or not they are granted; includes inherited masks of derived columns.
    pub masks: BTreeMap<Identifier, EffectiveMask>,
    /// Row filters per verb; an absent verb reaches every row.
    pub rows: BTreeMap<Verb, RowFilter>,
    /// The clauses that granted something here.
    pub origins: BTreeSet<Origin>,
}

/// Which rows a verb reaches: any of `any` (all rows if empty) and all of `all`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowFilter {
    /// Permissive clauses.
    pub any: Vec<FilterClause>,
    /// Restrictive clauses.
    pub all: Vec<FilterClause>,
}

/// One filter clause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterClause {
    /// The relation whose columns the clause was written against (a partition inherits its parent's).
    pub relation: RelationName,
    /// Canonical text, with `subject.<attribute>` unbound.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}
