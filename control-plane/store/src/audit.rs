//! Who did what, when: appended in the transaction of the change itself, each entry hashing the one before, so that
//! an edited, reordered or removed entry shows. Entries name things, never secrets or rows.

use crate::db::{Db, Tx, run, statements};
use crate::secret::hex;
use crate::{StoreError, TenantScope};
use sha2::{Digest as _, Sha256};

const DOMAIN: &[u8] = b"daam audit v1";

statements! {
    NEXT = "UPDATE organizations SET audit_seq = audit_seq + 1 WHERE id = $1 RETURNING audit_seq, audit_head";
    ADVANCE = "UPDATE organizations SET audit_head = $2 WHERE id = $1";
    INSERT = "INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    LIST = "SELECT seq, at, actor, action, target, detail, hash FROM audit WHERE org_id = $1 ORDER BY seq";
    HEAD = "SELECT audit_head FROM organizations WHERE id = $1";
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// 1, 2, 3 … per organization.
    pub seq: i64,
    /// Unix seconds.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// Did what, e.g. `user.put`.
    pub action: String,
    /// To what.
    pub target: String,
    /// With what; may be empty.
    pub detail: String,
}

/// What happened, for [`append`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened<'a> {
    pub(crate) action: &'static str,
    pub(crate) target: &'a str,
    pub(crate) detail: &'a str,
}

pub(crate) async fn append(
    tx: &mut Tx,
    scope: &TenantScope,
    what: Happened<'_>,
    now: i64,
) -> Result<(), StoreError> {
    // The update locks the organization's row, so entries cannot fork the chain.
    let (seq, before) =
        run!(tx, optional: (i64, String), NEXT, &scope.org_id)?.ok_or(StoreError::Decode("organization"))?;
    let entry = AuditEntry {
        seq,
        at: now,
        actor: scope.actor.clone(),
        action: what.action.to_owned(),
        target: what.target.to_owned(),
        detail: what.detail.to_owned(),
    };
    let hash = chain(&before, &scope.org_id, &entry);
    run!(tx, execute ADVANCE, &scope.org_id, &hash)?;
    run!(tx, execute INSERT, &scope.org_id, seq, now, &entry.actor, &entry.action, &entry.target, &entry.detail, &hash)?;
    Ok(())
}

impl Db {
    /// The whole audit of an organization, and whether its chain is whole.
    pub async fn audit(&self, scope: &TenantScope) -> Result<(Vec<AuditEntry>, bool), StoreError> {
        let mut tx = self.read_tx().await?;
        let rows =
            run!(&mut tx, all: (i64, i64, String, String, String, String, String), LIST, &scope.org_id)?;
        let head = run!(&mut tx, optional: (String,), HEAD, &scope.org_id)?;
        let mut before = String::new();
        let mut whole = true;
        let mut entries = Vec::with_capacity(rows.len());
        for (wanted, (seq, at, actor, action, target, detail, hash)) in (1_i64..).zip(rows) {
            let entry = AuditEntry { seq, at, actor, action, target, detail };
            whole &= seq == wanted && chain(&before, &scope.org_id, &entry) == hash;
            before = hash;
            entries.push(entry);
        }
        whole &= head.is_some_and(|(head,)| head == before);
        Ok((entries, whole))
    }
}

/// Every field is length-prefixed, so that no two entries encode alike.
fn chain(before: &str, org_id: &str, entry: &AuditEntry) -> String {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    let seq = entry.seq.to_string();
    let at = entry.at.to_string();
    for field in [before, org_id, &seq, &at, &entry.actor, &entry.action, &entry.target, &entry.detail] {
        hash.update(field.len().to_string().as_bytes());
        hash.update(b":");
        hash.update(field.as_bytes());
    }
    hex(&hash.finalize())
}
