//! Column types as policies reason about them.

use serde::{Deserialize, Serialize};

/// A column's type: the text PostgreSQL prints for it and the class masks are chosen by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataType {
    /// Fully qualified SQL, usable in a cast, e.g. `character varying(40)` or `public.mood`.
    pub sql: String,
    /// What masks and filters may assume about it.
    pub class: TypeClass,
}

/// The classes masks and filters distinguish. Anything unknown is [`TypeClass::Other`]: only `null`-like masks fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TypeClass {
    /// `text`, `character varying`, `character`, `citext`.
    Text,
    /// `uuid`.
    Uuid,
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// `numeric`, `money` excluded.
    Numeric,
    /// `real`, `double precision`.
    Float,
    /// `boolean`.
    Boolean,
    /// `date`.
    Date,
    /// `timestamp without time zone`.
    Timestamp,
    /// `timestamp with time zone`.
    TimestampTz,
    /// `time`, `timetz`, `interval`.
    Time,
    /// `inet`.
    Inet,
    /// `cidr`.
    Cidr,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `bytea`.
    Bytea,
    /// Any array.
    Array,
    /// An enum.
    Enum,
    /// A domain over any of these; its checks may refuse a masked value, so only NULL-like masks fit.
    Domain,
    /// Everything else.
    Other,
}

impl TypeClass {
    /// Whether the text presets (`redact` as `***`, `email`, `hash`, …) apply.
    pub fn is_text_like(self) -> bool {
        self == Self::Text
    }
}
