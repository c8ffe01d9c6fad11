//! From a presented secret to who it speaks for. A [`TenantScope`] is made here, for browser
//! sessions in `web_sessions` and `members`, and for the operator; nowhere else.

use crate::db::{Db, run, statements};
use crate::error::read_json;
use crate::reach::Reach;
use crate::secret::{SecretKind, digest, same_digest};
use crate::{Basis, ScimAuth, StoreError, TenantScope};
use std::collections::BTreeSet;

statements! {
    // A job's token without the trust it came by is none.
    USER = "SELECT t.sha256, t.id, t.expires_at, u.id, u.email, u.role, o.id, o.slug, w.database_names \
            FROM api_tokens t JOIN users u ON u.id = t.user_id JOIN organizations o ON o.id = t.org_id \
            LEFT JOIN workloads w ON w.id = t.workload_id AND w.org_id = t.org_id \
            WHERE (t.workload_id IS NULL OR w.id IS NOT NULL) AND t.sha256 = $1 AND t.expires_at > $2 AND NOT u.disabled AND u.org_id = t.org_id";
    ENROLMENT = "SELECT e.sha256, e.id, e.kind, e.database_name, o.id, o.slug \
                 FROM enrolment_tokens e JOIN organizations o ON o.id = e.org_id \
                 JOIN users u ON u.id = e.created_by AND u.org_id = e.org_id \
                 WHERE e.sha256 = $1 AND e.expires_at > $2 AND e.used_at IS NULL AND u.role = 'admin' AND NOT u.disabled";
    AGENT = "SELECT a.link_sha256, a.id, a.name, a.database_name, o.id, o.slug, a.audit_key \
             FROM agents a JOIN organizations o ON o.id = a.org_id WHERE a.link_sha256 = $1 AND a.removed_at IS NULL";
    RELAY = "SELECT r.link_sha256, r.id, r.name, o.id, o.slug \
             FROM relays r JOIN organizations o ON o.id = r.org_id WHERE r.link_sha256 = $1 AND r.removed_at IS NULL";
}

/// Whoever a verified secret speaks for.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A person, by API token.
    User(UserAuth),
    /// An agent, by link token.
    Agent(AgentAuth),
    /// A relay, by link token.
    Relay(RelayAuth),
    /// Something that may enrol once.
    Enrolment(EnrolmentAuth),
    /// An identity provider that provisions.
    Scim(ScimAuth),
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Manages the organization.
    Admin,
    /// Connects.
    Member,
    /// A member who sees every access request.
    Approver,
    /// Reads everything the organization keeps, and changes nothing of it.
    Auditor,
}

impl Role {
    /// All of them.
    pub const EVERY: [Self; 4] = [Self::Admin, Self::Member, Self::Approver, Self::Auditor];

    /// `admin`, `member`, `approver` or `auditor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
        }
    }

    /// Whether it sees what everybody in the organization has.
    pub const fn oversees(self) -> bool {
        matches!(self, Self::Admin | Self::Auditor)
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|role| role.name() == name)
    }
}

/// An authenticated user.
#[derive(Debug, Clone)]
pub struct UserAuth {
    scope: TenantScope,
    user_id: String,
    email: String,
    role: Role,
    token_id: String,
    token_expires_at: i64,
    databases: Option<BTreeSet<String>>,
}

/// Credential's id and end, user, e-mail, role, organization and its slug.
pub(crate) type UserRow = (String, i64, String, String, String, String, String);

impl UserAuth {
    /// Of a row that was found by a secret; its digest is compared by the caller.
    pub(crate) fn from_row(
        (token_id, token_expires_at, user_id, email, role, org_id, slug): UserRow,
        basis: Basis,
    ) -> Result<Self, StoreError> {
        let role = Role::from_name(&role).ok_or(StoreError::Decode("role"))?;
        let scope = TenantScope::of(org_id, slug, format!("user:{email}")).on(basis);
        Ok(Self { scope, user_id, email, role, token_id, token_expires_at, databases: None })
    }

    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// The user's id.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }
    /// The user's e-mail.
    pub fn email(&self) -> &str {
        &self.email
    }
    /// The user's role.
    pub fn role(&self) -> Role {
        self.role
    }
    /// The presented token's or session's id.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }
    /// When what they make ends at the latest, if whoever makes it for `wanted` has no more than a credential that ends;
    /// unix seconds.
    pub fn until(&self, wanted: i64) -> i64 {
        self.scope.basis.until(wanted, self.token_expires_at)
    }
    /// When the presented token or session ends, unix seconds.
    pub fn token_expires_at(&self) -> i64 {
        self.token_expires_at
    }
    /// The databases the presented token is limited to, because it is a job's whose trust names them; `None` if it is
    /// limited to none. Sessions never are: such a token begins none.
    pub fn databases(&self) -> Option<&BTreeSet<String>> {
        self.databases.as_ref()
    }
    /// Whether the presented token may be used for this database.
    pub fn may_reach(&self, database: &str) -> bool {
        self.databases.as_ref().is_none_or(|named| named.contains(database))
    }
}

/// An authenticated agent.
#[derive(Debug, Clone)]
pub struct AgentAuth {
    scope: TenantScope,
    agent_id: String,
    name: String,
    database: String,
    audit_key: Option<String>,
}

