//! Access that people asked for and others approved: what of it is in force, for whom and until when.
//!
//! The control plane says who asked and who approved; the signed bundle says what may be asked for, by whom, for how long
//! and who decides. [`judge()`] holds the one against the other and the directory, and only it makes an [`Admitted`]. Times
//! are kept here, by a [`Ledger`], against two clocks. Whatever is missing, unknown or too much refuses a grant whole.

mod clock;
mod judge;
mod ledger;
mod unreadable;

pub use clock::{Budget, Reading};
pub use judge::{Admitted, Facts, Refused, judge};
pub use ledger::{Ledger, StoredAccess};
pub use unreadable::Unreadable;

use daam_model::{Policy, PolicySet};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What an approved request gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A policy of the bundle, by name.
    Policy(String),
    /// A policy cut out of a ceiling of the bundle.
    AdHoc(Box<Policy>),
}

/// A request in force, as its session shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InForce {
    /// The request's id.
    pub id: String,
    /// The policy or ceiling it is for.
    pub name: String,
    /// When it ends (Unix seconds).
    pub ends_at: i64,
}

/// Every request in force, by user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    by_user: BTreeMap<String, Vec<Admitted>>,
}

impl Requests {
    /// Those of these grants.
    pub fn of(admitted: impl IntoIterator<Item = Admitted>) -> Self {
        let mut requests = Self::default();
        for admitted in admitted {
            requests.by_user.entry(admitted.user_id().to_owned()).or_default().push(admitted);
        }
        requests
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_user.values().map(Vec::len).sum()
    }

    /// What the user holds beside the standing policies.
    pub fn in_force(&self, user_id: &str) -> BTreeSet<InForce> {
        self.user(user_id).iter().map(Admitted::in_force).collect()
    }

    /// The policies with those that the user's requests make, and the names of all that requests put in force.
    pub(crate) fn applied<'a>(
        &self,
        policies: &'a PolicySet,
        user_id: &str,
    ) -> (Cow<'a, PolicySet>, BTreeSet<String>) {
        let mut set = Cow::Borrowed(policies);
        let mut names = BTreeSet::new();
        for admitted in self.user(user_id) {
            match admitted.what() {
                What::Policy(name) => {
                    names.insert(name.clone());
                }
                What::AdHoc(policy) => {
                    names.insert(policy.name.clone());
                    set.to_mut().policies.push(Policy::clone(policy));
                }
            }
        }
        (set, names)
    }

    fn user(&self, user_id: &str) -> &[Admitted] {
        self.by_user.get(user_id).map_or(&[], Vec::as_slice)
    }
}
