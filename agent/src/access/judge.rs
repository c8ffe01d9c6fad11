//! Whether the signed bundle and the directory admit a grant. Pure, and asked again whenever one of them changes.

use super::{InForce, What};
use crate::directory::Directory;
use daam_api::link::{AccessAsked, AccessGrant, AskedRelation};
use daam_bundle::asked_relation;
use daam_catalog::Catalog;
use daam_model::{Excess, PolicySet, RequestTerms, Subject, Subjects};

/// Longest id of a request.
const LONGEST_ID: usize = 64;

/// What a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The bundle's policies, narrowed to the scope.
    pub policies: &'a PolicySet,
    /// What sessions know of the database.
    pub catalog: &'a Catalog,
    /// Who is who.
    pub directory: &'a Directory,
}

/// A grant that the bundle and the directory admit. Whether its time has come is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    id: String,
    user_id: String,
    ends_at: i64,
    name: String,
    what: What,
}

impl Admitted {
    /// Whose it is.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(super) fn what(&self) -> &What {
        &self.what
    }

    pub(super) fn in_force(&self) -> InForce {
        InForce { id: self.id.clone(), name: self.name.clone(), ends_at: self.ends_at }
    }
}

/// Why a grant is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The id cannot stand in logs and records.
    #[error("the id of a request has 1 to 64 letters, digits, `-` and `_`")]
    Id,
    /// Two grants have one id.
    #[error("two grants have this id")]
    Twice,
    /// No bundle.
    #[error("the agent has no policy bundle")]
    NoBundle,
    /// Something that cannot be read.
    #[error("{0}")]
    Unusable(String),
    /// No such policy.
    #[error("the bundle in force has no policy `{0}`")]
    NoPolicy(String),
    /// A policy that is held, not asked for.
    #[error("policy `{0}` cannot be asked for; it has no `request` in the bundle in force")]
    Standing(String),
    /// No such ceiling.
    #[error("the bundle in force has no request ceiling `{0}`")]
    NoCeiling(String),
    /// The person is not in the directory, or disabled.
    #[error("who asked is not in the directory, or is disabled")]
    NoPerson,
    /// The person may not ask.
    #[error("who asked is not among those who may ask for `{0}`")]
    MayNotAsk(String),
    /// It ends before it begins.
    #[error("it does not end after it begins")]
    Backwards,
    /// It lasts too long.
    #[error("it lasts {asked} s; `{name}` may be held for at most {most} s")]
    TooLong {
        /// What was asked for.
        name: String,
        /// How long it lasts.
        asked: i64,
        /// How long it may last.
        most: u64,
    },
    /// No reason.
    #[error("it has no reason, and `{0}` requires one")]
    NoReason(String),
    /// Who asked is among those who approved.
    #[error("who asked is among those who approved; somebody else has to")]
    OwnApproval,
    /// Not enough approvals count.
    #[error(
        "{counted} approvals count, `{name}` needs {needed}: of members of {groups} in the directory, not disabled"
    )]
    Approvals {
        /// What was asked for.
        name: String,
        /// How many count.
        counted: usize,
        /// How many are needed.
        needed: u32,
        /// Whose.
        groups: String,
    },
    /// Above the ceiling.
    #[error(transparent)]
    Above(#[from] Excess),
}

/// Decides about one grant.
pub fn judge(grant: &AccessGrant, facts: Facts<'_>) -> Result<Admitted, Refused> {
    if !is_id(&grant.id) {
        return Err(Refused::Id);
    }
    let subject = person(&grant.user_id, facts).ok_or(Refused::NoPerson)?;
    let (name, what) = match &grant.what {
        AccessAsked::Policy { policy_id } => (policy_id, policy(grant, policy_id, &subject, facts)?),
        AccessAsked::AdHoc { ceiling_id, relations } => {
            (ceiling_id, ad_hoc(grant, ceiling_id, relations, &subject, facts)?)
        }
    };
    Ok(Admitted {
        id: grant.id.clone(),
        user_id: grant.user_id.clone(),
        ends_at: grant.ends_at,
        name: name.clone(),
        what,
    })
}

