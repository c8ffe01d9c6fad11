//! A message to agents as it goes out: written once, and shared by all who are told it.

use crate::problem::Refusal;
use bytes::Bytes;
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

    /// In parts of at most so many bytes, each with whether it is the last. Nothing is copied.
    pub(super) fn parts(&self, most: usize) -> impl Iterator<Item = (Bytes, bool)> + use<> {
        let mut rest = Some(Bytes::from(self.0.clone()));
        std::iter::from_fn(move || {
            let mut left = rest.take()?;
            let part = left.split_to(left.len().min(most));
            let last = left.is_empty();
            rest = (!last).then_some(left);
            Some((part, last))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_message_are_the_message() {
        let text = Text::of(&ToAgent::Freshness { envelope: "äöü".repeat(7) }).unwrap();
        for most in [1, 2, 7, 19, 1000] {
            let parts: Vec<(Bytes, bool)> = text.parts(most).collect();
            let joined: Vec<u8> = parts.iter().flat_map(|(part, _)| part.to_vec()).collect();
            assert_eq!(joined, text.0.as_bytes(), "{most}");
            assert!(parts.iter().all(|(part, _)| part.len() <= most));
            let lasts: Vec<bool> = parts.iter().map(|(_, last)| *last).collect();
            let (last, before) = lasts.split_last().unwrap();
            assert!(*last && before.iter().all(|last| !last), "{most}");
        }
    }
}
