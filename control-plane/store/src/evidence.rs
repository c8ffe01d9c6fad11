//! The audit as evidence: its key, its signed checkpoints, the log from where it begins, and what is no longer kept.
//!
//! This crate reads and stores; what is signed, and whether entries follow, is `daam-ledger`'s to say. Refused: a
//! checkpoint over entries that do not follow the last one, and a cut without a checkpoint in its place. Of entries that
//! are no longer kept the hashes stay: by them a checkpoint that somebody kept is compared with what stands in their place.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, read_number, stored_number, write_json};
use crate::reach::Reach;
use crate::{AuditEntry, OrgKey, StoreError, TenantScope, UserAuth, lineage};
use daam_ledger::{Begin, Fault, Frontier, Hash, Line, Signed, StoredEntry, Tip};

statements! {
    KEY = "SELECT public_part, sealed_part FROM audit_keys WHERE org_id = $1";
    ADD_KEY = "INSERT INTO audit_keys (org_id, public_part, sealed_part, created_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (org_id) DO NOTHING";
    LATEST = "SELECT signed, frontier FROM audit_checkpoints WHERE org_id = $1 ORDER BY size DESC LIMIT 1";
    AT = "SELECT signed, frontier FROM audit_checkpoints WHERE org_id = $1 AND size = $2";
    BEFORE = "SELECT signed, frontier FROM audit_checkpoints WHERE org_id = $1 AND size < $2 ORDER BY size DESC LIMIT $3";
    BETWEEN = "SELECT signed, frontier FROM audit_checkpoints WHERE org_id = $1 AND size > $2 AND size <= $3 ORDER BY size";
    AFTER = "SELECT signed, frontier FROM audit_checkpoints WHERE org_id = $1 AND size > $2 ORDER BY size";
    ADD = "INSERT INTO audit_checkpoints (org_id, size, at, signed, frontier) VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (org_id, size) DO NOTHING";
    ENTRIES = "SELECT seq, at, actor, action, target, detail, hash FROM audit WHERE org_id = $1 AND seq > $2 \
               ORDER BY seq LIMIT $3";
    COUNTED = "SELECT audit_seq, audit_head FROM organizations WHERE id = $1";
    CUT = "SELECT audit_cut FROM organizations WHERE id = $1";
    KEEP = "SELECT audit_keep_days FROM organizations WHERE id = $1";
    SET_KEEP = "UPDATE organizations SET audit_keep_days = $2 WHERE id = $1";
    DUE = "SELECT o.id, o.slug, o.audit_keep_days FROM organizations o WHERE o.audit_keep_days IS NOT NULL \
           OR o.audit_seq > COALESCE((SELECT MAX(c.size) FROM audit_checkpoints c WHERE c.org_id = o.id), 0) ORDER BY o.id";
    YOUNGEST_OLD = "SELECT MAX(c.size) FROM audit_checkpoints c WHERE c.org_id = $1 AND c.at < $2 AND NOT EXISTS \
                    (SELECT 1 FROM audit a WHERE a.org_id = $1 AND a.seq <= c.size AND a.at >= $2)";
    REMEMBER = "INSERT INTO audit_gone (org_id, seq, hash) SELECT org_id, seq, hash FROM audit WHERE org_id = $1 AND seq <= $2";
    GONE = "SELECT seq, hash FROM audit_gone WHERE org_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
    HASH = "SELECT hash FROM audit WHERE org_id = $1 AND seq = $2";
    GONE_HASH = "SELECT hash FROM audit_gone WHERE org_id = $1 AND seq = $2";
    FORGET = "DELETE FROM audit WHERE org_id = $1 AND seq <= $2";
    FORGET_CHECKPOINTS = "DELETE FROM audit_checkpoints WHERE org_id = $1 AND size < $2";
    SET_CUT = "UPDATE organizations SET audit_cut = $2 WHERE id = $1 AND audit_cut < $2";
}

type EntryRow = (i64, i64, String, String, String, String, String);
type CheckpointRow = (String, String);

/// Entries of one reading.
const PAGE: i64 = 500;
/// Hashes of one reading, and of a line.
const GONE_PAGE: i64 = 5000;

/// What became of a checkpoint that was wanted.
#[derive(Debug)]
pub enum Checkpointed {
    /// The log is whole and was signed now.
    Signed(Signed),
    /// The log is whole and nothing came since this one.
    Present(Signed),
    /// There is nothing to sign.
    Empty,
    /// The log is not whole: nothing was signed.
    Broken(Fault),
}

/// An organization whose audit wants looking after. Only for the control plane itself.
#[derive(Debug)]
pub struct DueOrganization {
    /// To act in it.
    pub scope: TenantScope,
    /// For how many days its entries are kept.
    pub keep_days: Option<i64>,
}