/// Whether an id can stand in logs, records and notices.
pub(super) fn is_id(text: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(usable)
}

fn policy(grant: &AccessGrant, name: &str, subject: &Subject, facts: Facts<'_>) -> Result<What, Refused> {
    let policy = facts.policies.policies.iter().find(|policy| policy.name == name);
    let policy = policy.ok_or_else(|| Refused::NoPolicy(name.to_owned()))?;
    let terms = policy.request.as_ref().ok_or_else(|| Refused::Standing(name.to_owned()))?;
    decided(grant, &Wanted { name, who: &policy.subjects, terms }, subject, facts)?;
    Ok(What::Policy(name.to_owned()))
}

fn ad_hoc(
    grant: &AccessGrant,
    name: &str,
    relations: &[AskedRelation],
    subject: &Subject,
    facts: Facts<'_>,
) -> Result<What, Refused> {
    let ceiling = facts.policies.ceilings.iter().find(|ceiling| ceiling.name == name);
    let ceiling = ceiling.ok_or_else(|| Refused::NoCeiling(name.to_owned()))?;
    decided(grant, &Wanted { name, who: &ceiling.who, terms: &ceiling.terms }, subject, facts)?;
    let asked = relations
        .iter()
        .map(asked_relation)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Refused::Unusable(error.to_string()))?;
    let made = format!("{name} (request {})", grant.id);
    Ok(What::AdHoc(Box::new(ceiling.within(&made, &asked, facts.catalog, facts.policies)?)))
}

/// What the bundle says about asking for something.
struct Wanted<'a> {
    name: &'a str,
    who: &'a Subjects,
    terms: &'a RequestTerms,
}

/// Whether the right people decided, for a time that may be.
fn decided(
    grant: &AccessGrant,
    asked_for: &Wanted<'_>,
    subject: &Subject,
    facts: Facts<'_>,
) -> Result<(), Refused> {
    let Wanted { name, who, terms } = asked_for;
    let name = || (*name).to_owned();
    if !who.include(subject) {
        return Err(Refused::MayNotAsk(name()));
    }
    let asked = grant.ends_at.saturating_sub(grant.starts_at);
    if asked <= 0 {
        return Err(Refused::Backwards);
    }
    let most = terms.max_duration.as_secs();
    if u64::try_from(asked).is_ok_and(|asked| asked > most) {
        return Err(Refused::TooLong { name: name(), asked, most });
    }
    if terms.reason_required && grant.reason.trim().is_empty() {
        return Err(Refused::NoReason(name()));
    }
    if grant.approved_by.contains(&grant.user_id) {
        return Err(Refused::OwnApproval);
    }
    let approvers: Vec<Subject> = grant.approved_by.iter().filter_map(|id| person(id, facts)).collect();
    // Another account of the same person is the same person.
    if approvers.iter().any(|approver| subject.has_email(&approver.email)) {
        return Err(Refused::OwnApproval);
    }
    let counted = approvers.iter().filter(|approver| !approver.groups.is_disjoint(&terms.approvers)).count();
    if u32::try_from(counted).is_ok_and(|counted| counted < terms.count) {
        let groups = terms.approvers.iter().map(|group| format!("`{group}`")).collect::<Vec<_>>().join(", ");
        return Err(Refused::Approvals { name: name(), counted, needed: terms.count, groups });
    }
    Ok(())
}

/// The person as policies see them; none who is unknown or disabled.
fn person(id: &str, facts: Facts<'_>) -> Option<Subject> {
    let entry = facts.directory.user(id).filter(|entry| !entry.disabled)?;
    Some(entry.subject(facts.policies))
}

#[cfg(test)]
pub(super) mod tests;
