//! One record and its one text form.

use crate::detail::Detail;
use crate::event::Event;
use crate::hash::Hash;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const VERSION: u32 = 1;
/// The longest line that is read.
pub const LONGEST_LINE: usize = 64 * 1024;

const DOMAIN: &str = "daam agent audit v1";

/// A record whose hash fits its content. Made by a [`crate::Chain`], or read from the very text one wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    body: Body,
    hash: Hash,
    detail: Option<Detail>,
}

/// What `hash` is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) v: u32,
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) prev: Hash,
    pub(crate) event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<Hash>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(flatten)]
    body: serde_json::Value,
    hash: Hash,
    detail: Option<Detail>,
}

/// Why a line is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Too long.
    #[error("the line is longer than any record")]
    TooLong,
    /// Not JSON of the right shape.
    #[error("the line is no record")]
    Unreadable,
    /// Another version of the format.
    #[error("the record has version {0}, known is {VERSION}")]
    Version(u32),
    /// It reads, but was not written like that.
    #[error("the line is not as records are written")]
    Rewritten,
    /// The hash does not fit.
    #[error("the record was changed: its hash does not fit")]
    Changed,
    /// The seal does not fit the detail.
    #[error("the detail of the record was changed or removed")]
    DetailChanged,
}

impl Record {
    pub(crate) fn new(seq: u64, at: String, prev: Hash, event: Event, detail: Option<Detail>) -> Self {
        let detail = detail.filter(|detail| !detail.is_empty());
        let seal = detail.as_ref().map(|detail| Detail::seal(&json(detail)));
        let body = Body { v: VERSION, seq, at, prev, event, seal };
        let hash = Hash::of(DOMAIN, &open(&body));
        Self { body, hash, detail }
    }

    /// Its place in the chain.
    pub fn seq(&self) -> u64 {
        self.body.seq
    }

    /// When, RFC 3339 in UTC.
    pub fn at(&self) -> &str {
        &self.body.at
    }

    /// The hash of the record before.
    pub fn prev(&self) -> Hash {
        self.body.prev
    }

    /// Its own hash.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// What happened.
    pub fn event(&self) -> &Event {
        &self.body.event
    }

    /// What people wrote.
    pub fn detail(&self) -> Option<&Detail> {
        self.detail.as_ref()
    }

    /// The whole line, without its line feed.
    pub fn line(&self) -> String {
        match &self.detail {
            Some(detail) => {
                format!("{},\"hash\":\"{}\",\"detail\":{}}}", open(&self.body), self.hash, json(detail))
            }
            None => self.line_without_detail(),
        }
    }

    /// The line for somebody who must not see the detail.
    pub fn line_without_detail(&self) -> String {
        format!("{},\"hash\":\"{}\"}}", open(&self.body), self.hash)
    }

    /// Reads a line that must be whole.
    pub fn parse(line: &str) -> Result<Self, BadRecord> {
        let record = Self::parse_public(line)?;
        if record.body.seal.is_some() != record.detail.is_some() {
            return Err(BadRecord::DetailChanged);
        }
        Ok(record)
    }

    /// Reads a line whose detail may have been withheld.
    pub fn parse_public(line: &str) -> Result<Self, BadRecord> {
        if line.len() > LONGEST_LINE {
            return Err(BadRecord::TooLong);
        }
        let value: Written = serde_json::from_str(line).map_err(|_| BadRecord::Unreadable)?;
        let version = value.body.get("v").and_then(serde_json::Value::as_u64);
        if let Some(version) =
            version.and_then(|version| u32::try_from(version).ok()).filter(|v| *v != VERSION)
        {
            return Err(BadRecord::Version(version));
        }
        let body: Body = serde_json::from_value(value.body).map_err(|_| BadRecord::Unreadable)?;
        let record = Self { body, hash: value.hash, detail: value.detail };
        if record.line() != line {
            return Err(BadRecord::Rewritten);
        }
        if Hash::of(DOMAIN, &open(&record.body)) != record.hash {
            return Err(BadRecord::Changed);
        }
        match (&record.detail, record.body.seal) {
            (Some(detail), seal) if seal != Some(Detail::seal(&json(detail))) => {
                Err(BadRecord::DetailChanged)
            }
            _ => Ok(record),
        }
    }
}

/// The body's text without its closing brace.
fn open(body: &Body) -> String {
    let mut text = json(body);
    text.pop();
    text
}

/// Plain data always has a text; an empty one would not verify.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
