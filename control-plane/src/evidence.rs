//! Looks after the audit: has what was written signed, carries checkpoints off this database, and removes what is no
//! longer kept, ended sessions of agents included. A log that is not whole is not signed, and said so in ours.

use crate::app::App;
use crate::authorities;
use crate::keys::{self, KeyError};
use crate::metrics::one_more;
use crate::signed::SignedBefore;
use daam_ledger::{Fault, Signed, Tip};
use daam_store::{Checkpointed, StoreError, TenantScope};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an entry may be without a signature over it.
const EVERY: Duration = Duration::from_secs(300);
const DAY_SECONDS: i64 = 86_400;

/// Has everything signed that nobody signed yet. Refused where the database does not know what was signed before.
pub(crate) async fn checkpoint(app: &App, scope: &TenantScope) -> Result<Checkpointed, KeyError> {
    let key = keys::audit(app, scope).await?;
    let (public, now, org) = (key.public(), app.now(), scope.org());
    let trusted = |signed: &Signed| signed.verify(&public).is_ok();
    let known = app.signed_before().latest(org).map_err(KeyError::Signed)?;
    let sign = |tip: &Tip| tip.checkpoint(org, now).sign(&key);
    let made = app.db().checkpoint(scope, (known.as_ref(), now), trusted, sign).await?;
    if let Checkpointed::Signed(signed) | Checkpointed::Present(signed) = &made
        && let Err(error) = app.signed_before().remember(org, signed)
    {
        tracing::error!(org, %error, "could not remember what was signed of an audit (`audit-signed` in the data directory)");
    }
    match &made {
        Checkpointed::Signed(signed) => carry_off(app, signed),
        Checkpointed::Broken(fault) => {
            one_more(&app.metrics().audits_broken);
            let allowed = way_on(org, fault);
            tracing::error!(org, %fault, allowed, "the audit of an organization is not whole; it is not signed");
        }
        Checkpointed::Present(_) | Checkpointed::Empty => {}
    }
    Ok(made)
}

/// What whoever finds a log that is not whole can do.
pub(crate) fn way_on(org: &str, fault: &Fault) -> String {
    let look = "`daam audit verify`, which says more, and a backup";
    if !matches!(fault, Fault::Forgotten { .. } | Fault::Rewritten { .. }) {
        return look.to_owned();
    }
    let file = SignedBefore::file(org);
    format!(
        "{look}; only if the operator put an older database back on purpose: `{file}` removed from the data directory of every server"
    )
}

/// Until the server stops.
pub(crate) async fn look_after(app: Arc<App>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => {}
        }
        round(&app).await;
    }
}

/// What is due now, of audits and of certificate authorities.
pub(crate) async fn round(app: &App) {
    if let Err(error) = all(app).await {
        tracing::warn!(%error, "could not look after the audit; trying again");
    }
    if let Err(error) = authorities::look_after(app).await {
        tracing::warn!(%error, "could not look after certificate authorities; trying again");
    }
}

async fn all(app: &App) -> Result<(), StoreError> {
    for due in app.db().audits_due().await? {
        let org = due.scope.org();
        if let Err(error) = checkpoint(app, &due.scope).await {
            tracing::warn!(org, %error, "could not sign an audit; trying again");
        }
        let Some(days) = due.keep_days else { continue };
        let older_than = app.now().saturating_sub(days.saturating_mul(DAY_SECONDS));
        if let Some(size) = app.db().cut_audit(&due.scope, older_than, app.now()).await? {
            tracing::info!(org, size, "removed audit entries that are no longer kept");
        }
        let sessions = app.db().forget_sessions(&due.scope, older_than).await?;
        if sessions > 0 {
            tracing::info!(org, sessions, "removed sessions of agents that are no longer kept");
        }
    }
    Ok(())
}

/// Into a file that somebody else keeps, if there is one.
fn carry_off(app: &App, signed: &Signed) {
    let Some(file) = app.checkpoint_file() else { return };
    if let Err(error) = add_line(file, signed) {
        tracing::error!(file = %file.display(), %error, "could not carry off a checkpoint of the audit");
    }
}

fn add_line(file: &Path, signed: &Signed) -> io::Result<()> {
    let mut line = serde_json::to_vec(signed)?;
    line.push(b'\n');
    // One write, so that two servers do not mix their lines.
    std::fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(&line)
}
