//! Policies as checked values.
//!
//! Nothing here is resolved: patterns are still patterns, and what they mean for one subject is
//! [`crate::effective()`]'s to say.

use crate::mask::Mask;
use crate::subject::{AttributeType, Subject};
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_catalog::{Identifier, RelationKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    /// Read rows.
    Select,
    /// Add rows.
    Insert,
    /// Change rows.
    Update,
    /// Remove rows.
    Delete,
    /// Empty the table.
    Truncate,
}

impl Verb {
    /// All verbs, in the order they are written.
    pub const ALL: [Self; 5] = [Self::Select, Self::Insert, Self::Update, Self::Delete, Self::Truncate];

    /// The word used in policies and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }

    /// Whether PostgreSQL grants this verb per column.
    pub fn has_columns(self) -> bool {
        matches!(self, Self::Select | Self::Insert | Self::Update)
    }

    /// Whether the verb exists for relations of that kind.
    pub fn suits(self, kind: RelationKind) -> bool {
        match kind {
            RelationKind::MaterializedView => self == Self::Select,
            RelationKind::View => self != Self::Truncate,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => true,
        }
    }
}

/// Where in the project a clause was written, for `explain` and refusals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Path relative to the project.
    pub file: String,
    /// 1-based line.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The policies of one database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicySet {
    /// The database's name in `daam.yaml`.
    pub database: String,
    /// Declared attributes.
    pub attributes: BTreeMap<String, AttributeType>,
    /// Groups that Git, not the directory, decides: group → member e-mails.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Policies, sorted by name; names are unique.
    pub policies: Vec<Policy>,
    /// What people may ask for without a policy that names it, sorted by name; no policy has the same name.
    pub ceilings: Vec<Ceiling>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Unique name.
    pub name: String,
    /// Free text for readers.
    pub description: String,
    /// Whom it concerns (for a requestable policy: who may ask).
    pub subjects: Subjects,
    /// What it permits.
    pub grants: Vec<Grant>,
    /// What it masks. Masks apply to whoever the policy applies to, over every grant of every policy.
    pub masks: Vec<MaskRule>,
    /// Limits on sessions it takes part in.
    pub session: SessionLimits,
    /// Present when the policy is not held by default but asked for.
    pub request: Option<RequestTerms>,
    /// Where it was written.
    pub origin: Origin,
}

/// Whom a policy concerns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subjects {
    /// Everyone with an identity in the organization.
    pub everyone: bool,
    /// Members of any of these groups.
    pub groups: BTreeSet<String>,
    /// These e-mail addresses, lower case.
    pub users: BTreeSet<String>,
}

impl Subjects {
    /// Whether the subject is among them. Addresses compare without case.
    pub fn include(&self, subject: &Subject) -> bool {
        self.everyone
            || !self.groups.is_disjoint(&subject.groups)
            || self.users.iter().any(|user| subject.has_email(user))
    }
}

/// One entry of `grants:`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grant {
    /// Relations it covers.
    pub on: Vec<RelationPattern>,
    /// Verbs it allows on them.
    pub allow: BTreeSet<Verb>,
    /// Verbs narrowed to columns; a verb that is absent covers all columns.
    pub columns: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// Permissive row filter, canonical text.
    pub rows: Option<String>,
    /// Restrictive row filter, canonical text; holds over every policy's rows.
    pub restrict: Option<String>,
    /// Functions it allows to be called, `schema.name`, all overloads.
    pub functions: Vec<RelationPattern>,
    /// Where it was written.
    pub origin: Origin,
}

/// One entry of `masks:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskRule {
    /// Columns it covers.
    pub on: Vec<ColumnPattern>,
    /// The preset.
    pub with: Mask,
    /// Where it was written.
    pub origin: Origin,
}

/// `session:` of a policy. Over several policies the shortest time wins, `read_only` holds if any says so,
/// `procedural` is a permission and adds up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionLimits {
    /// Longest session.
    pub max_duration: Option<Duration>,
    /// Longest pause between statements.
    pub idle_timeout: Option<Duration>,
    /// Longest statement.
    pub statement_timeout: Option<Duration>,
    /// Only reading transactions.
    pub read_only: Option<bool>,
    /// DO, CREATE FUNCTION and functions that run text as SQL are allowed.
    pub procedural: Option<bool>,
}

impl SessionLimits {
    /// The limits of a session both take part in.
    #[must_use]
    pub fn combined(&self, other: &Self) -> Self {
        Self {
            max_duration: at_most(self.max_duration, other.max_duration),
            idle_timeout: at_most(self.idle_timeout, other.idle_timeout),
            statement_timeout: at_most(self.statement_timeout, other.statement_timeout),
            read_only: either(self.read_only, other.read_only),
            procedural: either(self.procedural, other.procedural),
        }
    }
}

fn at_most(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a || b),
        (one, other) => one.or(other),
    }
}

/// `kind: request-ceiling`: the most that may be asked for ad hoc. It grants nothing by itself: what is asked for,
/// within it, is held once it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Unique name.
    pub name: String,
    /// Free text for readers.
    pub description: String,
    /// Who may ask.
    pub who: Subjects,
    /// Relations, verbs, columns and rows that may be asked for; without `restrict` and `functions`.
    pub grants: Vec<Grant>,
    /// The weakest mask of each column: what is asked for is masked at least as strongly.
    pub masks: Vec<MaskRule>,
    /// Who decides, and for how long at most.
    pub terms: RequestTerms,
    /// Where it was written.
    pub origin: Origin,
}

impl Ceiling {
    /// The policy of a request that asks for everything below the ceiling.
    pub fn whole(&self) -> Policy {
        Policy {
            name: self.name.clone(),
            description: self.description.clone(),
            subjects: self.who.clone(),
            grants: self.grants.clone(),
            masks: self.masks.clone(),
            session: SessionLimits::default(),
            request: Some(self.terms.clone()),
            origin: self.origin.clone(),
        }
    }
}

/// `request:` of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestTerms {
    /// Groups whose members decide.
    pub approvers: BTreeSet<String>,
    /// How many approvals are needed.
    pub count: u32,
    /// Longest time it may be held.
    pub max_duration: Duration,
    /// Whether a reason must be given.
    pub reason_required: bool,
}
