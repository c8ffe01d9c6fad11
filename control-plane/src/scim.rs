//! SCIM 2.0 under `/scim/v2`: an identity provider provisions members and groups with a token of the organization.
//!
//! What a request means is `daam-scim`'s to say; here it is asked within the store's transaction, and agents are told.
//! Answers are SCIM's own, refusals included. What it refuses beyond the protocol: roles, and anything of another
//! organization; a provider says who is there and in which groups, never who manages the organization.

use crate::app::App;
use crate::body::RawBody;
use crate::clock::rfc3339;
use crate::guard::{self, Who};
use crate::problem::Refusal;
use crate::routes::{Route, Surface};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use daam_scim::resource::{Meta, names_version, version};
use daam_scim::schema::Schema;
use daam_scim::{Kind, Object, Projection, Query, ScimError};
use daam_store::{ScimAuth, ScimStored, StoreError};
use serde_json::Value;
use std::sync::Arc;

mod discovery;
mod groups;
mod search;
mod users;

/// A group of everybody is the large one.
const LARGEST: usize = 2 * 1024 * 1024;

/// SCIM's routes.
pub(crate) fn table() -> Vec<Route> {
    let route = |method, path, handler: MethodRouter<Arc<App>>| Route {
        method,
        path,
        who: Who::Scim,
        surface: Surface::Scim,
        body_limit: LARGEST,
        handler,
    };
    vec![
        route("GET", "/scim/v2/ServiceProviderConfig", get(discovery::service)),
        route("GET", "/scim/v2/ResourceTypes", get(discovery::resource_types)),
        route("GET", "/scim/v2/ResourceTypes/{id}", get(discovery::resource_type)),
        route("GET", "/scim/v2/Schemas", get(discovery::schemas)),
        route("GET", "/scim/v2/Schemas/{id}", get(discovery::schema)),
        route("POST", "/scim/v2/.search", post(search::everything)),
        route("GET", "/scim/v2/Users", get(users::list)),
        route("POST", "/scim/v2/Users", post(users::create)),
        route("POST", "/scim/v2/Users/.search", post(users::search)),
        route("GET", "/scim/v2/Users/{id}", get(users::show)),
        route("PUT", "/scim/v2/Users/{id}", put(users::replace)),
        route("PATCH", "/scim/v2/Users/{id}", patch(users::patch_one)),
        route("DELETE", "/scim/v2/Users/{id}", delete(users::remove)),
        route("GET", "/scim/v2/Groups", get(groups::list)),
        route("POST", "/scim/v2/Groups", post(groups::create)),
        route("POST", "/scim/v2/Groups/.search", post(groups::search)),
        route("GET", "/scim/v2/Groups/{id}", get(groups::show)),
        route("PUT", "/scim/v2/Groups/{id}", put(groups::replace)),
        route("PATCH", "/scim/v2/Groups/{id}", patch(groups::patch_one)),
        route("DELETE", "/scim/v2/Groups/{id}", delete(groups::remove)),
    ]
}

/// A refusal of ours in SCIM's words.
pub(crate) fn in_its_words(refusal: &Refusal) -> Response {
    let (status, _, title, allowed) = refusal.parts();
    let detail = allowed.map_or_else(|| title.to_owned(), |allowed| format!("{title}; allowed: {allowed}"));
    answer(status, &daam_scim::body(status.as_u16(), None, &detail))
}

/// The guard of every other surface, its refusals in SCIM's words.
pub(crate) async fn guard(state: State<(Arc<App>, Who)>, request: Request, next: Next) -> Response {
    let response = guard::guard(state, request, next).await;
    match response.extensions().get::<Refusal>() {
        Some(refusal) => {
            let mut told = in_its_words(refusal);
            let (parts, _) = response.into_parts();
            // Whatever the guard put there, such as how to authenticate, stays.
            for (name, value) in &parts.headers {
                if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
                    told.headers_mut().insert(name.clone(), value.clone());
                }
            }
            told
        }
        None => response,
    }
}

/// Why a request is refused.
pub(crate) enum Refused {
    Scim(ScimError),
    Ours(Refusal),
}

