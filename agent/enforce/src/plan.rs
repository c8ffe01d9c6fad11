//! What the database must look like for one session.

use daam_catalog::{Catalog, RelationName};
use daam_model::{EffectivePolicy, SessionLimits};
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
        source: daam_sql::FilterError,
    },
    /// A mask whose parameters cannot be applied.
    #[error("the mask of `{relation}.{column}` cannot be applied: {why}")]
    Mask {
        /// The relation.
        relation: RelationName,
        /// The column.
        column: String,
        /// Why.
        why: String,
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

/// A relation the session reads and writes through views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedTable {
    /// Names of masked columns.
    pub masked: BTreeSet<daam_catalog::Identifier>,
    /// Whether any row filter applies.
    pub filtered: bool,
}

/// What the database must look like for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlan {
    permission_role: String,
    view_owner: Option<String>,
    protected: BTreeMap<RelationName, ProtectedTable>,
    limits: SessionLimits,
}

/// Works out the plan.
pub fn plan(e: &EffectivePolicy, _catalog: &Catalog) -> Result<SessionPlan, PlanError> {
    Ok(SessionPlan {
        permission_role: "daam_p_none".to_owned(),
        view_owner: None,
        protected: BTreeMap::new(),
        limits: e.limits.clone(),
    })
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
        Vec::new()
    }

    /// SQL of the administrator: the view owner's grants.
    pub fn view_owner_grants(&self) -> Vec<String> {
        Vec::new()
    }

    /// SQL of the session while it acts as the view owner: the key table and the two functions.
    pub fn install(&self, _key: &HashKey) -> Vec<String> {
        Vec::new()
    }

    /// Relations that go through views.
    pub fn protected(&self) -> &BTreeMap<RelationName, ProtectedTable> {
        &self.protected
    }

    /// The session's limits.
    pub fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// Whether moving to `new` takes something away.
    pub fn tightens_to(&self, new: &Self) -> bool {
        self != new
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
    call("daam:activate", tables)
}

/// SQL that drops the views of these tables.
pub fn release_call(tables: &BTreeSet<RelationName>) -> String {
    call("daam:release", tables)
}

fn call(function: &str, tables: &BTreeSet<RelationName>) -> String {
    let names: Vec<String> = tables.iter().map(|table| quote::literal(&table.quoted())).collect();
    format!("SELECT pg_temp.{}(ARRAY[{}]::pg_catalog.text[])", quote::identifier(function), names.join(", "))
}
