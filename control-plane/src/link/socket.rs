//! The WebSocket under a link. An agent costs little memory here: what is large goes out in frames of a few kibibytes, because
//! the library keeps a buffer of the largest frame it ever sent, and is read into as little.

use super::text::Text;
use crate::problem::Refusal;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// The largest frame sent.
const FRAME: usize = 16 * 1024;
/// Read at once.
const READ: usize = 8 * 1024;

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
        let io = TokioIo::new(self.0.await?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(largest))
            .max_frame_size(Some(largest));
        Ok(Socket(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await))
    }
}

/// An open one.
pub(super) struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    pub(super) async fn receive(&mut self) -> Option<Result<Message, Error>> {
        self.0.next().await
    }

    pub(super) async fn say(&mut self, text: &Text) -> Result<(), Error> {
        if text.len() <= FRAME {
            return self.0.send(Message::Text(text.whole())).await;
        }
        let mut kind = Data::Text;
        for (part, last) in text.parts(FRAME) {
            // Flushed each, so that no more than one is in the buffer.
            self.0.send(Message::Frame(Frame::message(part, OpCode::Data(kind), last))).await?;
            kind = Data::Continue;
        }
        Ok(())
    }

    pub(super) async fn ping(&mut self) -> Result<(), Error> {
        self.0.send(Message::Ping(Bytes::new())).await
    }

    pub(super) async fn close(&mut self, code: u16, reason: String) -> Result<(), Error> {
        self.0.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await
    }
}
