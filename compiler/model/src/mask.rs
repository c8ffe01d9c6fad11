//! Mask presets and their strictness order.
//!
//! Combining masks is a join of a finite lattice: commutative, associative, idempotent, and never weaker than
//! an input. Refused by construction: a mask that does not fit its column's type hides the whole value.

pub(crate) mod constant;

use daam_catalog::TypeClass;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A preset as a policy names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JsonMask {
    /// Paths of object keys, outermost first; `["contact", "email"]`.
    pub paths: BTreeSet<Vec<String>>,
    /// The preset at those paths (a text preset or `null`).
    pub with: Box<EffectiveMask>,
}

/// How coarse a time becomes; later variants show less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectiveMask {
    rank: u8,
    mask: Mask,
}

impl EffectiveMask {
    /// A mask as one rule writes it.
    pub fn new(mask: Mask) -> Self {
        Self { rank: mask.rank(), mask }
    }

    /// How strict it is; a higher rank beats every lower one.
    pub fn rank(&self) -> u8 {
        self.rank
    }

    /// The preset that is shown: `redact` for a conflict.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Whether different presets of one rank met here.
    pub fn is_conflict(&self) -> bool {
        self.mask == Mask::Redact && self.rank != Mask::Redact.rank()
    }

    /// Whether this is at least as strict as `other`.
    pub fn covers(&self, other: &Self) -> bool {
        &self.join(other) == self
    }

    /// The least strict element that is at least as strict as both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        match self.rank.cmp(&other.rank) {
            std::cmp::Ordering::Greater => self.clone(),
            std::cmp::Ordering::Less => other.clone(),
            std::cmp::Ordering::Equal => {
                Self { rank: self.rank, mask: self.mask.join_same_rank(&other.mask) }
            }
        }
    }

    /// What is really applied to a column of that class.
    pub fn fit(&self, class: TypeClass) -> Mask {
        if self.mask.fits(class) { self.mask.clone() } else { Mask::Null }
    }

    /// The element a rule contributes to a column of that class. A preset that does not fit counts as `null`
    /// *before* it is combined; otherwise a fitting preset of higher rank would show more than the rule alone.
    #[must_use]
    pub fn fitted(&self, class: TypeClass) -> Self {
        if self.is_conflict() || self.mask.fits(class) { self.clone() } else { Self::new(Mask::Null) }
    }

    /// The element a column computed from this one inherits.
    #[must_use]
    pub fn derived(&self, class: TypeClass) -> Self {
        // A multiple of n says nothing about another unit: cents computed from euros would show the euros. The last
        // characters of `reverse(card)` are the first ones of the card, and what stands behind its `@` what stood
        // before; a document computed from another has other paths.
        let of_one_form = matches!(
            self.mask,
            Mask::Bucket(_)
                | Mask::Round(_)
                | Mask::CreditCard
                | Mask::Ssn
                | Mask::Phone
                | Mask::Domain
                | Mask::Json(_)
                | Mask::Partial { .. }
        );
        let carries = !of_one_form && self.mask.fits(class);
        if carries { self.clone() } else { Self::new(Mask::Redact).fitted(class) }
    }
}

