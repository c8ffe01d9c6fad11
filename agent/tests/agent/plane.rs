//! A control plane as small as can be: it enrols, and hands the link's messages to the test.

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use daam_api::link::{FromAgent, ToAgent};
use daam_api::v1::{Enrol, Enrolled};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Plane {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    heard: mpsc::UnboundedReceiver<FromAgent>,
    say: mpsc::UnboundedSender<ToAgent>,
    server: JoinHandle<()>,
}

struct Shared {
    ca: CertificateAuthority,
    heard: mpsc::UnboundedSender<FromAgent>,
    say: Mutex<mpsc::UnboundedReceiver<ToAgent>>,
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
        let ca = CertificateAuthority::generate("acme", now()).unwrap();
        let ca_pem = ca.cert_pem().to_owned();
        let (heard_in, heard) = mpsc::unbounded_channel();
        let (say, to_say) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { ca, heard: heard_in, say: Mutex::new(to_say) });
        let router = Router::new()
            .route("/v1/enrol", post(enrol))
            .route("/v1/agent/link", get(link))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, ca_pem, heard, say, server }
    }

    pub(crate) fn say(&self, message: ToAgent) {
        self.say.send(message).unwrap();
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
    Json(request): Json<Enrol>,
) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer once") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let principal = Principal::Agent(AgentPrincipal {
        org: "acme".into(),
        agent_id: "a1".into(),
        database: "shop".into(),
    });
    let csr = request.csr_pem.unwrap();
    let issued = shared.ca.issue(&csr, &principal, now() - 60, now() + 3600).unwrap();
    Json(Enrolled {
        id: "a1".into(),
        org: "acme".into(),
        certificate_pem: Some(issued.pem),
        ca_pem: shared.ca.cert_pem().to_owned(),
        link_token: "link".into(),
        ticket_key: None,
    })
    .into_response()
}

async fn link(State(shared): State<Arc<Shared>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
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
                    if shared.heard.send(serde_json::from_str(&text).unwrap()).is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            message = say.recv() => match message {
                Some(message) => {
                    let text = serde_json::to_string(&message).unwrap();
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                None => return,
            },
        }
    }
}
