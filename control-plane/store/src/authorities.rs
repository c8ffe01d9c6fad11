//! The organization's certificate authorities, while one takes the place of another: offered, issuing, retired, in this
//! order and one at a time. The private halves arrive sealed, and go when their authority does.
//!
//! A new one issues once every agent that is here believes it: only these are offered to anybody, and whoever comes later is
//! told of it first. The old one goes when nothing stands on it any more, or when an admin says so and knows what that ends.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::read_number;
use crate::reach::Reach;
use crate::{StoreError, TenantScope, lineage};

statements! {
    LIST = "SELECT number, certificate, sealed_part, handover, created_at, issues_since, retired_at FROM authorities \
            WHERE org_id = $1 ORDER BY number";
    ADD = "INSERT INTO authorities (org_id, number, certificate, sealed_part, handover, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    MOVE = "UPDATE organizations SET authorities_version = authorities_version + 1 WHERE id = $1";
    VERSION = "SELECT authorities_version FROM organizations WHERE id = $1";
    BEGIN = "UPDATE authorities SET issues_since = $3 WHERE org_id = $1 AND number = $2";
    RETIRE = "UPDATE authorities SET retired_at = $3, sealed_part = NULL WHERE org_id = $1 AND number = $2";
    // Those that do not believe what there is; of these only who was seen after $3, or said no.
    BEHIND = "SELECT name, authorities_refused FROM agents WHERE org_id = $1 AND removed_at IS NULL \
              AND (authorities_version < $2 OR authorities_refused IS NOT NULL) \
              AND (CAST($3 AS BIGINT) IS NULL OR authorities_refused IS NOT NULL OR seen_at > $3) ORDER BY name, id";
    // Nobody was seen at 0.
    LAST_SEEN = "SELECT MAX(seen_at) FROM agents WHERE org_id = $1 AND removed_at IS NULL AND seen_at > 0 AND seen_at < $2";
    STANDING = "SELECT COUNT(*), MAX(not_after) FROM certificates WHERE org_id = $1 AND authority <= $2 AND holder_kind = 'user' \
                AND revoked_at IS NULL AND not_after > $3";
    // An agent stands on an authority until it has a certificate of a later one.
    AGENTS_STANDING = "SELECT a.name FROM agents a WHERE a.org_id = $1 AND a.removed_at IS NULL AND NOT EXISTS \
                       (SELECT 1 FROM certificates c WHERE c.org_id = a.org_id AND c.holder_kind = 'agent' AND c.holder_id = a.id \
                       AND c.authority > $2 AND c.revoked_at IS NULL AND c.not_after > $3) ORDER BY a.name, a.id";
    // Whether connected, seen after $3, told of version $2, and with a certificate of $4 or later.
    AGENTS = "SELECT a.id, a.name, a.database_name, a.link_id IS NOT NULL AND a.seen_at > $3, a.seen_at > $3, a.authorities_version >= $2, \
              a.authorities_refused, EXISTS (SELECT 1 FROM certificates c WHERE c.org_id = a.org_id AND c.holder_kind = 'agent' \
              AND c.holder_id = a.id AND c.authority >= $4 AND c.revoked_at IS NULL AND c.not_after > $5) FROM agents a \
              WHERE a.org_id = $1 AND a.removed_at IS NULL ORDER BY a.name, a.id";
    REVOKE = "UPDATE certificates SET revoked_at = $3 WHERE org_id = $1 AND authority <= $2 AND holder_kind = 'user' \
              AND revoked_at IS NULL AND not_after > $3";
    SAID = "UPDATE agents SET authorities_version = $3, authorities_refused = $4 WHERE org_id = $1 AND id = $2";
    ORG = "SELECT id, slug FROM organizations WHERE slug = $1";
    UNDER_WAY = "SELECT o.id, o.slug FROM organizations o WHERE o.authorities_version > 1 ORDER BY o.id";
}

/// One of them.
#[derive(Debug, Clone)]
pub struct StoredAuthority {
    /// The first is 1.
    pub number: i64,
    /// PEM.
    pub certificate: String,
    /// The private half, encrypted; none once retired.
    pub sealed: Option<String>,
    /// The word of the one before it, PEM; none for the first.
    pub handover: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Since when certificates come from it.
    pub issues_since: Option<i64>,
    /// Since when its certificates do not count.
    pub retired_at: Option<i64>,
}

impl StoredAuthority {
    /// Whether its certificates count.
    pub fn in_force(&self) -> bool {
        self.retired_at.is_none()
    }
}

/// Which agents are here.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// Those seen within this many seconds.
    pub seconds: i64,
    /// Not from now back but from when the last one was seen before this time: for a server that began then and that they
    /// had no time yet to come back to.
    pub before: Option<i64>,
}