impl Mask {
    /// The name policies use.
    pub fn preset(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Redact => "redact",
            Self::Constant(_) => "constant",
            Self::Hash => "hash",
            Self::CreditCard => "credit_card",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Name => "name",
            Self::Email => "email",
            Self::Domain => "domain",
            Self::Truncate(_) => "truncate",
            Self::Bucket(_) => "bucket",
            Self::Round(_) => "round",
            Self::Network(_) => "network",
            Self::Json(_) => "json",
            Self::Partial { .. } => "partial",
        }
    }

    /// The rank of the preset.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Null => 100,
            Self::Redact => 90,
            Self::Constant(_) => 85,
            Self::Hash => 70,
            Self::CreditCard => 60,
            Self::Ssn => 59,
            Self::Phone => 58,
            Self::Name => 57,
            Self::Email => 56,
            Self::Domain => 55,
            Self::Truncate(_) | Self::Bucket(_) | Self::Round(_) | Self::Network(_) => 50,
            Self::Json(_) => 45,
            Self::Partial { .. } => 40,
        }
    }

    /// Whether the preset can be applied to a column of that class and hides something there.
    pub fn fits(&self, class: TypeClass) -> bool {
        use TypeClass as C;
        match self {
            Self::Null => true,
            Self::Redact
            | Self::CreditCard
            | Self::Ssn
            | Self::Phone
            | Self::Name
            | Self::Email
            | Self::Domain
            | Self::Partial { .. } => class.is_text_like(),
            Self::Constant(value) => constant::fits(value, class),
            Self::Hash => class.is_text_like() || class == C::Uuid,
            Self::Truncate(unit) => match class {
                C::Timestamp | C::TimestampTz => true,
                // A date truncated to the day is the date.
                C::Date => *unit >= TruncateUnit::Month,
                _ => false,
            },
            Self::Bucket(n) | Self::Round(n) => match class {
                C::Numeric | C::Float => *n >= 1,
                // An integer rounded to a multiple of one is the integer.
                C::Integer => *n >= 2,
                _ => false,
            },
            Self::Network(bits) => matches!(class, C::Inet | C::Cidr) && *bits < 128,
            Self::Json(json) => {
                matches!(class, C::Json | C::Jsonb)
                    && !json.paths.is_empty()
                    && json.paths.iter().all(|path| !path.is_empty())
                    && json.with.mask().fits(C::Text)
            }
        }
    }

    /// Both have the same rank. A conflict is that rank's own top and stays there: were it lifted to `redact`'s
    /// rank, `bucket, round, hash` would depend on the order.
    fn join_same_rank(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Truncate(a), Self::Truncate(b)) => Self::Truncate(*a.max(b)),
            (Self::Bucket(a), Self::Bucket(b)) => Self::Bucket(*a.max(b)),
            (Self::Round(a), Self::Round(b)) => Self::Round(*a.max(b)),
            (Self::Network(a), Self::Network(b)) => Self::Network(*a.min(b)),
            (Self::Partial { prefix: p, suffix: s }, Self::Partial { prefix: q, suffix: t }) => {
                Self::Partial { prefix: *p.min(q), suffix: *s.min(t) }
            }
            (Self::Json(a), Self::Json(b)) => Self::Json(JsonMask {
                paths: a.paths.union(&b.paths).cloned().collect(),
                with: Box::new(a.with.join(&b.with)),
            }),
            (a, b) if a == b => a.clone(),
            _ => Self::Redact,
        }
    }
}

impl TruncateUnit {
    /// All units, finest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Month, Self::Quarter, Self::Year];

    /// The word used in policies and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

impl fmt::Display for Mask {
    /// The preset as a policy writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.preset();
        match self {
            Self::Constant(value) => write!(f, "{{{name}: {value:?}}}"),
            Self::Truncate(unit) => write!(f, "{{{name}: {}}}", unit.as_str()),
            Self::Bucket(n) | Self::Round(n) => write!(f, "{{{name}: {n}}}"),
            Self::Network(bits) => write!(f, "{{{name}: {bits}}}"),
            Self::Partial { prefix, suffix } => {
                write!(f, "{{{name}: {{prefix: {prefix}, suffix: {suffix}}}}}")
            }
            Self::Json(json) => {
                let paths: Vec<String> = json.paths.iter().map(|path| path.join(".")).collect();
                write!(f, "{{{name}: {{paths: [{}], with: {}}}}}", paths.join(", "), json.with.mask())
            }
            _ => f.write_str(name),
        }
    }
}

impl fmt::Display for EffectiveMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mask.fmt(f)
    }
}

#[cfg(test)]
pub(crate) mod tests;
