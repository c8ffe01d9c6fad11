//! Groups, whose names policies use.

use super::{Refused, done, listing, meta, missing, one, query, read, still, unchanged, unfit};
use crate::app::App;
use crate::body::RawBody;
use crate::name;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use daam_scim::filter::parse;
use daam_scim::resource::{group, group_name, members, rendered};
use daam_scim::schema::GROUP;
use daam_scim::{Lookup, Object, Part, Query, ScimError, Window, matches, patch};
use daam_store::{ScimAuth, ScimGroup, ScimGroupChange, ScimGroupKey, ScimStored};
use serde_json::{Value, json};
use std::sync::Arc;

/// Groups that are looked at at once where no filter narrows them.
const AT_ONCE: usize = 500;

/// As the provider said it.
fn described(stored: &ScimGroup) -> Object {
    let mut object = Object::new();
    object.insert("displayName".to_owned(), stored.name.as_str().into());
    if let Some(id) = &stored.external_id {
        object.insert("externalId".to_owned(), id.as_str().into());
    }
    let members: Vec<Value> = stored.members.keys().map(|id| json!({ "value": id })).collect();
    if !members.is_empty() {
        object.insert("members".to_owned(), members.into());
    }
    object
}

fn shown(app: &App, stored: &ScimGroup) -> Object {
    let mut object = described(stored);
    let base = super::base(app);
    let named = |id: &String| json!({ "value": id, "$ref": format!("{base}/Users/{id}") });
    let members: Vec<Value> = stored.members.keys().map(named).collect();
    if !members.is_empty() {
        object.insert("members".to_owned(), members.into());
    }
    rendered(&GROUP, object, &meta(app, &GROUP, &stored.id, (stored.created_at, stored.changed_at)))
}

fn change(object: &Object) -> Result<ScimGroupChange, ScimError> {
    let name = group_name(object);
    name::groups(std::iter::once(&name)).map_err(|refusal| unfit(&refusal))?;
    let external_id = object.get("externalId").and_then(Value::as_str).map(str::to_owned);
    Ok(ScimGroupChange { name, external_id, members: members(object)? })
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    uri: Uri,
) -> Result<Response, Refused> {
    found(&app, &by, &query(uri.query())?).await
}

pub(super) async fn search(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    body: RawBody,
) -> Result<Response, Refused> {
    found(&app, &by, &Query::of_body(&read(&body)?)?).await
}

async fn found(app: &App, by: &ScimAuth, query: &Query) -> Result<Response, Refused> {
    listing(&GROUP, query, part(app, by, query, query.page().window()).await?)
}

/// How many groups the query's filter finds, and those of a window.
pub(super) async fn part(
    app: &App,
    by: &ScimAuth,
    query: &Query,
    window: Window,
) -> Result<(usize, Vec<Object>), Refused> {
    let filter = query.filter.as_deref().map(|text| parse(text, &GROUP)).transpose()?;
    let (db, scope) = (app.db(), by.scope());
    let Some(filter) = filter else {
        let (total, page) = db.scim_groups_page(scope, (window.skip, window.most)).await?;
        return Ok((total, page.iter().map(|stored| shown(app, stored)).collect()));
    };
    let mut part = Part::of(window);
    let mut look = |candidates: &[ScimGroup]| {
        let candidates = candidates.iter().map(|stored| shown(app, stored));
        candidates.filter(|object| matches(&filter, object)).for_each(|object| part.add(object));
    };
    let key = match filter.lookup(&GROUP) {
        Some(Lookup::Id(id)) => Some(ScimGroupKey::Id(id)),
        Some(Lookup::Unique(name)) => Some(ScimGroupKey::Name(name)),
        Some(Lookup::ExternalId(id)) => Some(ScimGroupKey::ExternalId(id)),
        Some(Lookup::Member(id)) => Some(ScimGroupKey::Member(id)),
        Some(Lookup::Email(_) | Lookup::Active(_)) | None => None,
    };
    if let Some(key) = key {
        look(&db.scim_groups_by(scope, key).await?);
        return Ok((part.total, part.resources));
    }
    let mut after = String::new();
    loop {
        let candidates = db.scim_groups_after(scope, &after, AT_ONCE).await?;
        look(&candidates);
        match candidates.last() {
            Some(last) if candidates.len() == AT_ONCE => after.clone_from(&last.id),
            _ => return Ok((part.total, part.resources)),
        }
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let stored = app.db().scim_group(by.scope(), &id).await?.ok_or_else(|| missing(&GROUP, &id))?;
    let object = shown(&app, &stored);
    if unchanged(&headers, &object) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    Ok(one(StatusCode::OK, &GROUP, object, &only))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    uri: Uri,
    body: RawBody,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let new = change(&group(&read(&body)?)?)?;
    let stored = app.db().scim_add_group(by.scope(), &new, app.now()).await?;
    let made = done(&app, &by, &GROUP, "", stored).await?;
    Ok(one(StatusCode::CREATED, &GROUP, shown(&app, &made), &only))
}

pub(super) async fn replace(
    state: State<Arc<App>>,
    by: Extension<ScimAuth>,
    (Path(id), uri, headers): (Path<String>, Uri, HeaderMap),
    body: RawBody,
) -> Result<Response, Refused> {
    let wanted = group(&read(&body)?)?;
    changed(state, by, (&id, &uri, &headers), |_| Ok(wanted)).await
}

pub(super) async fn patch_one(
    state: State<Arc<App>>,
    by: Extension<ScimAuth>,
    (Path(id), uri, headers): (Path<String>, Uri, HeaderMap),
    body: RawBody,
) -> Result<Response, Refused> {
    let request = read(&body)?;
    changed(state, by, (&id, &uri, &headers), |present| patch(&GROUP, present, &request)).await
}

async fn changed(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    (id, uri, headers): (&str, &Uri, &HeaderMap),
    decide: impl FnOnce(&Object) -> Result<Object, ScimError> + Send,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let decided = |present: &ScimGroup| {
        still(headers, &shown(&app, present))?;
        let before = described(present);
        let after = decide(&before)?;
        if after == before { Ok(None) } else { change(&after).map(Some) }
    };
    let stored: Result<ScimStored<ScimGroup>, ScimError> =
        app.db().scim_change_group(by.scope(), id, decided, app.now()).await?;
    let now = done(&app, &by, &GROUP, id, stored?).await?;
    Ok(one(StatusCode::OK, &GROUP, shown(&app, &now), &only))
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let agrees = |present: &ScimGroup| still(&headers, &shown(&app, present));
    let stored: Result<ScimStored<()>, ScimError> =
        app.db().scim_remove_group(by.scope(), &id, agrees, app.now()).await?;
    done(&app, &by, &GROUP, &id, stored?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
