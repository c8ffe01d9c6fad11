//! Who did what, when: appended in the transaction of the change itself, each entry hashing the one before, so that
//! an edited, reordered or removed entry shows. Entries name things, never secrets or rows.

use crate::db::{Db, Tx, run, statements};
use crate::{StoreError, TenantScope, UserAuth};
pub use daam_ledger::Entry as AuditEntry;
use daam_ledger::Hash;

statements! {
    NEXT = "UPDATE organizations SET audit_seq = audit_seq + 1 WHERE id = $1 RETURNING audit_seq, audit_head";
    ADVANCE = "UPDATE organizations SET audit_head = $2 WHERE id = $1";
    INSERT = "INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    SEARCH = "SELECT seq, at, actor, action, target, detail FROM audit WHERE org_id = $1 AND seq < $2 \
              AND (CAST($3 AS TEXT) IS NULL OR LOWER(actor || ' ' || action || ' ' || target || ' ' || detail) LIKE $3 ESCAPE '!') \
              AND (CAST($4 AS TEXT) IS NULL OR action LIKE $4 ESCAPE '!') \
              AND at >= $5 AND at <= $6 ORDER BY seq DESC LIMIT $7";
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

/// What of a URL is said in an entry: its path or its query may be what lets in there.
pub(crate) fn origin(url: &str) -> &str {
    let Some((scheme, rest)) = url.split_once("://") else { return "" };
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let end = scheme.len().saturating_add("://".len()).saturating_add(host);
    url.get(..end).filter(|origin| !origin.contains('@')).unwrap_or_default()
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
    let hash = entry.hash(hash_of(&before)?, &scope.org_id).to_string();
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
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: (i64, i64, String, String, String, String), SEARCH, &scope.org_id,
            filter.before.unwrap_or(i64::MAX), text, action, filter.since.unwrap_or(0),
            filter.until.unwrap_or(i64::MAX), i64::from(most))?;
        let entry =
            |(seq, at, actor, action, target, detail)| AuditEntry { seq, at, actor, action, target, detail };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Writes down that the audit itself was taken out.
    pub async fn audit_exported(&self, by: &UserAuth, what: &str, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx(by.scope()).await?;
        let happened = Happened { action: "audit.export", target: "audit", detail: what };
        append(&mut tx, by.scope(), happened, now).await?;
        tx.commit().await
    }
}

/// Longer than anything an entry is searched by; SQLite takes no pattern without end.
const LONGEST_TEXT: usize = 4096;

/// A text that stands for itself in LIKE.
pub(crate) fn literal(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST_TEXT).fold(
        String::with_capacity(text.len()),
        |mut out, c| {
            if matches!(c, '!' | '%' | '_') {
                out.push('!');
            }
            out.push(c);
            out
        },
    )
}

/// As stored: the beginning is an empty text.
fn hash_of(text: &str) -> Result<Option<Hash>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    Hash::parse(text).map(Some).ok_or(StoreError::Decode("audit hash"))
}
