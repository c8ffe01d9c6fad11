//! The file: magic, length of the envelope, envelope, content.
//!
//! Refused: anything longer than it may be, and anything shorter than it says.

use crate::refused::Refused;

/// The first bytes of every bundle.
pub(crate) const MAGIC: &[u8] = b"DAAMBNDL1\n";
/// The largest envelope.
pub(crate) const MAX_ENVELOPE: usize = 64 * 1024;
/// The largest content.
pub(crate) const MAX_CONTENT: usize = 64 * 1024 * 1024;

/// The two parts of a bundle file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) envelope: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// Takes a file apart without looking inside.
pub(crate) fn split(bytes: &[u8]) -> Result<Parts<'_>, Refused> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Refused::NotABundle)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(Refused::Truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_ENVELOPE {
        return Err(Refused::TooLarge { what: "envelope", size: length, limit: MAX_ENVELOPE });
    }
    let (envelope, content) = rest.split_at_checked(length).ok_or(Refused::Truncated)?;
    if content.len() > MAX_CONTENT {
        return Err(Refused::TooLarge { what: "content", size: content.len(), limit: MAX_CONTENT });
    }
    Ok(Parts { envelope, content })
}

/// Puts a file together; `None` if the envelope is longer than any reader accepts.
pub(crate) fn join(envelope: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(envelope.len()).ok().filter(|_| envelope.len() <= MAX_ENVELOPE)?;
    Some([MAGIC, length.to_be_bytes().as_slice(), envelope, content].concat())
}
