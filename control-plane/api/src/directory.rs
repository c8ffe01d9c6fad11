//! What a directory is known by: whoever was told another one cannot pass it off as ours.

use crate::link::DirectoryUser;
use sha2::{Digest as _, Sha256};

/// What a person's entry is known by.
pub type EntryDigest = [u8; 32];

/// Of one entry, as it is written in messages.
pub fn entry(user: &DirectoryUser) -> EntryDigest {
    // Texts, truth values and maps of JSON: it can be written.
    Sha256::digest(serde_json::to_vec(user).unwrap_or_default()).into()
}

/// Of a whole directory: its entries' in the order of their ids, lower-case hex.
pub fn whole<'a>(entries: impl Iterator<Item = &'a EntryDigest>) -> String {
    let mut all = Sha256::new();
    entries.for_each(|entry| all.update(entry));
    format!("{:x}", all.finalize())
}
