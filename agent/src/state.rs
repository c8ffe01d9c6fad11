//! The policy in force, as one immutable value that sessions watch.
//!
//! Every change (bundle, directory, scope, catalogue, an access request) publishes a new [`PolicyState`]; a
//! session asks it the same question again and moves to the new answer. What it refuses: anybody the directory
//! does not list, disabled people, people no policy concerns, and new sessions past the bundle's expiry.

mod ceiling;

pub use ceiling::Ceiling;

use crate::access::{InForce, Requests};
use crate::directory::Directory;
use daam_bundle::{Attested, Standing};
use daam_catalog::{Catalog, Scope};
use daam_enforce::{Objects, SessionPlan};
use daam_identity::UserPrincipal;
use daam_model::{EffectivePolicy, PolicySet, Subject};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The bundle in force, as far as sessions and health output need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveBundle {
    /// Its serial.
    pub serial: u64,
    /// No new sessions from this time on (Unix seconds).
    pub expires_at: Option<i64>,
    /// Whether it is known to be the latest.
    pub attested: Attested,
}

impl ActiveBundle {
    /// How far the agent may go with it now.
    pub fn standing(&self, now_unix: i64) -> Standing {
        Standing::of(self.expires_at.unwrap_or(i64::MAX), &self.attested, now_unix)
    }
}

/// Everything a decision depends on.
#[derive(Debug, Clone, Default)]
pub struct PolicyState {
    /// Counts the states; a session that has reached it acts on this one or a later one.
    pub generation: u64,
    /// The bundle in force; without one nobody gets in.
    pub bundle: Option<ActiveBundle>,
    /// Its policies, narrowed to the scope.
    pub policies: Arc<PolicySet>,
    /// The database as sessions must know it: what is in scope, and what is out of it but open to everyone, so that
    /// it can be refused.
    pub catalog: Arc<Catalog>,
    /// Which very objects its names stand for.
    pub objects: Arc<Objects>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// The customer's scope.
    pub scope: Arc<Scope>,
    /// Approved access that is in force now.
    pub requests: Arc<Requests>,
}

/// What a user may do now.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The user with groups and attributes.
    pub subject: Subject,
    /// All policies that apply, combined.
    pub effective: EffectivePolicy,
    /// What to do in the database about it.
    pub plan: SessionPlan,
    /// What a session that begins with it must ask under from now on.
    pub ceiling: Ceiling,
    /// Requests that took part in it.
    pub requests: BTreeSet<InForce>,
    /// The state it was made from.
    pub generation: u64,
}

/// Why a user gets no session (a live one ends with it).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The agent has no verified bundle.
    #[error("the agent has no policy bundle yet")]
    NoBundle,
    /// The bundle has expired; only new sessions are refused.
    #[error("the policy bundle {serial} has expired")]
    Expired {
        /// The bundle.
        serial: u64,
    },
    /// A new agent that nobody told which bundle is the latest; only new sessions are refused.
    #[error("it is not known yet whether the policy bundle {serial} is the latest")]
    Unattested {
        /// The bundle.
        serial: u64,
    },
    /// Not in the directory.
    #[error("`{email}` is not in the directory of this database's organization")]
    Unknown {
        /// The certificate's e-mail.
        email: String,
    },
    /// Disabled in the directory.
    #[error("the account `{email}` is disabled")]
    Disabled {
        /// The directory's e-mail.
        email: String,
    },
    /// No policy grants anything.
    #[error("no policy of this database grants anything to `{email}`")]
    NoPolicy {
        /// The directory's e-mail.
        email: String,
    },
    /// The policy cannot be carried out on this database.
    #[error("the policy cannot be enforced on this database: {reason}")]
    Unenforceable {
        /// Why.
        reason: String,
    },
}

impl Denied {
    /// The SQLSTATE of the answer to a start-up.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::NoBundle | Self::Expired { .. } | Self::Unattested { .. } => "57P03",
            Self::Unknown { .. } | Self::Disabled { .. } | Self::NoPolicy { .. } => "28000",
            Self::Unenforceable { .. } => "0A000",
        }
    }

    /// What would help.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoBundle => "publish a signed bundle for this database with `daam policy publish`",
            Self::Unattested { .. } => {
                "the control plane's freshness statement is awaited; once one arrived, the agent serves without it"
            }
            Self::Expired { .. } => "publish a newer bundle; running sessions continue under the old one",
            Self::Unknown { .. } | Self::Disabled { .. } => "ask an administrator of the organization",
            Self::NoPolicy { .. } => {
                "`daam policy why-not` explains which policy would apply; groups decide membership"
            }
            Self::Unenforceable { .. } => {
                "the agent's log names the object; `daam policy check` finds it earlier"
            }
        }
    }
}

impl PolicyState {
    /// Whether the user may open a session now.
    pub fn admit(&self, user: &UserPrincipal, now_unix: i64) -> Result<Decision, Denied> {
        let Some(bundle) = &self.bundle else { return Err(Denied::NoBundle) };
        let serial = bundle.serial;
        match bundle.standing(now_unix) {
            Standing::Fresh | Standing::Stale => self.decide(user),
            Standing::Unknown => Err(Denied::Unattested { serial }),
            Standing::Expired => Err(Denied::Expired { serial }),
        }
    }

    /// Whether time-boxed access may begin now: not while the bundle may be an old one.
    pub fn may_start_requests(&self, now_unix: i64) -> bool {
        self.bundle.as_ref().is_some_and(|bundle| bundle.standing(now_unix).starts_requests())
    }

    /// What the user may do, for a session that runs already (an expired bundle stays in force for it).
    pub fn decide(&self, user: &UserPrincipal) -> Result<Decision, Denied> {
        self.decide_under(user, &mut Ceiling::default())
    }

    /// The same for a session that began under another scope: nothing that a scope of its life left out.
    pub fn decide_under(&self, user: &UserPrincipal, ceiling: &mut Ceiling) -> Result<Decision, Denied> {
        if self.bundle.is_none() {
            return Err(Denied::NoBundle);
        }
        ceiling.lower(&self.scope);
        let subject = self.subject(user)?;
        let (set, active) = self.requests.applied(&self.policies, &user.user_id);
        let policies = ceiling.narrow(&set, &self.scope);
        let mut effective = daam_model::effective::effective(&policies, &self.catalog, &subject, &active);
        // The catalogue knows more than the scope admits; this is where targets outside end, whatever named them.
        effective.relations.retain(|name, _| ceiling.admits(name));
        effective.functions.retain(|name| ceiling.admits_function(name));
        if effective.relations.is_empty() && effective.functions.is_empty() {
            return Err(Denied::NoPolicy { email: subject.email });
        }
        let plan = daam_enforce::plan(&effective, &self.catalog)
            .map_err(|error| Denied::Unenforceable { reason: error.to_string() })?
            .tied_to(&self.objects);
        let requests = self.requests.in_force(&user.user_id);
        Ok(Decision {
            requests,
            subject,
            effective,
            plan,
            ceiling: ceiling.clone(),
            generation: self.generation,
        })
    }

    fn subject(&self, user: &UserPrincipal) -> Result<Subject, Denied> {
        let entry = self
            .directory
            .user(&user.user_id)
            .ok_or_else(|| Denied::Unknown { email: user.email.clone() })?;
        if entry.disabled {
            return Err(Denied::Disabled { email: entry.email.clone() });
        }
        Ok(entry.subject(&self.policies))
    }
}
