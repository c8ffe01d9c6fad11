//! Mask presets and their strictness order.

use std::collections::BTreeSet;

/// A preset as a policy names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mask {
    /// NULL.
    Null,
    /// `***` for text, NULL otherwise.
    Redact,
    /// A fixed value, as SQL literal text (cast to the column's type).
    Constant(String),
    /// Keyed HMAC-SHA-256.
    Hash,
    /// `****-****-****-1111`.
    CreditCard,
    /// `***-**-6789`.
    Ssn,
    /// `***-***-1234`.
    Phone,
    /// `A*** J***`.
    Name,
    /// `j***@e***.com`.
    Email,
    /// `***@example.com`.
    Domain,
    /// Coarser time.
    Truncate(TruncateUnit),
    /// Rounded down to a multiple of n (n ≥ 1).
    Bucket(u64),
    /// Rounded to the nearest multiple of n (n ≥ 1).
    Round(u64),
    /// Network prefix of that many bits.
    Network(u8),
    /// Listed JSON paths masked.
    Json(JsonMask),
    /// First and last characters kept.
    Partial {
        /// Characters kept at the start.
        prefix: u32,
        /// Characters kept at the end.
        suffix: u32,
    },
}

/// The parameters of the `json` preset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonMask {
    /// Paths of object keys, outermost first; `["contact", "email"]`.
    pub paths: BTreeSet<Vec<String>>,
    /// The preset at those paths (a text preset or `null`).
    pub with: Box<EffectiveMask>,
}

/// How coarse a time becomes; later variants show less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TruncateUnit {
    /// To the hour.
    Hour,
    /// To the day.
    Day,
    /// To the month.
    Month,
    /// To the quarter.
    Quarter,
    /// To the year.
    Year,
}

/// One or several masks on the same column, combined: an element of the strictness lattice.
///
/// Elements of different rank are ordered by rank. Within a rank, equal presets combine their parameters and
/// different presets meet in that rank's *conflict*, which is shown as `redact` but keeps the rank, so that
/// combining stays associative.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectiveMask {
    rank: u8,
    mask: Mask,
}
