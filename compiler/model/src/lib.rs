//! What a policy says, in types that cannot be wrong.
//!
//! The combining rules live here and nowhere else: the compiler resolves and explains with them, the agent
//! enforces with them, so the two cannot disagree. Nothing here is serialisable; the promised form is the
//! bundle's wire form.
//!
//! *Policy set*: the policies of one database. *Subject*: a person as identity and directory describe them.
//! *Effective policy*: what one subject may do, and see, in one catalogue.

pub mod effective;
pub mod mask;
pub mod policy;
pub mod request;
pub mod subject;

pub use effective::{
    EffectivePolicy, FilterClause, RefusedGrant, RefusedReason, RelationAccess, RowFilter, effective,
};
pub use mask::{EffectiveMask, JsonMask, Mask, TruncateUnit};
pub use policy::{
    Ceiling, Grant, MaskRule, Origin, Policy, PolicySet, RequestTerms, SessionLimits, Subjects, Verb,
};
pub use request::{AskedRelation, AskedRows, Excess};
pub use subject::{AttributeError, AttributeType, AttributeValue, RawAttribute, Subject};