/// A place in a log as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPlace {
    /// After so many hashes of entries that are no longer kept.
    Gone {
        /// How many were read.
        after: i64,
        /// How many there are.
        cut: i64,
    },
    /// After this entry.
    After(i64),
}

/// Some lines of a log, and where to go on.
#[derive(Debug)]
pub struct LogPart {
    /// The lines.
    pub lines: Vec<Line>,
    /// Where to go on; `None` at the end.
    pub next: Option<LogPlace>,
}

impl Db {
    /// The key that signs checkpoints, if there is one already.
    pub async fn audit_key(&self, scope: &TenantScope) -> Result<Option<OrgKey>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (String, String), KEY, &scope.org_id)?;
        Ok(row.map(|(public, sealed)| OrgKey { public, sealed }))
    }

    /// Stores the key that signs checkpoints; the first one stays, whoever stores at the same time.
    pub async fn add_audit_key(&self, scope: &TenantScope, key: &OrgKey, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx(scope).await?;
        if run!(&mut tx, execute ADD_KEY, &scope.org_id, &key.public, &key.sealed, now)? > 0 {
            let what = Happened { action: "audit.key", target: "", detail: &key.public };
            append(&mut tx, scope, what, now).await?;
        }
        tx.commit().await
    }

    /// Reads what came since the last checkpoint and has the whole signed. `trusted` says whether a stored checkpoint
    /// is one of ours: what somebody put into the database is no place to go on from. `known` is the latest that the caller
    /// knows was signed: a database without it was set back, or the log in it written anew.
    pub async fn checkpoint(
        &self,
        scope: &TenantScope,
        (known, now): (Option<&Signed>, i64),
        trusted: impl Fn(&Signed) -> bool + Send,
        sign: impl Fn(&Tip) -> Signed + Send,
    ) -> Result<Checkpointed, StoreError> {
        let mut tip = Tip::of_nothing(&scope.org_id);
        let mut tx = self.read_tx(scope).await?;
        let latest = run!(&mut tx, optional: CheckpointRow, LATEST, &scope.org_id)?;
        let latest = latest.map(checkpoint).transpose()?;
        if let Some(known) = known {
            let latest = latest.as_ref().map(|(signed, _)| signed);
            if let Some(fault) = forgotten(&mut tx, scope, known, latest).await? {
                return Ok(Checkpointed::Broken(fault));
            }
        }
        if let Some((signed, frontier)) = &latest {
            let size = signed.unverified().size;
            if !trusted(signed) {
                return Ok(Checkpointed::Broken(Fault::Cut { size }));
            }
            match Tip::at(signed.unverified(), frontier.clone()) {
                Ok(at) => tip = at,
                Err(fault) => return Ok(Checkpointed::Broken(fault)),
            }
        }
        let before = tip.size();
        loop {
            let after = stored_number(tip.size(), "audit place")?;
            let rows = run!(&mut tx, all: EntryRow, ENTRIES, &scope.org_id, after, PAGE)?;
            let last = i64::try_from(rows.len()).is_ok_and(|count| count < PAGE);
            for row in rows {
                let StoredEntry { entry, hash } = entry(row);
                if let Err(fault) = tip.follow(&entry, &hash) {
                    return Ok(Checkpointed::Broken(fault));
                }
            }
            if last {
                break;
            }
        }
        if let Some(fault) = fits_counter(&mut tx, scope, &tip).await? {
            return Ok(Checkpointed::Broken(fault));
        }
        drop(tx);
        match latest {
            Some((signed, _)) if tip.size() == before => return Ok(Checkpointed::Present(signed)),
            None if tip.size() == 0 => return Ok(Checkpointed::Empty),
            _ => {}
        }
        let signed = sign(&tip);
        let (text, frontier) = (write_json(&signed, "checkpoint")?, write_json(tip.frontier(), "frontier")?);
        let mut tx = self.write_tx(scope).await?;
        let size = stored_number(tip.size(), "audit place")?;
        run!(&mut tx, execute ADD, &scope.org_id, size, now, &text, &frontier)?;
        tx.commit().await?;
        Ok(Checkpointed::Signed(signed))
    }

    /// Checkpoints of fewer entries than `before`, the latest first.
    pub async fn checkpoints(
        &self,
        scope: &TenantScope,
        before: Option<u64>,
        most: u32,
    ) -> Result<Vec<Signed>, StoreError> {
        let before = before.and_then(|size| i64::try_from(size).ok()).unwrap_or(i64::MAX);
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: CheckpointRow, BEFORE, &scope.org_id, before, i64::from(most))?;
        rows.into_iter().map(|row| checkpoint(row).map(|(signed, _)| signed)).collect()
    }

    /// The log from where it begins (`at` is `None`) or from a place on, in parts.
    pub async fn audit_log(&self, scope: &TenantScope, at: Option<LogPlace>) -> Result<LogPart, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let mut lines = Vec::new();
        let at = if let Some(at) = at {
            at
        } else {
            let (begin, cut) = begin(&mut tx, scope).await?;
            lines.push(Line::Begin(begin));
            LogPlace::Gone { after: 0, cut }
        };
        let from = match at {
            LogPlace::After(seq) => seq,
            LogPlace::Gone { after, cut } => {
                if let Some((last, hashes)) = gone(&mut tx, scope, (after, cut)).await? {
                    lines.push(Line::Gone(hashes));
                    let next =
                        if last < cut { LogPlace::Gone { after: last, cut } } else { LogPlace::After(cut) };
                    return Ok(LogPart { lines, next: Some(next) });
                }
                cut
            }
        };
        let rows = run!(&mut tx, all: EntryRow, ENTRIES, &scope.org_id, from, PAGE)?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count == PAGE);
        let last = rows.last().map_or(from, |row| row.0);
        // After the last entry, checkpoints of entries that are not there: whoever reads must see them.
        let said = if full {
            run!(&mut tx, all: CheckpointRow, BETWEEN, &scope.org_id, from, last)?
        } else {
            run!(&mut tx, all: CheckpointRow, AFTER, &scope.org_id, from)?
        };
        let mut said =
            said.into_iter().map(checkpoint).collect::<Result<Vec<_>, _>>()?.into_iter().peekable();
        for row in rows {
            let stored = entry(row);
            let seq = stored.entry.seq;
            lines.push(Line::Entry(stored));
            let here = |(signed, _): &(Signed, Frontier)| i64::try_from(signed.unverified().size) == Ok(seq);
            while let Some((signed, _)) = said.next_if(here) {
                lines.push(Line::Checkpoint(signed));
            }
        }
        lines.extend(said.map(|(signed, _)| Line::Checkpoint(signed)));
        Ok(LogPart { lines, next: full.then_some(LogPlace::After(last)) })
    }

    /// Every entry that is kept, and whether the log is whole as far as the database itself can tell.
    pub async fn audit(&self, scope: &TenantScope) -> Result<(Vec<AuditEntry>, bool), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let (begin, cut) = begin(&mut tx, scope).await?;
        let at = begin.anchor.map(|signed| Tip::at(signed.unverified(), begin.frontier));
        let mut tip = at.unwrap_or_else(|| Ok(Tip::of_nothing(&scope.org_id)));
        let mut entries = Vec::new();
        for row in run!(&mut tx, all: EntryRow, ENTRIES, &scope.org_id, cut, i64::MAX)? {
            let StoredEntry { entry, hash } = entry(row);
            tip = tip.and_then(|mut tip| tip.follow(&entry, &hash).map(|()| tip));
            entries.push(entry);
        }
        let Ok(tip) = tip else { return Ok((entries, false)) };
        let whole = fits_counter(&mut tx, scope, &tip).await?.is_none();
        Ok((entries, whole))
    }

    /// For how many days entries are kept; `None` for ever.
    pub async fn audit_keep_days(&self, scope: &TenantScope) -> Result<Option<i64>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (Option<i64>,), KEEP, &scope.org_id)?;
        Ok(row.and_then(|(days,)| days))
    }

    /// Sets for how many days entries are kept.
    pub async fn keep_audit(&self, by: &UserAuth, days: Option<i64>, now: i64) -> Result<(), StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute SET_KEEP, &scope.org_id, days)?;
        let detail = days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"));
        append(&mut tx, scope, Happened { action: "audit.keep", target: "audit", detail: &detail }, now)
            .await?;
        tx.commit().await
    }

    /// Removes entries from before a time, up to a checkpoint that then stands in their place. How many are gone now.
    pub async fn cut_audit(
        &self,
        scope: &TenantScope,
        older_than: i64,
        now: i64,
    ) -> Result<Option<u64>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        // Another server may be at the same.
        lineage::lock(&mut tx, &scope.org_id).await?;
        let cut = cut(&mut tx, scope).await?;
        let row = run!(&mut tx, optional: (Option<i64>,), YOUNGEST_OLD, &scope.org_id, older_than)?;
        let Some(size) = row.and_then(|(size,)| size).filter(|size| *size > cut) else { return Ok(None) };
        run!(&mut tx, execute REMEMBER, &scope.org_id, size)?;
        run!(&mut tx, execute FORGET, &scope.org_id, size)?;
        run!(&mut tx, execute FORGET_CHECKPOINTS, &scope.org_id, size)?;
        run!(&mut tx, execute SET_CUT, &scope.org_id, size)?;
        let what =
            Happened { action: "audit.cut", target: "audit", detail: &format!("entries up to {size}") };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        read_number(size, "audit place").map(Some)
    }

    /// Organizations with entries nobody has signed, or whose entries have an end. For the control plane itself.
    pub async fn audits_due(&self) -> Result<Vec<DueOrganization>, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let rows = run!(&mut tx, all: (String, String, Option<i64>), DUE)?;
        let due = |(org_id, slug, keep_days)| {
            let scope = TenantScope::of(org_id, slug, "control-plane".to_owned());
            DueOrganization { scope, keep_days }
        };
        Ok(rows.into_iter().map(due).collect())
    }
}

