//! What people wrote, bounded and salted.

use crate::hash::Hash;
use serde::{Deserialize, Serialize};

const DOMAIN: &str = "daam agent audit detail v1";

/// Texts of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Random, so that a withheld detail cannot be guessed from its seal.
    salt: String,
    /// The statement without literals and comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The statement as it came, where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// Why something was refused or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
}

impl Detail {
    /// Longest text kept, in bytes, the mark of its cut apart.
    pub const LONGEST_TEXT: usize = 4096;
    /// Longest reason kept.
    pub const LONGEST_REASON: usize = 1024;
    /// Longest name of an application kept.
    pub const LONGEST_NAME: usize = 128;

    /// With nothing in it yet.
    pub fn salted(salt: [u8; 16]) -> Self {
        let salt = u128::from_be_bytes(salt);
        Self { salt: format!("{salt:032x}"), ..Self::default() }
    }

    /// With a statement's text, cut if it is long.
    #[must_use]
    pub fn with_text(self, text: Option<&str>) -> Self {
        Self { text: text.map(|text| shorten(text, Self::LONGEST_TEXT)), ..self }
    }

    /// With the text as it came, cut if it is long.
    #[must_use]
    pub fn with_raw(self, raw: Option<&str>) -> Self {
        Self { raw: raw.map(|raw| shorten(raw, Self::LONGEST_TEXT)), ..self }
    }

    /// With a reason, cut if it is long.
    #[must_use]
    pub fn with_reason(self, reason: Option<&str>) -> Self {
        Self { reason: reason.map(|reason| shorten(reason, Self::LONGEST_REASON)), ..self }
    }

    /// With the application's name, cut if it is long.
    #[must_use]
    pub fn with_application(self, name: Option<&str>) -> Self {
        Self { application: name.map(|name| shorten(name, Self::LONGEST_NAME)), ..self }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.text.is_none() && self.raw.is_none() && self.reason.is_none() && self.application.is_none()
    }

    /// The statement without literals.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The statement as it came.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Why.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What the client calls itself.
    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }

    pub(crate) fn seal(text: &str) -> Hash {
        Hash::of(DOMAIN, text)
    }
}

/// Room for the mark of a cut, so that a text that was cut is not cut again.
const MARK: usize = 40;

/// A text of about `most` bytes, and if it was longer, how long it was.
pub fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most.saturating_add(MARK) {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… [{} bytes]", text.get(..end).unwrap_or_default(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_how_long_it_was() {
        let long = "hä".repeat(20);
        assert_eq!(shorten(&long, 3), "hä… [60 bytes]");
        assert_eq!(shorten(&long, 2), "h… [60 bytes]");
        assert_eq!(shorten(&long, 20), long);
        assert_eq!(shorten(&long, 0), "… [60 bytes]");
        let cut = shorten(&"x".repeat(100_000), 4096);
        assert_eq!(shorten(&cut, 4096), cut);
    }
}