impl From<ScimError> for Refused {
    fn from(error: ScimError) -> Self {
        Self::Scim(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Scim(error) => {
                let status = StatusCode::from_u16(error.kind().status()).unwrap_or(StatusCode::BAD_REQUEST);
                answer(status, &error.body())
            }
            Self::Ours(refusal) => refusal.into_response(),
        }
    }
}

/// A name or group of ours that cannot be.
fn unfit(refusal: &Refusal) -> ScimError {
    ScimError::new(Kind::InvalidValue, refusal.to_string())
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    (status, [kind], body.to_string()).into_response()
}

/// One resource, with its place and version.
fn one(status: StatusCode, schema: &Schema, resource: Object, only: &Projection) -> Response {
    let meta = |name: &str| resource.get("meta").and_then(|meta| meta.get(name)).and_then(Value::as_str);
    let headers = [(header::ETAG, meta("version")), (header::LOCATION, meta("location"))];
    let headers: Vec<_> = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value?).ok()?)))
        .collect();
    let mut response = answer(status, &Value::Object(only.apply(schema, resource)));
    response.headers_mut().extend(headers);
    response
}

/// A part of what was found, and how many there are.
fn listing(
    schema: &Schema,
    query: &Query,
    (total, found): (usize, Vec<Object>),
) -> Result<Response, Refused> {
    let only = query.projection()?;
    let shown: Vec<Value> =
        found.into_iter().map(|object| Value::Object(only.apply(schema, object))).collect();
    Ok(answer(StatusCode::OK, &query.page().answer(total, &shown)))
}

/// Where SCIM is, as clients are told.
fn base(app: &App) -> String {
    app.base().url("/scim/v2")
}

fn meta(app: &App, schema: &Schema, id: &str, (created, changed): (i64, i64)) -> Meta {
    let location = format!("{}{}/{id}", base(app), schema.endpoint);
    Meta { id: id.to_owned(), created: rfc3339(created), changed: rfc3339(changed), location }
}

fn query(request: Option<&str>) -> Result<Query, ScimError> {
    let pairs: Vec<(String, String)> =
        reqwest::Url::parse(&format!("http://x/?{}", request.unwrap_or_default()))
            .map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default();
    Query::of_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn read(RawBody(bytes): &RawBody) -> Result<Value, ScimError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| ScimError::new(Kind::InvalidSyntax, "the request body is not JSON"))
}

/// Whether the version a change was made for is still there.
fn still(headers: &HeaderMap, present: &Object) -> Result<(), ScimError> {
    let wanted = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    match (wanted, version(present)) {
        (Some(wanted), Some(version)) if !names_version(wanted, version) => {
            Err(ScimError::new(Kind::Changed, format!("it was changed; its version is {version}")))
        }
        _ => Ok(()),
    }
}

/// Whether the client has it already.
fn unchanged(headers: &HeaderMap, present: &Object) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| version(present).is_some_and(|version| names_version(known, version)))
}

fn missing(schema: &Schema, id: &str) -> ScimError {
    ScimError::new(Kind::Missing, format!("there is no {} `{}`", schema.name, crate::name::shown(id)))
}

/// What was done, or why not.
async fn done<T>(
    app: &App,
    by: &ScimAuth,
    schema: &Schema,
    id: &str,
    stored: ScimStored<T>,
) -> Result<T, ScimError> {
    let taken = |attribute: &str| {
        ScimError::new(Kind::Uniqueness, format!("another {} has this `{attribute}`", schema.name))
    };
    match stored {
        ScimStored::Done(done) => {
            app.changed(by.scope()).await;
            Ok(done)
        }
        ScimStored::Missing => Err(missing(schema, id)),
        ScimStored::Taken(attribute) => Err(taken(attribute)),
        ScimStored::LastAdmin => Err(ScimError::new(
            Kind::Mutability,
            "this is the last enabled admin; make another member an admin first, in the console",
        )),
        ScimStored::NoMember(id) => {
            let detail = format!("there is no User `{}` to be a member", crate::name::shown(&id));
            Err(ScimError::new(Kind::InvalidValue, detail))
        }
    }
}
