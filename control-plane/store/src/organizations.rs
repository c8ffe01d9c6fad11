//! Organizations and their keys. The private halves arrive sealed; this crate cannot open them.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::reach::Reach;
use crate::{Secret, SecretKind, StoreError, TenantScope, members};
use uuid::Uuid;

statements! {
    ANY = "SELECT slug FROM organizations ORDER BY created_at LIMIT 1";
    BOOTSTRAP = "INSERT INTO bootstrap (id, done_at) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
    CREATE = "INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (slug) DO NOTHING";
    ADMIN = "INSERT INTO users (id, org_id, email, role, created_at) VALUES ($1, $2, $3, 'admin', $4)";
    TOKEN = "INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at) \
             VALUES ($1, $2, $3, 'bootstrap', $4, $5, $6)";
    ADD_KEY = "INSERT INTO org_keys (org_id, kind, public_part, sealed_part, created_at) VALUES ($1, $2, $3, $4, $5)";
    ADD_AUTHORITY = "INSERT INTO authorities (org_id, number, certificate, sealed_part, created_at, issues_since) \
                     VALUES ($1, 1, $2, $3, $4, $4)";
    SOME_KEY = "SELECT o.slug, k.kind, k.sealed_part FROM org_keys k JOIN organizations o ON o.id = k.org_id \
                ORDER BY k.created_at, k.org_id, k.kind LIMIT 1";
    KEY = "SELECT public_part, sealed_part FROM org_keys WHERE org_id = $1 AND kind = $2";
}

/// Signs relay tickets.
const TICKET: &str = "ticket";

/// A key to store.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Certificate or public key.
    pub public: &'a str,
    /// The private half, encrypted by the caller.
    pub sealed: &'a str,
}

/// A stored key.
#[derive(Debug, Clone)]
pub struct OrgKey {
    /// Certificate or public key.
    pub public: String,
    /// The private half, encrypted.
    pub sealed: String,
}

/// An organization to create, with its first admin.
#[derive(Debug)]
pub struct NewOrganization<'a> {
    /// Server-made.
    pub slug: &'a str,
    /// Display name.
    pub name: &'a str,
    /// The first admin, lower case.
    pub admin_email: &'a str,
    /// Signs certificates.
    pub authority: NewKey<'a>,
    /// Signs relay tickets.
    pub ticket: NewKey<'a>,
    /// When the first token ends, unix seconds.
    pub token_expires_at: i64,
    /// When the first link to the console ends, unix seconds.
    pub link_expires_at: i64,
}

/// What became of [`NewOrganization`].
#[derive(Debug)]
pub enum Created {
    /// Made; the token is shown once.
    Made {
        /// The admin.
        user_id: String,
        /// The admin's API token.
        token: Secret,
        /// The admin's first way into the console.
        link: Secret,
    },
    /// Another organization has this slug: try another.
    SlugTaken,
    /// The first organization was made before.
    AlreadyBootstrapped,
}

impl Db {
    /// Whether there is an organization at all.
    pub async fn has_organization(&self) -> Result<bool, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        Ok(run!(&mut tx, optional: (String,), ANY)?.is_some())
    }

    /// Creates the first organization; once per database, whoever asks at the same time.
    pub async fn bootstrap(&self, new: &NewOrganization<'_>, now: i64) -> Result<Created, StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        if run!(&mut tx, execute BOOTSTRAP, now)? == 0 {
            return Ok(Created::AlreadyBootstrapped);
        }
        create(tx, new, now).await
    }

    /// Creates a further organization. For the operator of the installation, not for any tenant.
    pub async fn create_organization(
        &self,
        new: &NewOrganization<'_>,
        now: i64,
    ) -> Result<Created, StoreError> {
        create(self.write_tx(Reach::Upkeep).await?, new, now).await
    }

    /// One sealed key of the installation and the place it is sealed for, to see that the key file is the right one.
    pub async fn some_sealed_key(&self) -> Result<Option<(String, String)>, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let row = run!(&mut tx, optional: (String, String, String), SOME_KEY)?;
        Ok(row.map(|(slug, kind, sealed)| (format!("{slug}/{kind}"), sealed)))
    }

    /// The key that signs relay tickets.
    pub async fn ticket_key(&self, scope: &TenantScope) -> Result<OrgKey, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (String, String), KEY, &scope.org_id, TICKET)?;
        let (public, sealed) = row.ok_or(StoreError::Decode("organization key"))?;
        Ok(OrgKey { public, sealed })
    }
}

async fn create(mut tx: Tx, new: &NewOrganization<'_>, now: i64) -> Result<Created, StoreError> {
    let org_id = Uuid::now_v7().to_string();
    tx.turn_to(Reach::Org(&org_id)).await?;
    if run!(&mut tx, execute CREATE, &org_id, new.slug, new.name, now)? == 0 {
        return Ok(Created::SlugTaken);
    }
    run!(&mut tx, execute ADD_AUTHORITY, &org_id, new.authority.public, new.authority.sealed, now)?;
    run!(&mut tx, execute ADD_KEY, &org_id, TICKET, new.ticket.public, new.ticket.sealed, now)?;
    let user_id = Uuid::now_v7().to_string();
    run!(&mut tx, execute ADMIN, &user_id, &org_id, new.admin_email, now)?;
    let token = Secret::generate(SecretKind::Api)?;
    let token_id = Uuid::now_v7().to_string();
    run!(&mut tx, execute TOKEN, &token_id, &org_id, &user_id, token.sha256(), now, new.token_expires_at)?;
    let scope = TenantScope::of(org_id, new.slug.to_owned(), "operator".to_owned());
    let what = Happened { action: "organization.create", target: new.slug, detail: new.admin_email };
    append(&mut tx, &scope, what, now).await?;
    let link = members::first_link(&mut tx, &scope, &user_id, (now, new.link_expires_at)).await?;
    tx.commit().await?;
    Ok(Created::Made { user_id, token, link })
}