impl AgentAuth {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// The agent's id.
    pub fn agent_id(&self) -> &str {
        &self.agent_id
    }
    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The database it serves.
    pub fn database(&self) -> &str {
        &self.database
    }
    /// The key it enrolled with; none if that was before agents signed what they record.
    pub fn audit_key(&self) -> Option<&str> {
        self.audit_key.as_deref()
    }
}

/// An authenticated relay.
#[derive(Debug, Clone)]
pub struct RelayAuth {
    scope: TenantScope,
    relay_id: String,
    name: String,
}

impl RelayAuth {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// The relay's id.
    pub fn relay_id(&self) -> &str {
        &self.relay_id
    }
    /// The relay's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What an enrolment token admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolmentKind {
    /// An agent of a database.
    Agent {
        /// The database.
        database: String,
    },
    /// A relay.
    Relay,
}

/// An unused enrolment token.
#[derive(Debug, Clone)]
pub struct EnrolmentAuth {
    scope: TenantScope,
    id: String,
    kind: EnrolmentKind,
}

impl EnrolmentAuth {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// The token's id.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// What it admits.
    pub fn kind(&self) -> &EnrolmentKind {
        &self.kind
    }
}

impl Caller {
    /// The organization, whoever asks.
    pub fn scope(&self) -> &TenantScope {
        match self {
            Self::User(user) => user.scope(),
            Self::Agent(agent) => agent.scope(),
            Self::Relay(relay) => relay.scope(),
            Self::Enrolment(enrolment) => enrolment.scope(),
            Self::Scim(provider) => provider.scope(),
        }
    }
}

impl Db {
    /// Who this secret speaks for now; `None` if nobody: unknown, expired, used, revoked, or its user is disabled.
    pub async fn authenticate(&self, secret: &str, now: i64) -> Result<Option<Caller>, StoreError> {
        match SecretKind::of(secret) {
            Some(SecretKind::Api) => self.authenticate_user(secret, now).await,
            Some(SecretKind::Enrolment) => self.authenticate_enrolment(secret, now).await,
            Some(SecretKind::Agent) => self.authenticate_agent(secret).await,
            Some(SecretKind::Relay) => self.authenticate_relay(secret).await,
            Some(SecretKind::Scim) => Ok(self.authenticate_scim(secret, now).await?.map(Caller::Scim)),
            Some(
                SecretKind::Bootstrap
                | SecretKind::SignIn
                | SecretKind::Session
                | SecretKind::Flow
                | SecretKind::Program,
            )
            | None => Ok(None),
        }
    }

    async fn authenticate_user(&self, secret: &str, now: i64) -> Result<Option<Caller>, StoreError> {
        type Row = (String, String, i64, String, String, String, String, String, Option<String>);
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some((stored, token, expires, user, email, role, org, slug, databases)) =
            run!(&mut tx, optional: Row, USER, &wanted, now)?
        else {
            return Ok(None);
        };
        let databases = databases.map(|named| read_json(&named, "databases")).transpose()?;
        let user = UserAuth::from_row((token, expires, user, email, role, org, slug), Basis::Token)?;
        let user = UserAuth { databases, ..user };
        Ok(same_digest(&stored, &wanted).then_some(Caller::User(user)))
    }

    async fn authenticate_enrolment(&self, secret: &str, now: i64) -> Result<Option<Caller>, StoreError> {
        type Row = (String, String, String, Option<String>, String, String);
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some((stored, id, kind, database, org_id, slug)) =
            run!(&mut tx, optional: Row, ENROLMENT, &wanted, now)?
        else {
            return Ok(None);
        };
        let kind = match (kind.as_str(), database) {
            ("agent", Some(database)) => EnrolmentKind::Agent { database },
            ("relay", None) => EnrolmentKind::Relay,
            _ => return Err(StoreError::Decode("enrolment token")),
        };
        let scope = TenantScope::of(org_id, slug, format!("enrolment:{id}"));
        Ok(same_digest(&stored, &wanted).then_some(Caller::Enrolment(EnrolmentAuth { scope, id, kind })))
    }

    async fn authenticate_agent(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        type Row = (String, String, String, String, String, String, Option<String>);
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some((stored, agent_id, name, database, org_id, slug, audit_key)) =
            run!(&mut tx, optional: Row, AGENT, &wanted)?
        else {
            return Ok(None);
        };
        let scope = TenantScope::of(org_id, slug, format!("agent:{agent_id}"));
        Ok(same_digest(&stored, &wanted).then_some(Caller::Agent(AgentAuth {
            scope,
            agent_id,
            name,
            database,
            audit_key,
        })))
    }

    async fn authenticate_relay(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        type Row = (String, String, String, String, String);
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some((stored, relay_id, name, org_id, slug)) = run!(&mut tx, optional: Row, RELAY, &wanted)?
        else {
            return Ok(None);
        };
        let scope = TenantScope::of(org_id, slug, format!("relay:{relay_id}"));
        Ok(same_digest(&stored, &wanted).then_some(Caller::Relay(RelayAuth { scope, relay_id, name })))
    }
}