/// The counter beside the log knows its end.
async fn fits_counter(tx: &mut Tx, scope: &TenantScope, tip: &Tip) -> Result<Option<Fault>, StoreError> {
    let row = run!(tx, optional: (i64, String), COUNTED, &scope.org_id)?;
    let (counted, head) = row.ok_or(StoreError::Decode("organization"))?;
    let counted = read_number(counted, "audit place")?;
    if counted != tip.size() {
        return Ok(Some(Fault::Short { last: tip.size(), counted }));
    }
    let fits = tip.head().map(|hash| hash.to_string()).unwrap_or_default() == head;
    Ok((!fits).then_some(Fault::Changed { seq: counted }))
}

async fn cut(tx: &mut Tx, scope: &TenantScope) -> Result<i64, StoreError> {
    let row = run!(tx, optional: (i64,), CUT, &scope.org_id)?;
    Ok(row.map_or(0, |(cut,)| cut))
}

/// Some of the hashes of entries that are no longer kept, and the last one's number. None where there are none from the
/// first on: entries that went before hashes stayed left nothing. They end where one is missing: which entry a hash is of
/// is told by its place alone.
async fn gone(
    tx: &mut Tx,
    scope: &TenantScope,
    (after, cut): (i64, i64),
) -> Result<Option<(i64, Vec<Hash>)>, StoreError> {
    let (mut last, mut hashes) = (after, Vec::new());
    for (seq, hash) in run!(tx, all: (i64, String), GONE, &scope.org_id, after, cut, GONE_PAGE)? {
        if seq != last.saturating_add(1) {
            break;
        }
        last = seq;
        hashes.push(Hash::parse(&hash).ok_or(StoreError::Decode("audit hash"))?);
    }
    Ok((!hashes.is_empty()).then_some((last, hashes)))
}

