//! Everything that is asked for when a page is made. The database is asked within a bounded time; where it does not answer,
//! what is counted there is left out, and the page says so.

use super::families as f;
use super::text::Page;
use super::{Answers, OTHER};
use crate::app::App;
use crate::keys;
use crate::readiness;
use crate::requests::PENDING_SECONDS;
use daam_identity::certificate::last_second_of_pem;
use daam_store::{Backlog, Counted, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// For everything the database is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long what it counted is everybody's.
const RECENT_SECONDS: i64 = 5;

pub(super) async fn page(app: &App) -> String {
    let mut page = Page::default();
    page.family(f::BUILD);
    page.sample(f::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one(f::READY, u8::from(readiness::check(app).await.is_ok()));
    page.one(f::DRAINING, u8::from(app.readiness().is_draining()));
    requests(app, &mut page);
    pushes(app, &mut page);
    page.one(f::DATABASE_UP, u8::from(readiness::database(app).await));
    match timeout(PATIENCE, recently_stored(app)).await {
        Ok(Ok(found)) => counted(app, &found, &mut page),
        Ok(Err(error)) => tracing::warn!(%error, "metrics are without what the database counts"),
        Err(_) => tracing::warn!("metrics are without what the database counts: it took too long"),
    }
    of_this_process(app, &mut page);
    page.done()
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn requests(app: &App, page: &mut Page) {
    let metrics = app.metrics();
    let others = ((OTHER, OTHER), &metrics.others);
    let mut all: Vec<((&str, &str), &Answers)> =
        metrics.answers.iter().map(|(endpoint, answers)| (*endpoint, answers)).chain([others]).collect();
    all.sort_by_key(|((method, route), _)| (*route, *method));
    page.family(f::REQUESTS);
    for ((method, route), answers) in &all {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&answers.classes) {
            let count = read(count);
            if count > 0 {
                let labels = [("method", *method), ("route", *route), ("status", class)];
                page.sample(f::REQUESTS, &labels, count);
            }
        }
    }
    page.family(f::TOOK);
    for ((method, route), answers) in all {
        page.histogram(f::TOOK, &[("method", method), ("route", route)], &answers.took);
    }
    let (credentials, addresses) = app.rates().refused();
    page.family(f::LIMITED);
    page.sample(f::LIMITED, &[("by", "credential")], credentials);
    page.sample(f::LIMITED, &[("by", "address")], addresses);
}

fn pushes(app: &App, page: &mut Page) {
    let metrics = app.metrics();
    page.one(f::LINKS, app.seats().count());
    page.one(f::PUSHED, read(&metrics.pushed));
    page.one(f::PUSHED_BYTES, read(&metrics.pushed_bytes));
    page.family(f::PUSH_DELAY);
    page.histogram(f::PUSH_DELAY, &[], &metrics.push_delay);
}

/// What the database says.
#[derive(Debug)]
pub(super) struct Stored {
    waiting: Backlog,
    organizations: usize,
    counted: Counted,
    authority_end: Option<i64>,
}

/// The same for everybody who asks within a moment: with many organizations there is much to count.
async fn recently_stored(app: &App) -> Result<Arc<Stored>, StoreError> {
    let mut known = app.metrics().stored.lock().await;
    if let Some((at, stored)) = known.as_ref()
        && (0..RECENT_SECONDS).contains(&app.now().saturating_sub(*at))
    {
        return Ok(Arc::clone(stored));
    }
    let found = Arc::new(stored(app).await?);
    *known = Some((app.now(), Arc::clone(&found)));
    Ok(found)
}

async fn stored(app: &App) -> Result<Stored, StoreError> {
    let (db, now) = (app.db(), app.now());
    let waiting = db.backlog().await?;
    let organizations = db.every_organization().await?;
    let mut sum = Counted::default();
    let mut authority_end: Option<i64> = None;
    for scope in &organizations {
        let one = db.counted(scope, (now.saturating_sub(PENDING_SECONDS), now)).await?;
        sum.users = sum.users.saturating_add(one.users);
        sum.web_sessions = sum.web_sessions.saturating_add(one.web_sessions);
        sum.pending_requests = sum.pending_requests.saturating_add(one.pending_requests);
        sum.connections = sum.connections.saturating_add(one.connections);
        let (_, authorities) = db.authorities(scope).await?;
        // The one that signs now has to last; what it replaced goes anyway.
        let issuing = keys::issuing(&authorities);
        let end = issuing.and_then(|issuing| last_second_of_pem(&issuing.certificate));
        authority_end = authority_end.into_iter().chain(end).min();
    }
    Ok(Stored { waiting, organizations: organizations.len(), counted: sum, authority_end })
}

fn counted(app: &App, found: &Stored, page: &mut Page) {
    let Stored { waiting, organizations, counted, authority_end } = found;
    let age = |since: Option<i64>| since.map_or(0, |since| app.now().saturating_sub(since).max(0));
    page.one(f::ORGANIZATIONS, organizations);
    page.one(f::USERS, counted.users);
    page.one(f::CONNECTIONS, counted.connections);
    page.one(f::WEB_SESSIONS, counted.web_sessions);
    page.one(f::PENDING, counted.pending_requests);
    page.one(f::NOTICES, waiting.notices);
    page.one(f::NOTICE_AGE, age(waiting.oldest_notice));
    page.one(f::NOTICES_LOST, waiting.notices_given_up);
    page.one(f::EXPORTS, waiting.exports);
    page.one(f::EXPORTS_FAILING, waiting.exports_failing);
    page.one(f::EXPORT_BACKLOG, waiting.export_backlog);
    page.one(f::UNSIGNED, age(waiting.unsigned_since));
    if let Some(end) = authority_end {
        page.one(f::CA_END, end);
    }
}

fn of_this_process(app: &App, page: &mut Page) {
    let metrics = app.metrics();
    page.one(f::DELIVERED, read(&metrics.notices_delivered));
    page.one(f::UNDELIVERED, read(&metrics.notices_failed));
    page.one(f::EXPORTED_AT, metrics.exported_at.load(Ordering::Relaxed));
    page.one(f::EXPORT_FAILURES, read(&metrics.exports_failed));
    page.one(f::BROKEN, read(&metrics.audits_broken));
    let pool = app.db().pool_use();
    page.family(f::POOL);
    page.sample(f::POOL, &[("state", "used")], pool.open.saturating_sub(pool.idle));
    page.sample(f::POOL, &[("state", "idle")], pool.idle);
    page.one(f::POOL_MOST, pool.most);
    page.one(f::DATABASE_ERRORS, StoreError::failed_queries());
    if let Some(files) = app.tls_files() {
        if let Some(end) = files.not_after() {
            page.one(f::TLS_END, end);
        }
        page.one(f::TLS_BROKEN, u8::from(files.is_broken()));
    }
}
