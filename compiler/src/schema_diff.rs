//! What a change of the schema means for policies that stay as they are.
//!
//! Two catalogues are compared object by object. With policies, each change is also judged: does it break what a
//! policy names, does a pattern now cover something sensitive, or something at all, and who then reads it through
//! which mask. The order is fixed: what needs a person first. Sizes and the day of the lock are no changes.

mod meaning;
mod report;
mod structure;

pub use report::{to_json, to_markdown, to_text};
pub use structure::Object;

use daam_catalog::{Catalog, Column, Relation, Scope};
use daam_model::{Origin, PolicySet};
use std::collections::BTreeSet;

/// How much a change matters, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Significance {
    /// A policy names what is no longer there, or no longer as it was.
    BreaksPolicy,
    /// Somebody now reads a column that looks sensitive.
    NewlySensitive,
    /// A pattern of a policy now covers something it did not cover.
    NewlyMatched,
    /// No policy has to do with it.
    Neutral,
}

impl Significance {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreaksPolicy => "breaks-policy",
            Self::NewlySensitive => "newly-sensitive",
            Self::NewlyMatched => "newly-matched",
            Self::Neutral => "neutral",
        }
    }
}

/// Which way an object changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one.
    Changed,
}

impl Kind {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One change of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// How much it matters.
    pub significance: Significance,
    /// What changed.
    pub object: Object,
    /// Which way.
    pub kind: Kind,
    /// What is said about it, e.g. `type: text → integer`.
    pub what: String,
    /// Whether it is only of use to people and the planner: indexes.
    pub hint: bool,
    /// Who reaches what is new.
    pub reached: Vec<Reached>,
    /// The clauses that name what changed.
    pub named: BTreeSet<Origin>,
}

/// Somebody who now reaches something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// Who, e.g. `group:support`.
    pub who: String,
    /// When, e.g. `standing`.
    pub when: String,
    /// The new column.
    pub column: String,
    /// The verbs they have on it.
    pub verbs: Vec<&'static str>,
    /// How they see it: the mask, or nothing if they see it as it is.
    pub mask: Option<String>,
    /// Why the column looks sensitive, if it does.
    pub sensitive: Option<String>,
    /// The clauses that give it.
    pub origins: BTreeSet<Origin>,
}

impl Reached {
    /// Whether it is read as it is.
    pub fn is_clear(&self) -> bool {
        self.mask.is_none() && self.verbs.contains(&"select")
    }
}

/// Says why a column looks sensitive.
pub type Sensitive = fn(&Relation, &Column) -> Option<String>;

/// The policies a change is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The policies.
    pub policies: &'a PolicySet,
    /// What the agent serves.
    pub scope: &'a Scope,
    /// Which columns look sensitive.
    pub sensitive: Sensitive,
}

/// Compares two catalogues, worst change first.
pub fn compare(before: &Catalog, after: &Catalog, context: Option<Context<'_>>) -> Vec<SchemaChange> {
    let mut changes = structure::changes(before, after);
    if let Some(context) = context {
        meaning::judge(&mut changes, before, after, context);
    }
    let key = |change: &SchemaChange| (change.significance, change.object.clone(), change.kind);
    changes.sort_by_cached_key(key);
    changes
}

/// Whether a lock of the first catalogue is stale for the second: indexes alone do not make it so.
pub fn is_stale(changes: &[SchemaChange]) -> bool {
    changes.iter().any(|change| !change.hint)
}