/// Whether a checkpoint that was signed is not in the database. A later one there is another server's, which may know less
/// than we do: it counts over the same entries only.
async fn forgotten(
    tx: &mut Tx,
    scope: &TenantScope,
    known: &Signed,
    latest: Option<&Signed>,
) -> Result<Option<Fault>, StoreError> {
    let known = known.unverified();
    let size = known.size;
    match latest.map(Signed::unverified) {
        Some(latest) if latest.size > size => {}
        Some(latest) if latest.size == size => {
            let same = latest.root == known.root && latest.head == known.head;
            return Ok((!same).then_some(Fault::Rewritten { size }));
        }
        _ => return Ok(Some(Fault::Forgotten { size })),
    }
    let seq = stored_number(size, "audit place")?;
    let mut hash = run!(tx, optional: (String,), HASH, &scope.org_id, seq)?;
    if hash.is_none() {
        // It may go from one to the other between these two readings, never back.
        hash = run!(tx, optional: (String,), GONE_HASH, &scope.org_id, seq)?;
    }
    Ok(match hash {
        Some((hash,)) => {
            (Hash::parse(&hash) != known.head || known.head.is_none()).then_some(Fault::Rewritten { size })
        }
        // What was cut off before hashes stayed left nothing to compare.
        None => (cut(tx, scope).await? < seq).then_some(Fault::Forgotten { size }),
    })
}

/// Where the log begins. Without the checkpoint of a cut, it begins as if nothing were gone, and will not verify.
async fn begin(tx: &mut Tx, scope: &TenantScope) -> Result<(Begin, i64), StoreError> {
    let cut = cut(tx, scope).await?;
    let anchor = run!(tx, optional: CheckpointRow, AT, &scope.org_id, cut)?;
    Ok(match anchor.map(checkpoint).transpose()? {
        Some((signed, frontier)) => (Begin::after(signed, frontier), cut),
        None => (Begin::at_the_first(&scope.slug, &scope.org_id), 0),
    })
}

fn checkpoint((signed, frontier): CheckpointRow) -> Result<(Signed, Frontier), StoreError> {
    Ok((read_json(&signed, "checkpoint")?, read_json(&frontier, "frontier")?))
}

fn entry((seq, at, actor, action, target, detail, hash): EntryRow) -> StoredEntry {
    StoredEntry { entry: AuditEntry { seq, at, actor, action, target, detail }, hash }
}
