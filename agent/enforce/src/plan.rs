//! What the database must look like for one session.
//!
//! An unprotected relation is granted to the permission role itself. A *protected* one — a mask or a row filter
//! applies — is not granted at all: the session reaches it through views of its own `pg_temp`, owned by the view
//! owner, and those views are created by a function whose body is plain text, so that nothing depends on the
//! tables while no view exists. Refused: a stored row filter that does not read back.

mod access;
mod compare;
mod copy_in;
mod grants;
mod hex;
mod install;
mod introduction;
mod objects;
mod table;
mod views;
mod write_back;

pub use access::{Access, DirectTable};
pub(crate) use copy_in::{columns as copied_columns, is_possible as can_be_copied_into};
pub use objects::{Objects, RelationObject};
pub use table::{ProtectedColumn, ProtectedTable, ViewKind};
pub(crate) use views::{masked_name, qualified as qualified_view, view_name};
pub(crate) use write_back::refusal as write_back_refusal;

use crate::mask;
use daam_catalog::{Catalog, FunctionName, Privilege, RelationName};
use daam_model::{EffectivePolicy, RefusedGrant, RefusedReason, RelationAccess, SessionLimits, Verb};
use daam_sql::quote;
use std::collections::{BTreeMap, BTreeSet};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A stored row filter does not read back.
    #[error("the row filter of `{relation}` (from {file}:{line}) is not valid")]
    Filter {
        /// The relation.
        relation: RelationName,
        /// The policy file.
        file: String,
        /// The line in it.
        line: u32,
        /// Why.
        #[source]
        source: Box<daam_sql::FilterError>,
    },
}

/// The secret of the `hash` preset: 32 random bytes per database and key epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// What the database must look like for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlan {
    permission_role: String,
    view_owner: Option<String>,
    direct: BTreeMap<RelationName, DirectTable>,
    protected: BTreeMap<RelationName, ProtectedTable>,
    functions: BTreeSet<FunctionName>,
    sequences: BTreeSet<RelationName>,
    policies: BTreeSet<String>,
    limits: SessionLimits,
    notices: Vec<String>,
    refused: Vec<RefusedGrant>,
    permission_grants: Vec<grants::Grant>,
    view_owner_grants: Vec<grants::Grant>,
}

/// Works out the plan.
pub fn plan(e: &EffectivePolicy, catalog: &Catalog) -> Result<SessionPlan, PlanError> {
    let mut direct = BTreeMap::new();
    let mut protected = BTreeMap::new();
    let mut notices = BTreeSet::new();
    for (name, access) in &e.relations {
        let Some(relation) = catalog.relation(name) else { continue };
        let access = &permitted(access, e.limits.read_only == Some(true));
        let selected = access.verbs.get(&Verb::Select);
        let masked =
            selected.is_some_and(|columns| columns.iter().any(|column| access.masks.contains_key(column)));
        let filtered = access.verbs.keys().any(|verb| access.rows.contains_key(verb));
        // Where everyone may read the relation, column grants of ours would narrow nothing.
        let narrowed =
            relation.columns.iter().any(|column| selected.is_some_and(|all| !all.contains(&column.name)));
        let open = (narrowed || access.future_masks) && relation.public.contains(&Privilege::Select);
        if masked || filtered || open {
            let table = table::protect(relation, access, &e.subject, catalog, &mut notices)?;
            protected.insert(name.clone(), table);
        } else if !access.verbs.is_empty() {
            direct.insert(
                name.clone(),
                DirectTable { verbs: access.verbs.clone(), by_column: access.future_masks },
            );
        }
    }
    let permission_grants = grants::permission(&direct, &protected, &e.functions, catalog);
    let view_owner_grants = grants::view_owner(&protected, catalog);
    let sequences = grants::read_sequences(&direct, &protected, catalog);
    Ok(SessionPlan {
        permission_role: grants::role_name("daam_p_", &permission_grants, &[]),
        view_owner: (!protected.is_empty()).then(|| grants::role_name("daam_v_", &view_owner_grants, &[])),
        direct,
        protected,
        functions: e.functions.clone(),
        sequences,
        policies: e.policies.clone(),
        limits: e.limits.clone(),
        notices: notices.into_iter().collect(),
        refused: e.refused.clone(),
        permission_grants,
        view_owner_grants,
    })
}

/// What is left of an access in a read-only session.
fn permitted(access: &RelationAccess, read_only: bool) -> RelationAccess {
    let mut access = access.clone();
    access.verbs.retain(|verb, _| !read_only || *verb == Verb::Select);
    access
}

impl SessionPlan {
    /// The role that holds the direct grants, `daam_p_<hash>`.
    pub fn permission_role(&self) -> &str {
        &self.permission_role
    }

    /// The role that owns the session's views, `daam_v_<hash>`; none when nothing is protected.
    pub fn view_owner(&self) -> Option<&str> {
        self.view_owner.as_deref()
    }

    /// SQL of the administrator: the permission role's grants.
    pub fn permission_grants(&self) -> Vec<String> {
        self.permission_grants.iter().map(|grant| grant.sql(&self.permission_role)).collect()
    }

