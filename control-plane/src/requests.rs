//! Access requests. What may be asked for, by whom and who decides is what the signed bundle declares; who said what is
//! kept in the store; what follows from both is decided in [`decide`] without either. None of it gives anybody access: the
//! agent holds the same bundle, judges every grant again, and keeps the times itself.

use crate::app::App;
use crate::name::shown;
use crate::problem::Refusal;
use daam_api::v1;
use daam_catalog::Catalog;
use daam_store::{
    AccessRequest, Act, Change, NewRequest, Role, TenantScope, UserAuth, Waiting, new_request_id,
};
use std::collections::BTreeMap;

pub(crate) mod decide;
mod declared;
pub(crate) mod notices;
mod refusal;
#[cfg(test)]
mod tests;
mod view;

use decide::Doing;
pub(crate) use decide::PENDING_SECONDS;
use declared::Declared;

/// Requests of one person that may wait at once.
const MOST_WAITING: i64 = 50;
/// Two decisions at once are rare; three in a row are a fault.
const TRIES: usize = 8;

/// Which requests to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// The caller's own.
    Mine,
    /// Those that wait for the caller's word.
    Waiting,
    /// Everybody's.
    All,
}

/// What is declared, read once per database and request.
struct Declarations<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    users: Vec<v1::User>,
    read: BTreeMap<String, Declared>,
}

impl<'a> Declarations<'a> {
    async fn of(app: &'a App, scope: &'a TenantScope) -> Result<Self, Refusal> {
        Ok(Self { app, scope, users: app.db().users(scope).await?, read: BTreeMap::new() })
    }

    async fn database(&mut self, database: &str) -> Result<&Declared, Refusal> {
        if !self.read.contains_key(database) {
            let bundle = self.app.db().bundle(self.scope, database).await?;
            let declared = Declared::of(bundle.as_ref().map(|bundle| bundle.bytes.as_slice()), &self.users);
            self.read.insert(database.to_owned(), declared);
        }
        Ok(self.read.entry(database.to_owned()).or_default())
    }
}

/// Whether the role sees every request of the organization.
pub(crate) fn sees_all(role: Role) -> bool {
    role.oversees() || role == Role::Approver
}

/// What the caller may ask for on a database.
pub(crate) async fn requestable(
    app: &App,
    user: &UserAuth,
    database: &str,
) -> Result<Vec<v1::Requestable>, Refusal> {
    known(app, user.scope(), database).await?;
    let mut declarations = Declarations::of(app, user.scope()).await?;
    Ok(declarations.database(database).await?.requestable(user.user_id()))
}

/// Stores a request, if what it asks for can be had at all.
pub(crate) async fn ask(
    app: &App,
    user: &UserAuth,
    new: &v1::NewAccessRequest,
) -> Result<v1::AccessRequest, Refusal> {
    let (scope, now) = (user.scope(), app.now());
    known(app, scope, &new.database).await?;
    let wanted_start = new.starts_at.as_deref().map(decide::start).transpose()?;
    let catalog = match &new.what {
        daam_api::link::AccessAsked::Policy { .. } => None,
        daam_api::link::AccessAsked::AdHoc { .. } => Some(catalog(app, scope, &new.database).await?),
    };
    let mut declarations = Declarations::of(app, scope).await?;
    let declared = declarations.database(&new.database).await?;
    let asked = decide::Asked {
        what: &new.what,
        seconds: new.seconds,
        wanted_start,
        reason: &new.reason,
        catalog: catalog.as_ref(),
    };
    let (name, seconds) = decide::may_ask(declared, user.user_id(), &asked, now)?;
    let id = new_request_id();
    let request = NewRequest {
        id: &id,
        database: &new.database,
        name,
        asked: &new.what,
        reason: new.reason.trim(),
        seconds,
        wanted_start,
    };
    let about =
        notices::About { id: &id, database: &new.database, name, requester: user.email(), org: scope.org() };
    let approvers = declared.approvers_of(&new.what, user.user_id());
    let told = notices::asked(app, &about, &approvers);
    let waiting = Waiting { most: MOST_WAITING, since: now.saturating_sub(PENDING_SECONDS) };
    if !app.db().ask_for_access(user, &request, (waiting, &told), now).await? {
        return Err(Refusal::conflict(
            "request.too-many",
            format!("{MOST_WAITING} requests of yours wait already"),
        )
        .allowed("another one once some are decided, or withdrawn with `daam request end ID`"));
    }
    app.outbox().notify_one();
    find(app, user, &id).await
}

