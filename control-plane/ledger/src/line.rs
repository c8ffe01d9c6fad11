//! A log as a file: JSON lines, the first says where it begins. Where early entries are no longer kept, their hashes follow.
//!
//! ```text
//! {"begin":{"v":1,"org":"calm-otter","org_id":"…","head":null,"frontier":{"size":0,"peaks":[]},"anchor":null}}
//! {"gone":["…","…"]}
//! {"entry":{"seq":1,"at":1800000000,"actor":"…","action":"…","target":"…","detail":"…","hash":"…"}}
//! {"checkpoint":{"checkpoint":{…},"key":"…","signature":"…"}}
//! ```

use crate::checkpoint::Signed;
use crate::entry::{Entry, Hash};
use crate::tree::Frontier;
use serde::{Deserialize, Serialize};

/// The version of the format.
const VERSION: u32 = 1;
/// The longest line that is read.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Begin(Begin),
    /// The hashes of entries that are no longer kept, in order from the first entry on: by them a checkpoint from before the
    /// beginning is compared. They stand behind the beginning.
    Gone(Vec<Hash>),
    /// An entry as it is stored.
    Entry(StoredEntry),
    /// A signed checkpoint, after the entries it speaks for.
    Checkpoint(Signed),
}

/// Where the log begins: at its first entry, or where earlier ones are no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    v: u32,
    /// The organization's slug.
    pub org: String,
    /// The organization's id.
    pub org_id: String,
    /// The hash of the last entry that is no longer kept.
    pub head: Option<Hash>,
    /// The tree of the entries that are no longer kept.
    pub frontier: Frontier,
    /// Who says so: the checkpoint at that place.
    pub anchor: Option<Signed>,
}

/// An entry with the hash that is stored beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// What is said to be its hash.
    pub hash: String,
}

/// Why a line is not one of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Too long.
    #[error("the line is longer than any entry")]
    TooLong,
    /// Not JSON of the right shape.
    #[error(
        "the line is neither the beginning of a log nor an entry nor a checkpoint nor what is left of entries"
    )]
    Unreadable,
    /// Another version.
    #[error("the log has version {0}, known is {VERSION}")]
    Version(u32),
}

impl Begin {
    /// The beginning of a log that is kept from its first entry on.
    pub fn at_the_first(org: &str, org_id: &str) -> Self {
        let (org, org_id) = (org.to_owned(), org_id.to_owned());
        Self { v: VERSION, org, org_id, head: None, frontier: Frontier::default(), anchor: None }
    }

    /// The beginning of a log whose entries up to this checkpoint are no longer kept.
    pub fn after(anchor: Signed, frontier: Frontier) -> Self {
        let said = anchor.unverified();
        let (org, org_id, head) = (said.org.clone(), said.org_id.clone(), said.head);
        Self { v: VERSION, org, org_id, head, frontier, anchor: Some(anchor) }
    }
}

impl Line {
    /// Reads a line.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        if text.len() > LONGEST_LINE {
            return Err(BadLine::TooLong);
        }
        let line: Self = serde_json::from_str(text).map_err(|_| BadLine::Unreadable)?;
        match &line {
            Self::Begin(begin) if begin.v != VERSION => Err(BadLine::Version(begin.v)),
            _ => Ok(line),
        }
    }

    /// Writes it, with its line end.
    pub fn write(&self) -> String {
        // Strings and numbers cannot fail to serialise; an empty line is refused when read.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
