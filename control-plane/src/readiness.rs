//! Whether requests can be answered now, for whoever sends them here: not while migrations run, not while the database does
//! not answer, and not while the server is about to stop. That it lives is another question (`/healthz`): a database that is
//! away for a while is no reason to kill a server.
//!
//! Strangers may ask, so that the store is asked once for all who ask within a moment, and never waited for longer than
//! [`PATIENCE`].

use crate::app::App;
use crate::problem::Refusal;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tower_service::Service as _;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long one answer of the store is everybody's.
const RECENT: Duration = Duration::from_millis(500);

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    draining: AtomicBool,
    asked: Mutex<Option<(Instant, Option<Trouble>)>>,
}

/// Why the store does not count as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Failed,
    Slow,
}

impl Readiness {
    /// From now on nothing more is to be sent here.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether that was said.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// What is wrong, if something is.
pub(crate) async fn check(app: &App) -> Result<(), Refusal> {
    if app.readiness().is_draining() || app.stop().is_cancelled() {
        return Err(unready("server.draining", "this server is about to stop")
            .allowed("the same at another server over the same database"));
    }
    match store(app).await {
        None => Ok(()),
        Some(Trouble::Failed) => Err(unready("store.unreachable", "the database cannot be reached")
            .allowed("the same once it is back; the server's log has the cause")),
        Some(Trouble::Slow) => {
            let title = format!("the database did not answer within {} seconds", PATIENCE.as_secs());
            Err(unready("store.unreachable", title).allowed("the same once it answers in time"))
        }
    }
}

/// Whether the database answers.
pub(crate) async fn database(app: &App) -> bool {
    store(app).await.is_none()
}

async fn store(app: &App) -> Option<Trouble> {
    // Whoever comes first asks; the others wait for that answer.
    let mut asked = app.readiness().asked.lock().await;
    if let Some((at, answer)) = *asked
        && at.elapsed() < RECENT
    {
        return answer;
    }
    let answer = match timeout(PATIENCE, app.db().ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, cause = std::error::Error::source(&error).map(ToString::to_string), "not ready: the database cannot be reached");
            Some(Trouble::Failed)
        }
        Err(_) => {
            tracing::warn!("not ready: the database does not answer in time");
            Some(Trouble::Slow)
        }
    };
    *asked = Some((Instant::now(), answer));
    answer
}

pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    check(&app).await.map(|()| "ready")
}

fn unready(code: &'static str, title: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, title)
}

/// What is answered from the moment the server listens: first only that it is starting, then by the routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Front(Arc<OnceLock<Router>>);

impl Front {
    /// The routes are there.
    pub(crate) fn open(&self, router: Router) {
        // Said once, by whoever starts the server.
        drop(self.0.set(router));
    }

    /// As it is served.
    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state((self.clone(), starting()))
    }
}

async fn answer(State((front, starting)): State<(Front, Router)>, request: Request<Body>) -> Response {
    let mut router = front.0.get().cloned().unwrap_or(starting);
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// While the store is opened, which is when migrations run.
fn starting() -> Router {
    let starting = async || {
        unready(
            "server.starting",
            "this server is starting: it opens the database, which may take migrations",
        )
        .allowed("the same once `/readyz` answers 200")
        .into_response()
    };
    Router::new().route("/healthz", get(async || "ok")).fallback(starting)
}