/// A successor to offer.
#[derive(Debug)]
pub struct NewAuthority<'a> {
    /// One more than the latest.
    pub number: i64,
    /// PEM.
    pub certificate: &'a str,
    /// The private half, encrypted by the caller.
    pub sealed: &'a str,
    /// The word of the one before it, PEM.
    pub handover: &'a str,
}

/// What stands on the authority that is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandingOn {
    /// Agents that did not say yet that they believe the new one, and why if they refused to.
    pub behind: Vec<(String, Option<String>)>,
    /// Agents whose certificate is the old one's.
    pub agents: Vec<String>,
    /// People's certificates of it that have not ended.
    pub certificates: u64,
    /// When the last of these ends.
    pub until: Option<i64>,
}

impl StandingOn {
    /// Whether nothing does.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// How far an agent is with the newest authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentProgress {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it says that it believes what it was told last.
    pub believes: bool,
    /// Why it refused to.
    pub refused: Option<String>,
    /// Whether it has a certificate of the newest.
    pub renewed: bool,
    /// Whether the newest does not issue yet, or the old one is not retired, because of it.
    pub holds_up: bool,
}

/// What became of retiring.
#[derive(Debug, PartialEq, Eq)]
pub enum Retired {
    /// It is gone, and this stood on it.
    Done(StandingOn),
    /// This stands on it, and it is not forced.
    NotYet(StandingOn),
    /// There is one alone, or the newer one does not issue yet.
    Nothing,
}

