//! The WebSocket under a link. An agent costs little memory here: what is large goes out in frames of a few kibibytes, of
//! what is shared by all who are told it, and is read into as little.

use crate::problem::Refusal;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use daam_wire::{Counted, Duplex, Most};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Read at once.
const READ: usize = 8 * 1024;
/// A silent peer is pinged every tick. What waits is the news of one look, and answers that an agent waits for.
const MOST: Most = Most { waiting: 64, silence: Duration::from_secs(30), stall: Duration::from_secs(20) };

/// An accepted request for a WebSocket that is not one yet.
pub(crate) struct Accepted(OnUpgrade);

/// What to answer to a request for a WebSocket, and what becomes of it then.
pub(crate) fn accept(mut request: Request) -> Result<(Response, Accepted), Refusal> {
    let refused = || {
        Refusal::new(StatusCode::UPGRADE_REQUIRED, "link.websocket", "the agent link is a WebSocket")
            .allowed("a WebSocket upgrade of this request")
    };
    let answer = create_response_with_body(&request, Body::empty).map_err(|_| refused())?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(refused)?;
    Ok((answer, Accepted(upgrade)))
}

impl Accepted {
    /// Once the answer is on its way.
    pub(super) async fn open(self, largest: usize) -> Result<Socket, hyper::Error> {
        let io = Counted::new(TokioIo::new(self.0.await?));
        let counts = io.counts();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(largest))
            .max_frame_size(Some(largest));
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Ok(Duplex::new(socket, counts, MOST))
    }
}

/// An open one.
pub(super) type Socket = Duplex<Counted<TokioIo<Upgraded>>>;
