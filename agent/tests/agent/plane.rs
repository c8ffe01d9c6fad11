//! A control plane as small as can be: it enrols, issues certificates, hands the link's messages to the test, and keeps
//! every text the agent ever sent it.

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use daam_api::link::{FromAgent, ToAgent};
use daam_api::v1::{AgentCertificateRequest, CertificateIssued, Enrol, Enrolled};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Plane {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    pub(crate) ca: Arc<CertificateAuthority>,
    record: Arc<std::sync::Mutex<Vec<String>>>,
    heard: mpsc::UnboundedReceiver<FromAgent>,
    say: mpsc::UnboundedSender<Message>,
    server: JoinHandle<()>,
}

struct Shared {
    ca: Arc<CertificateAuthority>,
    /// The life of the first certificate.
    life: (i64, i64),
    record: Arc<std::sync::Mutex<Vec<String>>>,
    heard: mpsc::UnboundedSender<FromAgent>,
    say: Mutex<mpsc::UnboundedReceiver<Message>>,
}

impl Shared {
    fn note(&self, text: impl Into<String>) {
        self.record.lock().unwrap().push(text.into());
    }

    fn issue(&self, csr: &str, (not_before, not_after): (i64, i64)) -> String {
        let principal = Principal::Agent(AgentPrincipal {
            org: "acme".into(),
            agent_id: "a1".into(),
            database: "shop".into(),
        });
        self.ca.issue(csr, &principal, not_before, not_after).unwrap().pem
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

impl Plane {
    pub(crate) async fn start() -> Self {
        Self::start_with(now() - 60, now() + 3600).await
    }

    /// With another life of the agent's first certificate.
    pub(crate) async fn start_with(not_before: i64, not_after: i64) -> Self {
        daam_suite_log::keep("agent");
        let ca = Arc::new(CertificateAuthority::generate("acme", now()).unwrap());
        let record = Arc::default();
        let ca_pem = ca.cert_pem().to_owned();
        let (heard_in, heard) = mpsc::unbounded_channel();
        let (say, to_say) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            ca: Arc::clone(&ca),
            life: (not_before, not_after),
            record: Arc::clone(&record),
            heard: heard_in,
            say: Mutex::new(to_say),
        });
        let router = Router::new()
            .route("/v1/enrol", post(enrol))
            .route("/v1/agent/certificate", post(certificate))
            .route("/v1/agent/link", get(link))
            .fallback(elsewhere)
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, ca_pem, ca, record, heard, say, server }
    }

    pub(crate) fn say(&self, message: &ToAgent) {
        self.say_raw(Message::text(serde_json::to_string(message).unwrap()));
    }

    /// Whatever a control plane could come up with.
    pub(crate) fn say_raw(&self, message: Message) {
        self.say.send(message).unwrap();
    }

    /// Everything the agent has sent: request lines, headers and bodies, and the link's messages.
    pub(crate) fn record(&self) -> Vec<String> {
        self.record.lock().unwrap().clone()
    }

    /// Messages that have come and nobody has looked at.
    pub(crate) fn unheard(&mut self) -> Vec<FromAgent> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// The next message that the test is after; others are passed over.
    pub(crate) async fn hear<T>(&mut self, what: &str, wanted: impl Fn(FromAgent) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = wanted(self.heard.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("not heard: {what}"))
    }
}

async fn enrol(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    shared.note(format!("enrol {headers:?} {request}"));
    if headers.get("authorization").is_none_or(|value| value != "Bearer once") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let request: Enrol = serde_json::from_value(request).unwrap();
    Json(Enrolled {
        id: "a1".into(),
        org: "acme".into(),
        certificate_pem: Some(shared.issue(&request.csr_pem.unwrap(), shared.life)),
        ca_pem: shared.ca.cert_pem().to_owned(),
        link_token: "link".into(),
        ticket_key: None,
        authorities: Vec::new(),
    })
    .into_response()
}

async fn certificate(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    shared.note(format!("certificate {headers:?} {request}"));
    if headers.get("authorization").is_none_or(|value| value != "Bearer link") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let request: AgentCertificateRequest = serde_json::from_value(request).unwrap();
    Json(CertificateIssued {
        certificate_pem: shared.issue(&request.csr_pem, (now() - 60, now() + 7200)),
        ca_pem: shared.ca.cert_pem().to_owned(),
        not_after: String::new(),
        authorities: Vec::new(),
    })
    .into_response()
}

/// Nothing else is asked for.
async fn elsewhere(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> StatusCode {
    shared.note(format!("unexpected {} {}", request.method(), request.uri()));
    StatusCode::NOT_FOUND
}

async fn link(State(shared): State<Arc<Shared>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    shared.note(format!("link {headers:?}"));
    if headers.get("authorization").is_none_or(|value| value != "Bearer link") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(move |socket| converse(socket, shared))
}

async fn converse(mut socket: WebSocket, shared: Arc<Shared>) {
    let mut say = shared.say.lock().await;
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    shared.note(text.as_str());
                    if shared.heard.send(serde_json::from_str(&text).unwrap()).is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Binary(bytes))) => shared.note(format!("unexpected {bytes:?}")),
                Some(Ok(other)) => shared.note(format!("{other:?}")),
                _ => return,
            },
            message = say.recv() => match message {
                Some(message) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                None => return,
            },
        }
    }
}