impl Db {
    /// All of them, the earliest first, and the version of all this.
    pub async fn authorities(&self, scope: &TenantScope) -> Result<(u64, Vec<StoredAuthority>), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        Ok((version(&mut tx, scope).await?, list(&mut tx, scope).await?))
    }

    /// Offers a successor. `false` if one is on its way already, or the number is taken.
    pub async fn offer_authority(
        &self,
        scope: &TenantScope,
        new: &NewAuthority<'_>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        let present = list(&mut tx, scope).await?;
        let alone = present.iter().filter(|authority| authority.in_force()).count() == 1;
        if !alone || present.last().map(|last| last.number.saturating_add(1)) != Some(new.number) {
            return Ok(false);
        }
        run!(&mut tx, execute ADD, &scope.org_id, new.number, new.certificate, new.sealed, new.handover, now)?;
        moved(&mut tx, scope, ("authority.offer", new.number, ""), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lets the newest issue if every agent that is here believes it and none, here or not, said that it does not; whether
    /// it began to.
    pub async fn let_newest_issue(
        &self,
        scope: &TenantScope,
        here: &Here,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        let Some(newest) = list(&mut tx, scope).await?.pop().filter(|newest| newest.issues_since.is_none())
        else {
            return Ok(false);
        };
        let seen_after = seen_after(&mut tx, scope, here, now).await?;
        if !behind(&mut tx, scope, Some(seen_after)).await?.is_empty() {
            return Ok(false);
        }
        run!(&mut tx, execute BEGIN, &scope.org_id, newest.number, now)?;
        moved(&mut tx, scope, ("authority.issue", newest.number, ""), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What stands on the authority that a newer one takes the place of; none if there is no such.
    pub async fn standing_on_old(
        &self,
        scope: &TenantScope,
        now: i64,
    ) -> Result<Option<StandingOn>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        match old(&list(&mut tx, scope).await?) {
            Some(old) => standing(&mut tx, scope, old, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// How far each agent is, by name, while two are in force; none otherwise.
    pub async fn authority_progress(
        &self,
        scope: &TenantScope,
        here: &Here,
        now: i64,
    ) -> Result<Vec<AgentProgress>, StoreError> {
        type Row = (String, String, String, bool, bool, bool, Option<String>, bool);
        let mut tx = self.read_tx(scope).await?;
        let all = list(&mut tx, scope).await?;
        let Some(newest) = all.last().filter(|_| all.iter().filter(|one| one.in_force()).count() > 1) else {
            return Ok(Vec::new());
        };
        let (version,) = run!(&mut tx, optional: (i64,), VERSION, &scope.org_id)?
            .ok_or(StoreError::Decode("organization"))?;
        let seen_after = seen_after(&mut tx, scope, here, now).await?;
        let rows = run!(&mut tx, all: Row, AGENTS, &scope.org_id, version, seen_after, newest.number, now)?;
        let issues = newest.issues_since.is_some();
        let read = |(id, name, database, online, seen, told, refused, renewed): Row| {
            let believes = told && refused.is_none();
            // As `let_newest_issue` and `retire_authority` decide.
            let holds_up =
                if issues { !believes || !renewed } else { !believes && (seen || refused.is_some()) };
            AgentProgress { id, name, database, online, believes, refused, renewed, holds_up }
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Retires the old one if nothing stands on it, or by force: then people's certificates of it are revoked, and its agents
    /// are out until they have another.
    pub async fn retire_authority(
        &self,
        scope: &TenantScope,
        force: bool,
        now: i64,
    ) -> Result<Retired, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        let Some(old) = old(&list(&mut tx, scope).await?) else { return Ok(Retired::Nothing) };
        let standing = standing(&mut tx, scope, old, now).await?;
        if !standing.is_nothing() && !force {
            return Ok(Retired::NotYet(standing));
        }
        run!(&mut tx, execute REVOKE, &scope.org_id, old, now)?;
        run!(&mut tx, execute RETIRE, &scope.org_id, old, now)?;
        let detail = format!(
            "it ended {} certificates, {} agents had no newer one, {} had not confirmed",
            standing.certificates,
            standing.agents.len(),
            standing.behind.len()
        );
        moved(&mut tx, scope, ("authority.retire", old, &detail), now).await?;
        tx.commit().await?;
        Ok(Retired::Done(standing))
    }

    /// An organization by its slug. For the operator of the installation, not for any tenant.
    pub async fn operators_scope(&self, org: &str) -> Result<Option<TenantScope>, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let row = run!(&mut tx, optional: (String, String), ORG, org)?;
        Ok(row.map(|(org_id, slug)| TenantScope::of(org_id, slug, "operator".to_owned())))
    }

    /// Those that ever changed their authority, to look whether something is due.
    pub async fn authorities_under_way(&self) -> Result<Vec<TenantScope>, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let rows = run!(&mut tx, all: (String, String), UNDER_WAY)?;
        let scope = |(org_id, slug)| TenantScope::of(org_id, slug, "control-plane".to_owned());
        Ok(rows.into_iter().map(scope).collect())
    }
}

/// What an agent says it believes.
pub(crate) async fn said(
    tx: &mut Tx,
    scope: &TenantScope,
    (agent, version, refused): (&str, i64, Option<&str>),
) -> Result<(), StoreError> {
    run!(tx, execute SAID, &scope.org_id, agent, version, refused)?;
    Ok(())
}

pub(crate) async fn version(tx: &mut Tx, scope: &TenantScope) -> Result<u64, StoreError> {
    let row = run!(tx, optional: (i64,), VERSION, &scope.org_id)?;
    read_number(row.ok_or(StoreError::Decode("organization"))?.0, "version of the authorities")
}

async fn list(tx: &mut Tx, scope: &TenantScope) -> Result<Vec<StoredAuthority>, StoreError> {
    type Row = (i64, String, Option<String>, Option<String>, i64, Option<i64>, Option<i64>);
    let rows = run!(tx, all: Row, LIST, &scope.org_id)?;
    let read = |(number, certificate, sealed, handover, created_at, issues_since, retired_at)| {
        StoredAuthority { number, certificate, sealed, handover, created_at, issues_since, retired_at }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The one in force that a newer one issues instead of.
fn old(all: &[StoredAuthority]) -> Option<i64> {
    let mut in_force = all.iter().filter(|authority| authority.in_force());
    let (old, newer) = (in_force.next()?, in_force.next()?);
    newer.issues_since.map(|_| old.number)
}

/// Whoever was seen after this is here.
async fn seen_after(tx: &mut Tx, scope: &TenantScope, here: &Here, now: i64) -> Result<i64, StoreError> {
    let seen_until = match here.before {
        Some(before) => {
            let row = run!(tx, optional: (Option<i64>,), LAST_SEEN, &scope.org_id, before)?;
            row.and_then(|(last,)| last).unwrap_or(now)
        }
        None => now,
    };
    Ok(seen_until.saturating_sub(here.seconds))
}

async fn behind(
    tx: &mut Tx,
    scope: &TenantScope,
    seen_after: Option<i64>,
) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let row = run!(tx, optional: (i64,), VERSION, &scope.org_id)?;
    let (version,) = row.ok_or(StoreError::Decode("organization"))?;
    run!(tx, all: (String, Option<String>), BEHIND, &scope.org_id, version, seen_after)
}

async fn standing(tx: &mut Tx, scope: &TenantScope, old: i64, now: i64) -> Result<StandingOn, StoreError> {
    let (certificates, until) = run!(tx, optional: (i64, Option<i64>), STANDING, &scope.org_id, old, now)?
        .ok_or(StoreError::Decode("certificate count"))?;
    let agents = run!(tx, all: (String,), AGENTS_STANDING, &scope.org_id, old, now)?;
    Ok(StandingOn {
        behind: behind(tx, scope, None).await?,
        agents: agents.into_iter().map(|(name,)| name).collect(),
        certificates: read_number(certificates, "certificate count")?,
        until,
    })
}

async fn moved(
    tx: &mut Tx,
    scope: &TenantScope,
    (action, number, detail): (&'static str, i64, &str),
    now: i64,
) -> Result<(), StoreError> {
    run!(tx, execute MOVE, &scope.org_id)?;
    append(tx, scope, Happened { action, target: &number.to_string(), detail }, now).await
}
