//! The policies of one database, put together when somebody asks for them.
//!
//! A check after every keystroke shares its policies with the one before; a set of its own is made only for those who
//! want to know who may do what.

use crate::check::{CheckedPolicy, Database, People};
use crate::remember::kept::Kept;
use daam_model::{AttributeType, Ceiling, PolicySet};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Reads as a [`PolicySet`].
#[derive(Clone)]
pub struct CompiledPolicies {
    parts: Arc<Parts>,
    whole: OnceLock<Arc<PolicySet>>,
}

#[derive(Default)]
struct Parts {
    database: String,
    attributes: BTreeMap<String, AttributeType>,
    people: Arc<People>,
    policies: Vec<Arc<CheckedPolicy>>,
    ceilings: Vec<Ceiling>,
}

impl CompiledPolicies {
    pub(crate) fn of(
        database: &Database<'_>,
        people: &Arc<People>,
        kept: &Kept,
        ceilings: Vec<Ceiling>,
    ) -> Self {
        let parts = Parts {
            database: database.name.to_owned(),
            attributes: database.attributes.clone(),
            people: Arc::clone(people),
            policies: kept.policies().into_iter().flat_map(|policies| policies.checked().cloned()).collect(),
            ceilings,
        };
        Self { parts: Arc::new(parts), whole: OnceLock::new() }
    }
}

impl Deref for CompiledPolicies {
    type Target = PolicySet;

    fn deref(&self) -> &PolicySet {
        self.whole.get_or_init(|| {
            Arc::new(PolicySet {
                database: self.parts.database.clone(),
                attributes: self.parts.attributes.clone(),
                groups: self.parts.people.defined.clone(),
                policies: self.parts.policies.iter().map(|checked| checked.policy.clone()).collect(),
                ceilings: self.parts.ceilings.clone(),
            })
        })
    }
}

impl PartialEq for CompiledPolicies {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for CompiledPolicies {}

impl From<PolicySet> for CompiledPolicies {
    fn from(whole: PolicySet) -> Self {
        Self { parts: Arc::default(), whole: OnceLock::from(Arc::new(whole)) }
    }
}

impl fmt::Debug for CompiledPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
