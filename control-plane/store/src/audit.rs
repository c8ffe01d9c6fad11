//! Who did what, when: appended in the transaction of the change itself, each entry hashing the one before, so that
//! an edited, reordered or removed entry shows. Entries name things, never secrets or rows.

use crate::db::{Db, Tx, run, statements};
use crate::secret::hex;
use crate::{StoreError, TenantScope, UserAuth};
use sha2::{Digest as _, Sha256};

const DOMAIN: &[u8] = b"daam audit v1";

statements! {
    NEXT = "UPDATE organizations SET audit_seq = audit_seq + 1 WHERE id = $1 RETURNING audit_seq, audit_head";
    ADVANCE = "UPDATE organizations SET audit_head = $2 WHERE id = $1";
    INSERT = "INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    LIST = "SELECT seq, at, actor, action, target, detail, hash FROM audit WHERE org_id = $1 ORDER BY seq";
    SEARCH = "SELECT seq, at, actor, action, target, detail FROM audit WHERE org_id = $1 AND seq < $2 \
              AND (CAST($3 AS TEXT) IS NULL OR LOWER(actor || ' ' || action || ' ' || target || ' ' || detail) LIKE $3 ESCAPE '!') \
              AND (CAST($4 AS TEXT) IS NULL OR action LIKE $4 ESCAPE '!') \
              AND at >= $5 AND at <= $6 ORDER BY seq DESC LIMIT $7";
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

/// What to look for; everything, unless narrowed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Words that are in any of the entry's texts, as one phrase, whatever their case.
    pub text: Option<String>,
    /// How the action begins, such as `user.`.
    pub action: Option<String>,
    /// Not before, unix seconds.
    pub since: Option<i64>,
    /// Not after, unix seconds.
    pub until: Option<i64>,
    /// Only entries before this one.
    pub before: Option<i64>,
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
    /// Entries that fit, latest first.
    pub async fn search_audit(
        &self,
        scope: &TenantScope,
        filter: &AuditFilter,
        most: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let text = filter.text.as_ref().map(|text| format!("%{}%", literal(&text.to_lowercase())));
        let action = filter.action.as_ref().map(|action| format!("{}%", literal(action)));
        let mut tx = self.read_tx().await?;
        let rows = run!(&mut tx, all: (i64, i64, String, String, String, String), SEARCH, &scope.org_id,
            filter.before.unwrap_or(i64::MAX), text, action, filter.since.unwrap_or(0),
            filter.until.unwrap_or(i64::MAX), i64::from(most))?;
        let entry =
            |(seq, at, actor, action, target, detail)| AuditEntry { seq, at, actor, action, target, detail };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Writes down that the audit itself was taken out.
    pub async fn audit_exported(&self, by: &UserAuth, what: &str, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx().await?;
        let happened = Happened { action: "audit.export", target: "audit", detail: what };
        append(&mut tx, by.scope(), happened, now).await?;
        tx.commit().await
    }

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

/// A text that stands for itself in LIKE.
fn literal(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').fold(String::with_capacity(text.len()), |mut out, c| {
        if matches!(c, '!' | '%' | '_') {
            out.push('!');
        }
        out.push(c);
        out
    })
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
