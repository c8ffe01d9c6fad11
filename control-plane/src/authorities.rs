//! One certificate authority takes the place of another while sessions go on: the new one is offered with the old one's word
//! for it, issues once every agent that is here believes it, and the old one goes when nothing stands on it any more.

use crate::app::App;
use crate::clock::rfc3339;
use crate::keys::{self, KeyError};
use crate::link::ONLINE_SECONDS;
use crate::problem::Refusal;
use daam_api::link::Authority;
use daam_api::v1::{AuthorityAgent, AuthorityList, AuthorityStanding, ListedAuthority};
use daam_identity::{CertificateAuthority, facts_of_authority};
use daam_store::{
    AgentProgress, Here, NewAuthority, Retired, StandingOn, StoreError, StoredAuthority, TenantScope,
};

/// As agents and people are told of them: nothing while there never was but one.
pub(crate) fn history(all: &[StoredAuthority]) -> Vec<Authority> {
    if all.len() < 2 {
        return Vec::new();
    }
    let issuing = keys::issuing(all).map(|issuing| issuing.number);
    let told = |authority: &StoredAuthority| Authority {
        certificate_pem: authority.certificate.clone(),
        handover_pem: authority.handover.clone(),
        in_force: authority.in_force(),
        issues: Some(authority.number) == issuing,
    };
    all.iter().map(told).collect()
}

/// Those whose certificates count, one PEM text.
pub(crate) fn in_force(all: &[StoredAuthority]) -> String {
    let counting = all.iter().filter(|authority| authority.in_force());
    counting.map(|authority| authority.certificate.as_str()).collect()
}

/// Offers a successor.
pub(crate) async fn begin(app: &App, scope: &TenantScope) -> Result<AuthorityList, Refusal> {
    let (_, all) = app.db().authorities(scope).await?;
    let last = all.last().ok_or(KeyError::Store(StoreError::Decode("certificate authority")))?;
    let number = last.number.saturating_add(1);
    let under_way = || {
        Refusal::conflict("authority.under-way", "a new certificate authority is taking its place already")
            .allowed("another one once the old one is retired; `GET /v1/authorities` says what it waits for")
    };
    if all.iter().filter(|authority| authority.in_force()).count() != 1 {
        return Err(under_way());
    }
    if all.len() >= daam_identity::authorities::MOST {
        let title = "this organization has had as many certificate authorities as agents follow";
        return Err(Refusal::conflict("authority.too-many", title));
    }
    let old = keys::authority(app, scope, last)?;
    let new = CertificateAuthority::generate(scope.org(), app.now()).map_err(KeyError::from)?;
    let handover = old.hand_over(&new, app.now()).map_err(KeyError::from)?;
    let sealed = keys::seal_authority(app, scope, (number, &new))?;
    let offered = NewAuthority { number, certificate: new.cert_pem(), sealed: &sealed, handover: &handover };
    if !app.db().offer_authority(scope, &offered, app.now()).await? {
        return Err(under_way());
    }
    tracing::info!(org = scope.org(), number, "a new certificate authority is offered");
    app.changed(scope).await;
    go_on(app, scope).await?;
    list(app, scope).await
}

/// Which agents are here. Where the server has just begun those count that were here when the last one was: they had no
/// time yet to come back.
fn here(app: &App) -> Here {
    let began = app.began_at();
    let just_began = app.now().saturating_sub(began) <= ONLINE_SECONDS;
    Here { seconds: ONLINE_SECONDS, before: just_began.then_some(began) }
}

/// Lets the new one issue if every agent that is here believes it.
pub(crate) async fn go_on(app: &App, scope: &TenantScope) -> Result<(), StoreError> {
    if app.db().let_newest_issue(scope, &here(app), app.now()).await? {
        tracing::info!(org = scope.org(), "certificates come from the new authority now");
        app.changed(scope).await;
    }
    Ok(())
}

/// Whatever is due anywhere.
pub(crate) async fn look_after(app: &App) -> Result<(), StoreError> {
    for scope in app.db().authorities_under_way().await? {
        go_on(app, &scope).await?;
        if let Retired::Done(_) = app.db().retire_authority(&scope, false, app.now()).await? {
            tracing::info!(
                org = scope.org(),
                "nothing stood on the old certificate authority; it is retired"
            );
            app.changed(&scope).await;
        }
    }
    Ok(())
}

/// Retires the old one.
pub(crate) async fn retire(app: &App, scope: &TenantScope, force: bool) -> Result<AuthorityList, Refusal> {
    match app.db().retire_authority(scope, force, app.now()).await? {
        Retired::Done(_) => {
            app.changed(scope).await;
            list(app, scope).await
        }
        Retired::NotYet(standing) => {
            let said = said(&standing);
            let title = format!(
                "on the old certificate authority stand {} certificates of people, {} agents have none of the new one, \
                 and {} agents do not believe that yet",
                said.certificates,
                said.agents_on_it.len(),
                said.agents_behind.len()
            );
            Err(Refusal::conflict("authority.in-use", title)
                .allowed("the same once nothing does, or `force`, which ends these"))
        }
        Retired::Nothing => {
            Err(Refusal::conflict("authority.alone", "no newer certificate authority issues yet")
                .allowed("`POST /v1/authorities` first, and agents that believe the new one"))
        }
    }
}

/// What there is.
pub(crate) async fn list(app: &App, scope: &TenantScope) -> Result<AuthorityList, Refusal> {
    let (_, all) = app.db().authorities(scope).await?;
    let issuing = keys::issuing(&all).map(|issuing| issuing.number);
    let authorities = all.iter().map(|authority| listed(authority, issuing)).collect();
    let standing = app.db().standing_on_old(scope, app.now()).await?;
    let agents = app.db().authority_progress(scope, &here(app), app.now()).await?;
    let agents = agents.into_iter().map(progress).collect();
    Ok(AuthorityList { authorities, standing: standing.as_ref().map(said), agents })
}

fn progress(agent: AgentProgress) -> AuthorityAgent {
    let AgentProgress { id, name, database, online, believes, refused, renewed, holds_up } = agent;
    AuthorityAgent { id, name, database, online, believes, refused, renewed, holds_up }
}

fn listed(authority: &StoredAuthority, issuing: Option<i64>) -> ListedAuthority {
    let state = match authority {
        StoredAuthority { retired_at: Some(_), .. } => "retired",
        StoredAuthority { issues_since: None, .. } => "offered",
        StoredAuthority { number, .. } if Some(*number) == issuing => "issuing",
        _ => "overlapping",
    };
    // Ours can be read; one that cannot says nothing of itself.
    let known = facts_of_authority(&authority.certificate).ok();
    ListedAuthority {
        number: authority.number.unsigned_abs(),
        fingerprint: known.as_ref().map_or_else(String::new, |known| known.fingerprint.clone()),
        state: state.to_owned(),
        created_at: rfc3339(authority.created_at),
        not_before: known.as_ref().map_or_else(String::new, |known| rfc3339(known.not_before)),
        not_after: known.as_ref().map_or_else(String::new, |known| rfc3339(known.not_after)),
        certificate_pem: authority.certificate.clone(),
    }
}

fn said(standing: &StandingOn) -> AuthorityStanding {
    let behind = standing.behind.iter().map(|(agent, refused)| match refused {
        Some(why) => format!("{agent}: {why}"),
        None => agent.clone(),
    });
    AuthorityStanding {
        agents_behind: behind.collect(),
        agents_on_it: standing.agents.clone(),
        certificates: standing.certificates,
        until: standing.until.map(rfc3339),
    }
}
