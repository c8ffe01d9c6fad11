//! Publishing bundles. The control plane cannot author one; it refuses what agents would refuse, tells whoever did
//! not see the latest head, keeps the exact bytes, and pushes them.

use crate::app::App;
use crate::body::RawBody;
use crate::guard::Admin;
use crate::name::{self, shown};
use crate::problem::Refusal;
use crate::routes::trust;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use daam_api::v1::BundleAccepted;
use daam_bundle::{Acceptance, Head, RefusalKind, Refused, UnsignedBundle, Verified, VerifiedBundle};
use daam_store::{Caller, NewBundle, Published, TenantScope};
use serde::Deserialize;
use std::error::Error as _;
use std::sync::Arc;

/// Most bytes of a bundle file; in base64 it still fits one WebSocket frame of a default client.
pub(crate) const LIMIT: usize = 8 * 1024 * 1024;

/// The query of an upload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    expect_head: u64,
}

pub(crate) async fn publish(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(database): Path<String>,
    expected: Result<Query<Expected>, QueryRejection>,
    RawBody(bytes): RawBody,
) -> Result<Json<BundleAccepted>, Refusal> {
    name::database(&database)?;
    let Query(Expected { expect_head }) = expected.map_err(|_| {
        Refusal::bad("bundle.expect-head", "the upload does not say which head it replaces")
            .allowed("`?expect_head=N` with the serial published now, 0 if there is none")
    })?;
    let scope = user.scope();
    let (bundle, is_new) = checked(&app, scope, &database, &bytes).await?;
    let head = bundle.head().clone();
    if is_new {
        let text = head.to_json();
        let new = NewBundle {
            database: &database,
            epoch: head.epoch,
            serial: head.serial,
            statement_sha256: &head.statement_sha256,
            head: &text,
            bytes: &bytes,
        };
        match app.db().publish(scope, &new, expect_head, app.now()).await? {
            Published::Done => app.changed(scope).await,
            Published::HeadMoved { serial } => {
                let title =
                    format!("the published head of `{database}` is serial {serial}, not {expect_head}");
                return Err(Refusal::conflict("bundle.head-moved", title)
                    .allowed("a bundle built on the published head, with its serial as `expect_head`"));
            }
        }
    }
    Ok(Json(BundleAccepted { serial: head.serial, statement_sha256: head.statement_sha256 }))
}

/// The query of a download.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    serial: Option<u64>,
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(database): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Query(Wanted { serial }) = wanted.map_err(|_| {
        Refusal::bad("bundle.serial", "the bundle that is asked for is not a serial")
            .allowed("`?serial=N`, or nothing for the published one")
    })?;
    let missing = || {
        Refusal::missing("bundle.missing", format!("no bundle is published for `{}`", shown(&database)))
            .allowed("`PUT /v1/databases/{db}/bundle` by an admin first")
    };
    if matches!(&caller, Caller::Agent(agent) if agent.database() != database) {
        return Err(missing());
    }
    let bundle = match serial {
        None => app.db().bundle(caller.scope(), &database).await?,
        Some(serial) => app.db().bundle_of(caller.scope(), &database, serial).await?,
    };
    let bundle = bundle.ok_or_else(missing)?;
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.daam.bundle".to_owned()),
        (header::ETAG, format!("\"{}\"", bundle.statement_sha256)),
    ];
    Ok((headers, bundle.bytes))
}

/// The bundle if the trust file vouches for it, and whether it is not the head already.
async fn checked(
    app: &App,
    scope: &TenantScope,
    database: &str,
    bytes: &[u8],
) -> Result<(VerifiedBundle, bool), Refusal> {
    let trust = trust::parsed(&trust::stored(app, scope).await?)?;
    let head = app.db().head(scope, database).await?;
    let head = head
        .map(|text| Head::from_json(&text))
        .transpose()
        .map_err(|error| Refusal::internal("read the head", &error))?;
    let in_force = match app.db().bundle(scope, database).await? {
        None => None,
        Some(bundle) => UnsignedBundle::from_bytes(&bundle.bytes).ok().and_then(|held| held.policies().ok()),
    };
    let acceptance = Acceptance {
        held: in_force.as_ref(),
        ..Acceptance::new(&trust, database, app.now()).after(head.as_ref())
    };
    match acceptance.verify(bytes) {
        Ok(Verified::New(bundle)) => Ok((bundle, true)),
        Ok(Verified::Same(bundle)) => Ok((bundle, false)),
        Err(refused) => Err(refusal(&refused)),
    }
}

fn refusal(refused: &Refused) -> Refusal {
    let why = refused.source().map_or_else(|| refused.to_string(), |cause| format!("{refused}: {cause}"));
    match refused.kind() {
        RefusalKind::Signature => {
            Refusal::bad("bundle.signature", why).allowed("a bundle signed by enough keys of the trust file")
        }
        RefusalKind::Rollback => Refusal::conflict("bundle.serial-behind", why)
            .allowed("a bundle with the trust file's epoch and a serial above the published one"),
        RefusalKind::Expired => Refusal::bad("bundle.expired", why).allowed("a bundle that is valid now"),
        RefusalKind::Malformed => {
            Refusal::bad("bundle.malformed", why).allowed("what `daam policy build` writes")
        }
        RefusalKind::WrongTarget => Refusal::bad("bundle.wrong-target", why)
            .allowed("a bundle for this organization and database, under the installed trust file"),
    }
}
