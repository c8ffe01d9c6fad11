//! What monitoring sees: numbers in Prometheus' text format, on a listener of its own.
//!
//! Numbers only: no organization, no person, no database. Labels have values of this program's own making (the patterns of
//! its routes, methods, classes of status), so that whatever strangers ask for makes no further series.

use crate::app::App;
use crate::routes::table;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

mod families;
mod gather;
mod text;

pub use families::{FAMILIES, Family, Kind};

/// Bounds of latencies, seconds; one more bucket has the rest.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// What is asked for and is no route, or by no method of it.
const OTHER: &str = "other";

/// How long things took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> ([u64; BOUNDS.len() + 1], f64) {
        let buckets = std::array::from_fn(|at| self.buckets.get(at).map_or(0, |n| n.load(Ordering::Relaxed)));
        (buckets, Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64())
    }
}

/// Answers by the class of their status, and how long they took.
#[derive(Debug, Default)]
struct Answers {
    classes: [AtomicU64; 5],
    took: Histogram,
}

/// What is counted as it happens. Everything since this process began.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By method and pattern, of every route there is.
    answers: HashMap<(&'static str, &'static str), Answers>,
    others: Answers,
    stored: Mutex<Option<(i64, Arc<gather::Stored>)>>,
    /// Messages told to agents of their own accord, and their bytes.
    pub(crate) pushed: AtomicU64,
    pub(crate) pushed_bytes: AtomicU64,
    /// From a change to when an agent was told of it.
    pub(crate) push_delay: Histogram,
    pub(crate) notices_delivered: AtomicU64,
    pub(crate) notices_failed: AtomicU64,
    pub(crate) exports_failed: AtomicU64,
    /// When a receiver last took entries, Unix seconds; 0 if none did.
    pub(crate) exported_at: AtomicI64,
    /// Audits that were to be signed and were not whole.
    pub(crate) audits_broken: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let answers =
            table().into_iter().map(|route| ((route.method, route.path), Answers::default())).collect();
        Self {
            answers,
            others: Answers::default(),
            stored: Mutex::default(),
            pushed: AtomicU64::new(0),
            pushed_bytes: AtomicU64::new(0),
            push_delay: Histogram::default(),
            notices_delivered: AtomicU64::new(0),
            notices_failed: AtomicU64::new(0),
            exports_failed: AtomicU64::new(0),
            exported_at: AtomicI64::new(0),
            audits_broken: AtomicU64::new(0),
        }
    }
}

/// One more.
pub(crate) fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    fn answered(&self, method: &str, route: &str, status: StatusCode, took: Duration) {
        let answers = self.answers.get(&(method, route)).unwrap_or(&self.others);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = answers.classes.get(class) {
            one_more(count);
        }
        answers.took.observe(took);
    }

    /// Told to an agent; `since` is when what it tells of was changed, if that is known.
    pub(crate) fn told(&self, texts: usize, bytes: usize, since: Option<Instant>) {
        if texts == 0 {
            return;
        }
        self.pushed.fetch_add(u64::try_from(texts).unwrap_or(0), Ordering::Relaxed);
        self.pushed_bytes.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        if let Some(since) = since {
            self.push_delay.observe(since.elapsed());
        }
    }
}

/// Middleware of every route: counts the answer, whatever gave it.
pub(crate) async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    // Answered by the route for `GET`.
    let method = if method == Method::HEAD { Method::GET } else { method };
    app.metrics().answered(method.as_str(), route, response.status(), began.elapsed());
    response
}

/// Serves them, and nothing else.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(show)).with_state(app)
}

async fn show(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], gather::page(&app).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_route_is_one_series_however_often_and_whatever_it_is() {
        let metrics = Metrics::default();
        let series = metrics.answers.len();
        for number in 0..1000 {
            metrics.answered("GET", &format!("/v1/{number}"), StatusCode::NOT_FOUND, Duration::ZERO);
            metrics.answered(&format!("M{number}"), "/v1/users", StatusCode::OK, Duration::ZERO);
        }
        assert_eq!(metrics.answers.len(), series);
        assert_eq!(metrics.others.took.read().0.iter().sum::<u64>(), 2000);
        metrics.answered("GET", "/v1/users", StatusCode::OK, Duration::from_millis(30));
        metrics.answered("GET", "/v1/users", StatusCode::OK, Duration::from_secs(100));
        let users = &metrics.answers[&("GET", "/v1/users")];
        assert_eq!(users.classes[1].load(Ordering::Relaxed), 2);
        let (buckets, sum) = users.took.read();
        assert_eq!((buckets[3], buckets[BOUNDS.len()], sum), (1, 1, 100.03));
    }
}
