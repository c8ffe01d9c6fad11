//! The only SQL of the control plane: one text per query, for embedded SQLite and for PostgreSQL.
//!
//! Every query of a tenant's rows needs a [`TenantScope`], which only a verified token can produce
//! ([`Db::authenticate`]); so there is no way to ask for another organization's rows. Secrets are kept as SHA-256
//! only. On PostgreSQL, row-level security stands behind that (`reach`). Every change writes its audit entry in the same transaction. What this crate refuses: a second server on one
//! embedded file, a write transaction that did not begin as one, and SQL built at run time.

mod agent_audit;
mod agents;
mod arrivals;
mod audit;
mod audit_exports;
mod authenticate;
mod authorities;
mod briefing;
mod bundles;
mod certificates;
mod connections;
mod db;
mod enrolment;
mod error;
mod evidence;
mod identity;
mod identity_links;
mod lasting;
mod lineage;
mod measures;
mod members;
mod observations;
mod once;
mod organizations;
mod outbox;
mod passkeys;
mod programs;
mod reach;
mod relays;
mod requests;
mod saml_providers;
mod scim;
mod scim_groups;
mod scim_lookup;
mod scim_tokens;
mod scope;
mod secret;
mod tokens;
mod trust;
mod users;
mod wakeups;
mod web_sessions;
mod workloads;

pub use agent_audit::{Continued, HeldChain, NewRecord};
pub use agents::{AuthoritiesStanding, BundleStanding, Enforced, Hello, OnlineAgent, ServerRun};
pub use audit::{AuditEntry, AuditFilter};
pub use audit_exports::{DueAuditExport, ListedAuditExport};
pub use authenticate::{AgentAuth, Caller, EnrolmentAuth, EnrolmentKind, RelayAuth, Role, UserAuth};
pub use authorities::{AgentProgress, Here, NewAuthority, Retired, StandingOn, StoredAuthority};
pub use briefing::{Briefing, DatabaseBriefing};
pub use bundles::{NewBundle, Published, StoredBundle};
pub use certificates::{Holder, NewCertificate};
pub use connections::{Connection, ConnectionFilter, ConnectionPlace, LOST};
pub use db::Db;
pub use enrolment::{AgentEnrolment, Enrolment, NewAgent};
pub use error::StoreError;
pub use evidence::{Checkpointed, DueOrganization, LogPart, LogPlace};
pub use identity::{Door, Flow, Proven, SignInOutcome, SignInProvider, StoredProvider, new_provider_id};
pub use identity_links::{ListedLink, Unlinked};
pub use lasting::{Basis, Lasting};
pub use measures::{Backlog, Counted, PoolUse};
pub use members::{Invited, LinkTarget, ListedInvite, NewInvite};
pub use observations::{ListedViolation, Violation};
pub use once::Repeat;
pub use organizations::{Created, NewKey, NewOrganization, OrgKey};
pub use outbox::{Delivery, Destination, Notice, new_webhook_id};
pub use passkeys::{
    FRESH_SECONDS, MOST_PASSKEYS, NewPasskey, PasskeyAdded, PasskeyOutcome, PasskeyRemoved, PasskeyStanding,
    StoredPasskey,
};
pub use programs::{Fetched, ProgramRequest};
pub use requests::write::{Change, NewRequest, Waiting, new_request_id};
pub use requests::{AccessRequest, Act, Decision, Event, Extension, Report, Standing};
pub use saml_providers::KnownThere;
pub use scim::{ScimStored, ScimUser, ScimUserChange};
pub use scim_groups::{ScimGroup, ScimGroupChange, ScimGroupKey};
pub use scim_lookup::ScimKey;
pub use scim_tokens::{ListedScimToken, ScimAuth};
pub use scope::TenantScope;
pub use secret::{Secret, SecretKind, digest};
pub use tokens::{ListedToken, TokenOwner};
pub use users::{Stored, UserChange};
pub use wakeups::{Wakeup, Wakeups};
pub use web_sessions::{IDLE_SECONDS, LONGEST_SECONDS, ListedSession, Membership, Method, SessionAuth};
pub use workloads::{Exchanged, ProvenJob, StoredWorkload, WorkloadDoor};

/// Every statement of this crate by name, so that a test can prepare each on both engines.
pub fn statements() -> Vec<(&'static str, &'static str)> {
    [
        agent_audit::ALL,
        agents::ALL,
        arrivals::ALL,
        audit::ALL,
        audit_exports::ALL,
        authenticate::ALL,
        authorities::ALL,
        briefing::ALL,
        bundles::ALL,
        certificates::ALL,
        connections::ALL,
        enrolment::ALL,
        evidence::ALL,
        identity::ALL,
        identity_links::ALL,
        lineage::ALL,
        measures::ALL,
        members::ALL,
        observations::ALL,
        once::ALL,
        organizations::ALL,
        outbox::ALL,
        passkeys::ALL,
        passkeys::ceremonies::ALL,
        programs::ALL,
        relays::ALL,
        requests::ALL,
        requests::reports::ALL,
        requests::write::ALL,
        saml_providers::ALL,
        scim::ALL,
        scim_groups::ALL,
        scim_lookup::ALL,
        scim_tokens::ALL,
        tokens::ALL,
        trust::ALL,
        users::ALL,
        web_sessions::ALL,
        workloads::ALL,
    ]
    .concat()
}
