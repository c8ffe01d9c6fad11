//! Members, as users.

use super::{Refused, done, listing, meta, missing, one, query, read, still, unchanged, unfit};
use crate::app::App;
use crate::body::RawBody;
use crate::name;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use daam_scim::filter::parse;
use daam_scim::resource::{person, rendered, undescribed, user};
use daam_scim::schema::USER;
use daam_scim::{Lookup, Object, Part, Query, ScimError, Window, matches, patch};
use daam_store::{ScimAuth, ScimKey, ScimStored, ScimUser, ScimUserChange};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Members that are looked at at once where no filter narrows them.
const AT_ONCE: usize = 500;

/// Ids of groups by their names.
type GroupIds = BTreeMap<String, String>;

/// What the provider said of a member, and whether they have access in truth.
fn described(stored: &ScimUser) -> Object {
    let said = stored.document.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut object: Object = said.unwrap_or_else(|| undescribed(&stored.email));
    let said_nothing = stored.document.is_some() && !object.contains_key("active");
    if !(said_nothing && stored.disabled) {
        object.insert("active".to_owned(), Value::Bool(!stored.disabled));
    }
    object
}

fn shown(app: &App, stored: &ScimUser, groups: &GroupIds) -> Object {
    let mut object = described(stored);
    let within: Vec<Value> = stored
        .groups
        .iter()
        .filter_map(|name| {
            let id = groups.get(name)?;
            let place = format!("{}/Groups/{id}", super::base(app));
            Some(json!({ "value": id, "$ref": place, "display": name }))
        })
        .collect();
    if !within.is_empty() {
        object.insert("groups".to_owned(), within.into());
    }
    rendered(&USER, object, &meta(app, &USER, &stored.id, (stored.created_at, stored.changed_at)))
}

/// What is stored of what was said.
fn change(object: &Object) -> Result<ScimUserChange, ScimError> {
    let person = person(object)?;
    let email = name::email(&person.email).map_err(|refusal| unfit(&refusal))?;
    let document = Value::Object(object.clone()).to_string();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let said = object.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(ScimUserChange {
        user_name: person.user_name,
        email,
        active: person.active,
        external_id: object.get("externalId").and_then(text),
        emails: said.iter().filter_map(|one| one.get("value").and_then(text)).collect(),
        document,
    })
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
    listing(&USER, query, part(app, by, query, query.page().window()).await?)
}

/// How many users the query's filter finds, and those of a window. Where everybody has to be looked at, it is done part
/// by part, and no more is held than one of these and the answer.
pub(super) async fn part(
    app: &App,
    by: &ScimAuth,
    query: &Query,
    window: Window,
) -> Result<(usize, Vec<Object>), Refused> {
    let filter = query.filter.as_deref().map(|text| parse(text, &USER)).transpose()?;
    let (db, scope) = (app.db(), by.scope());
    let groups = db.scim_group_ids(scope).await?;
    let Some(filter) = filter else {
        let (total, page) = db.scim_users_page(scope, (window.skip, window.most)).await?;
        return Ok((total, page.iter().map(|stored| shown(app, stored, &groups)).collect()));
    };
    let mut part = Part::of(window);
    let mut look = |candidates: &[ScimUser]| {
        let candidates = candidates.iter().map(|stored| shown(app, stored, &groups));
        candidates.filter(|object| matches(&filter, object)).for_each(|object| part.add(object));
    };
    let key = match filter.lookup(&USER) {
        Some(Lookup::Id(id)) => Ok(ScimKey::Id(id)),
        Some(Lookup::Unique(name)) => Ok(ScimKey::UserName(name)),
        Some(Lookup::ExternalId(id)) => Ok(ScimKey::ExternalId(id)),
        Some(Lookup::Email(email)) => Ok(ScimKey::Email(email)),
        Some(Lookup::Active(active)) => Err(Some(active)),
        Some(Lookup::Member(_)) | None => Err(None),
    };
    match key {
        Ok(key) => look(&db.scim_users_by(scope, key).await?),
        Err(active) => {
            let mut after = String::new();
            loop {
                let candidates = db.scim_users_after(scope, &after, (active, AT_ONCE)).await?;
                look(&candidates);
                match candidates.last() {
                    Some(last) if candidates.len() == AT_ONCE => after.clone_from(&last.id),
                    _ => break,
                }
            }
        }
    }
    Ok((part.total, part.resources))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let stored = app.db().scim_user(by.scope(), &id).await?.ok_or_else(|| missing(&USER, &id))?;
    let object = shown(&app, &stored, &app.db().scim_group_ids(by.scope()).await?);
    if unchanged(&headers, &object) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    Ok(one(StatusCode::OK, &USER, object, &only))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    uri: Uri,
    body: RawBody,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let new = change(&user(&read(&body)?)?)?;
    let stored = app.db().scim_add_user(by.scope(), &new, app.now()).await?;
    let made = done(&app, &by, &USER, "", stored).await?;
    let object = shown(&app, &made, &app.db().scim_group_ids(by.scope()).await?);
    Ok(one(StatusCode::CREATED, &USER, object, &only))
}

pub(super) async fn replace(
    state: State<Arc<App>>,
    by: Extension<ScimAuth>,
    (Path(id), uri, headers): (Path<String>, Uri, HeaderMap),
    body: RawBody,
) -> Result<Response, Refused> {
    let wanted = user(&read(&body)?)?;
    changed(state, by, (&id, &uri, &headers), |_| Ok(wanted)).await
}

pub(super) async fn patch_one(
    state: State<Arc<App>>,
    by: Extension<ScimAuth>,
    (Path(id), uri, headers): (Path<String>, Uri, HeaderMap),
    body: RawBody,
) -> Result<Response, Refused> {
    let request = read(&body)?;
    changed(state, by, (&id, &uri, &headers), |present| patch(&USER, present, &request)).await
}

async fn changed(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    (id, uri, headers): (&str, &Uri, &HeaderMap),
    decide: impl FnOnce(&Object) -> Result<Object, ScimError> + Send,
) -> Result<Response, Refused> {
    let only = query(uri.query())?.projection()?;
    let groups = app.db().scim_group_ids(by.scope()).await?;
    let decided = |present: &ScimUser| {
        still(headers, &shown(&app, present, &groups))?;
        let before = described(present);
        let after = decide(&before)?;
        let same = present.document.is_some() && after == before;
        if same { Ok(None) } else { change(&after).map(Some) }
    };
    let stored: Result<ScimStored<ScimUser>, ScimError> =
        app.db().scim_change_user(by.scope(), id, decided, app.now()).await?;
    let now = done(&app, &by, &USER, id, stored?).await?;
    Ok(one(StatusCode::OK, &USER, shown(&app, &now, &groups), &only))
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let groups = app.db().scim_group_ids(by.scope()).await?;
    let agrees = |present: &ScimUser| still(&headers, &shown(&app, present, &groups));
    let stored: Result<ScimStored<()>, ScimError> =
        app.db().scim_remove_user(by.scope(), &id, agrees, app.now()).await?;
    done(&app, &by, &USER, &id, stored?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