    /// SQL of the administrator: the view owner's grants.
    pub fn view_owner_grants(&self) -> Vec<String> {
        let owner = self.view_owner.as_deref().unwrap_or_default();
        self.view_owner_grants.iter().map(|grant| grant.sql(owner)).collect()
    }

    /// SQL of the session while it acts as the view owner: the key table and the two functions. Empty when
    /// nothing is protected. Running it again replaces what an earlier run of the same owner left.
    pub fn install(&self, key: &HashKey) -> Vec<String> {
        if self.protected.is_empty() { Vec::new() } else { install::statements(&self.protected, key) }
    }

    /// Relations that go through views.
    pub fn protected(&self) -> &BTreeMap<RelationName, ProtectedTable> {
        &self.protected
    }

    /// What the session may do with a relation.
    pub fn access(&self, relation: &RelationName) -> Access<'_> {
        match (self.protected.get(relation), self.direct.get(relation)) {
            (Some(table), _) => Access::Protected(table),
            (None, Some(table)) => Access::Direct(table),
            (None, None) => Access::None,
        }
    }

    /// Every relation with at least one granted verb.
    pub fn relations(&self) -> impl Iterator<Item = &RelationName> {
        self.direct.keys().chain(self.protected.keys())
    }

    /// The filtered relation that draws values from a sequence.
    pub(crate) fn filtered_owner(&self, sequence: &RelationName) -> Option<&RelationName> {
        let filtered = self.protected.values().filter(|table| table.is_filtered());
        filtered.into_iter().find(|table| table.sequences.contains(sequence)).map(|table| &table.name)
    }

    /// Functions granted by name.
    pub fn functions(&self) -> &BTreeSet<FunctionName> {
        &self.functions
    }

    /// Whether there is a table of which the session does not see all rows.
    pub fn hides_rows(&self) -> bool {
        self.protected.values().any(ProtectedTable::is_filtered)
    }

    /// Sequences that may be read: those behind columns that are read as they are, all rows of them.
    pub fn sequences(&self) -> &BTreeSet<RelationName> {
        &self.sequences
    }

    /// Names of the policies that apply.
    pub fn policies(&self) -> &BTreeSet<String> {
        &self.policies
    }

    /// Names of the policies that apply, in words.
    pub fn named_policies(&self) -> String {
        match self.policies.iter().map(|policy| format!("`{policy}`")).collect::<Vec<_>>() {
            names if names.is_empty() => "no policy applies to you".to_owned(),
            names => format!("policies that apply to you: {}", names.join(", ")),
        }
    }

    /// Why a grant on a relation that a policy has written is not in effect, if there is one.
    pub fn refused(&self, relation: &RelationName, verb: Option<Verb>) -> Option<&RefusedReason> {
        let concerns = |reason: &RefusedReason| match reason {
            RefusedReason::VerbUnsuited(other)
            | RefusedReason::Rules(other)
            | RefusedReason::ReadOnly(other)
            | RefusedReason::ChildRestricted(other, _) => verb.is_none_or(|verb| verb == *other),
            _ => true,
        };
        let mut grants = self.refused.iter().filter(|grant| &grant.relation == relation);
        grants.find(|grant| concerns(&grant.reason)).map(|grant| &grant.reason)
    }

    /// The session's limits.
    pub fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// What the person should be told once: filters that are false because an attribute is missing.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether moving to `new` takes something away.
    pub fn tightens_to(&self, new: &Self) -> bool {
        compare::tightens(self, new)
    }

    /// Whether moving to `new` takes something away that a session keeps in what it has made: it has to end.
    pub fn outlasts(&self, new: &Self, catalog: &Catalog) -> bool {
        compare::outlasts(self, new, catalog)
    }

    /// Whether both need the same roles.
    pub fn same_roles(&self, other: &Self) -> bool {
        self.permission_role == other.permission_role && self.view_owner == other.view_owner
    }

    /// Whether both need the same views.
    pub fn same_views(&self, other: &Self) -> bool {
        self.view_owner == other.view_owner && self.protected == other.protected
    }
}

/// SQL that creates the views of these tables, as far as they do not exist.
pub fn activate_call(tables: &BTreeSet<RelationName>) -> String {
    call(install::ACTIVATE, tables)
}

/// SQL that creates what `COPY … FROM` into these tables goes through, as far as it does not exist.
pub fn copy_call(tables: &BTreeSet<RelationName>) -> String {
    named_call(install::ACTIVATE, tables.iter().map(copy_in::key))
}

/// SQL that drops the views of these tables.
pub fn release_call(tables: &BTreeSet<RelationName>) -> String {
    call(install::RELEASE, tables)
}

fn call(function: &str, tables: &BTreeSet<RelationName>) -> String {
    named_call(function, tables.iter().map(RelationName::quoted))
}

fn named_call(function: &str, names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.map(|name| quote::literal(&name)).collect();
    format!("SELECT pg_temp.{}(ARRAY[{}]::pg_catalog.text[])", quote::identifier(function), names.join(", "))
}

/// Whether any mask of the table reads the hash key.
fn uses_key(table: &ProtectedTable) -> bool {
    table.columns().iter().any(|column| column.mask().is_some_and(mask::needs_key))
}
