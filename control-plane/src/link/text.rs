//! A message to agents as it goes out: written once, and shared by all who are told it.

use crate::problem::Refusal;
use daam_api::link::ToAgent;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(Utf8Bytes);

impl Text {
    /// Writes it.
    pub(crate) fn of(message: &ToAgent) -> Result<Self, Refusal> {
        let text = serde_json::to_string(message)
            .map_err(|error| Refusal::internal("write a link message", &error))?;
        Ok(Self(text.into()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn whole(&self) -> Utf8Bytes {
        self.0.clone()
    }
}