/// Does something with a request.
pub(crate) async fn act(
    app: &App,
    user: &UserAuth,
    id: &str,
    doing: &Doing,
) -> Result<v1::AccessRequest, Refusal> {
    let (scope, now) = (user.scope(), app.now());
    for _ in 0..TRIES {
        let request = app.db().access_request(scope, id).await?.ok_or_else(|| unknown(id))?;
        let mut declarations = Declarations::of(app, scope).await?;
        let declared = declarations.database(&request.database).await?;
        let actor = decide::Actor { user_id: user.user_id(), role: user.role() };
        if !decide::sees(declared, &request, actor) {
            return Err(unknown(id));
        }
        let change = decide::decide(declared, &request, actor, doing, now)?;
        let told = told(app, user, declared, &request, &change);
        if app.db().change_request(user, &request, (&change, told.as_ref()), now).await? {
            app.outbox().notify_one();
            app.changed(scope).await;
            return find(app, user, id).await;
        }
    }
    Err(Refusal::conflict("request.busy", "the request was changed by others again and again")
        .allowed("the same, later"))
}

fn told(
    app: &App,
    user: &UserAuth,
    declared: &Declared,
    request: &AccessRequest,
    change: &Change,
) -> Option<daam_store::Notice> {
    let about = notices::About {
        id: &request.id,
        database: &request.database,
        name: &request.name,
        requester: &request.email,
        org: user.scope().org(),
    };
    match change.act {
        Act::Extend => {
            let approvers = declared.approvers_of(&request.asked, &request.user_id);
            Some(notices::extension_asked(app, &about, &approvers))
        }
        Act::Approve if !change.told => None,
        Act::Approve | Act::Deny | Act::End => {
            let own = user.user_id() == request.user_id;
            Some(notices::decided(app, &about, change, own))
        }
    }
}

/// One request, if the caller may see it.
pub(crate) async fn find(app: &App, user: &UserAuth, id: &str) -> Result<v1::AccessRequest, Refusal> {
    let request = app.db().access_request(user.scope(), id).await?.ok_or_else(|| unknown(id))?;
    let mut declarations = Declarations::of(app, user.scope()).await?;
    let declared = declarations.database(&request.database).await?;
    let actor = decide::Actor { user_id: user.user_id(), role: user.role() };
    if !decide::sees(declared, &request, actor) {
        return Err(unknown(id));
    }
    Ok(view::view(declared, &request, actor, app.now()))
}

/// Requests, latest first, before the one named.
pub(crate) async fn list(
    app: &App,
    user: &UserAuth,
    show: Show,
    (before, most): (Option<&str>, u32),
) -> Result<Vec<v1::AccessRequest>, Refusal> {
    let (scope, now) = (user.scope(), app.now());
    let actor = decide::Actor { user_id: user.user_id(), role: user.role() };
    let found = match show {
        Show::Mine => app.db().access_requests(scope, Some(user.user_id()), (before, most)).await?,
        Show::All => {
            if !sees_all(user.role()) {
                return Err(refusal::not_all());
            }
            app.db().access_requests(scope, None, (before, most)).await?
        }
        Show::Waiting => {
            let since = now.saturating_sub(decide::LONGEST_WAIT_SECONDS);
            let mut found = app.db().undecided_requests(scope, (since, now)).await?;
            found.retain(|request| before.is_none_or(|before| request.id.as_str() < before));
            found
        }
    };
    let mut declarations = Declarations::of(app, scope).await?;
    let mut shown = Vec::new();
    for request in found {
        let declared = declarations.database(&request.database).await?;
        if show != Show::Waiting || decide::waits_for(declared, &request, actor, now) {
            shown.push(view::view(declared, &request, actor, now));
        }
    }
    shown.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(shown)
}

async fn known(app: &App, scope: &TenantScope, database: &str) -> Result<(), Refusal> {
    if app.db().databases(scope, 0).await?.iter().any(|known| known.name == database) {
        return Ok(());
    }
    Err(Refusal::missing("database.unknown", format!("there is no database `{}`", shown(database)))
        .allowed("one that `daam databases` lists"))
}

/// What the agent reported: the part of the database that is in scope.
async fn catalog(app: &App, scope: &TenantScope, database: &str) -> Result<Catalog, Refusal> {
    let reported = app.db().schema(scope, database).await?.ok_or_else(|| {
        Refusal::conflict(
            "request.no-schema",
            format!("no agent has reported the tables of `{database}` yet"),
        )
        .allowed("this once its agent has connected, or a policy that can be asked for")
    })?;
    let value =
        serde_json::from_str(&reported).map_err(|error| Refusal::internal("read a schema report", &error))?;
    daam_catalog::snapshot::from_json(&value)
        .map_err(|error| Refusal::internal("read a schema report", &error))
}

fn unknown(id: &str) -> Refusal {
    Refusal::missing("request.unknown", format!("there is no request `{}` that you may see", shown(id)))
        .allowed("an id from `daam requests`")
}
