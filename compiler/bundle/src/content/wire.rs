//! The serialised structs, and how policies become them.
//!
//! Lists of entries instead of maps: a reader of maps keeps the last of two equal keys in silence.

use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_model::{
    AttributeType, Ceiling, Grant, Mask, MaskRule, Origin, Policy, PolicySet, RequestTerms, SessionLimits,
    Subjects, TruncateUnit, Verb,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WirePolicySet {
    pub(super) version: u32,
    pub(super) database: String,
    pub(super) attributes: Vec<WireAttribute>,
    pub(super) groups: Vec<WireGroup>,
    pub(super) policies: Vec<WirePolicy>,
    /// Left out where there is none, so that readers from before know every bundle that does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ceilings: Vec<WireCeiling>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCeiling {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) who: WireSubjects,
    pub(super) grants: Vec<WireGrant>,
    pub(super) masks: Vec<WireMaskRule>,
    pub(super) request: WireRequest,
    pub(super) origin: WireOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireAttribute {
    pub(super) name: String,
    #[serde(rename = "type", with = "AttributeTypeForm")]
    pub(super) kind: AttributeType,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireGroup {
    pub(super) name: String,
    pub(super) members: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WirePolicy {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) subjects: WireSubjects,
    pub(super) grants: Vec<WireGrant>,
    pub(super) masks: Vec<WireMaskRule>,
    pub(super) session: WireSession,
    pub(super) request: Option<WireRequest>,
    pub(super) origin: WireOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireSubjects {
    pub(super) everyone: bool,
    pub(super) groups: Vec<String>,
    pub(super) users: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireGrant {
    pub(super) on: Vec<String>,
    pub(super) allow: Vec<WireVerb>,
    pub(super) columns: Vec<WireNarrowing>,
    pub(super) rows: Option<String>,
    pub(super) restrict: Option<String>,
    pub(super) functions: Vec<String>,
    pub(super) origin: WireOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireNarrowing {
    pub(super) verb: WireVerb,
    pub(super) columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMaskRule {
    pub(super) on: Vec<String>,
    pub(super) with: WireMask,
    pub(super) origin: WireOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WireMask {
    Null,
    Redact,
    Constant(String),
    Hash,
    CreditCard,
    Ssn,
    Phone,
    Name,
    Email,
    Domain,
    Truncate(WireUnit),
    Bucket(u64),
    Round(u64),
    Network(u8),
    Json { paths: Vec<Vec<String>>, with: Box<WireMask> },
    Partial { prefix: u32, suffix: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct WireUnit(#[serde(with = "UnitForm")] pub(super) TruncateUnit);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct WireVerb(#[serde(with = "VerbForm")] pub(super) Verb);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireSession {
    pub(super) max_duration_ms: Option<u64>,
    pub(super) idle_timeout_ms: Option<u64>,
    pub(super) statement_timeout_ms: Option<u64>,
    pub(super) read_only: Option<bool>,
    pub(super) procedural: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRequest {
    pub(super) approvers: Vec<String>,
    pub(super) count: u32,
    pub(super) max_duration_ms: u64,
    pub(super) reason_required: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireOrigin {
    pub(super) file: String,
    pub(super) line: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AttributeType", rename_all = "snake_case")]
enum AttributeTypeForm {
    Text,
    Uuid,
    Integer,
    Boolean,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Verb", rename_all = "snake_case")]
enum VerbForm {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TruncateUnit", rename_all = "snake_case")]
enum UnitForm {
    Hour,
    Day,
    Month,
    Quarter,
    Year,
}

impl From<&PolicySet> for WirePolicySet {
    fn from(set: &PolicySet) -> Self {
        let mut policies: Vec<&Policy> = set.policies.iter().collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let mut ceilings: Vec<&Ceiling> = set.ceilings.iter().collect();
        ceilings.sort_by(|a, b| a.name.cmp(&b.name));
        let attribute =
            |(name, kind): (&String, &AttributeType)| WireAttribute { name: name.clone(), kind: *kind };
        let group = |(name, members): (&String, &BTreeSet<String>)| WireGroup {
            name: name.clone(),
            members: list(members),
        };
        Self {
            version: super::VERSION,
            database: set.database.clone(),
            attributes: set.attributes.iter().map(attribute).collect(),
            groups: set.groups.iter().map(group).collect(),
            policies: policies.into_iter().map(WirePolicy::from).collect(),
            ceilings: ceilings.into_iter().map(WireCeiling::from).collect(),
        }
    }
}

impl From<&Ceiling> for WireCeiling {
    fn from(ceiling: &Ceiling) -> Self {
        Self {
            name: ceiling.name.clone(),
            description: ceiling.description.clone(),
            who: WireSubjects::from(&ceiling.who),
            grants: ceiling.grants.iter().map(WireGrant::from).collect(),
            masks: ceiling.masks.iter().map(WireMaskRule::from).collect(),
            request: WireRequest::from(&ceiling.terms),
            origin: WireOrigin::from(&ceiling.origin),
        }
    }
}

impl From<&Policy> for WirePolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            name: policy.name.clone(),
            description: policy.description.clone(),
            subjects: WireSubjects::from(&policy.subjects),
            grants: policy.grants.iter().map(WireGrant::from).collect(),
            masks: policy.masks.iter().map(WireMaskRule::from).collect(),
            session: WireSession::from(&policy.session),
            request: policy.request.as_ref().map(WireRequest::from),
            origin: WireOrigin::from(&policy.origin),
        }
    }
}

impl From<&Subjects> for WireSubjects {
    fn from(subjects: &Subjects) -> Self {
        Self { everyone: subjects.everyone, groups: list(&subjects.groups), users: list(&subjects.users) }
    }
}

impl From<&Grant> for WireGrant {
    fn from(grant: &Grant) -> Self {
        Self {
            on: grant.on.iter().map(RelationPattern::to_string).collect(),
            allow: grant.allow.iter().copied().map(WireVerb).collect(),
            columns: grant
                .columns
                .iter()
                .map(|(verb, columns)| WireNarrowing {
                    verb: WireVerb(*verb),
                    columns: columns.iter().map(|column| column.as_str().to_owned()).collect(),
                })
                .collect(),
            rows: grant.rows.clone(),
            restrict: grant.restrict.clone(),
            functions: grant.functions.iter().map(RelationPattern::to_string).collect(),
            origin: WireOrigin::from(&grant.origin),
        }
    }
}

impl From<&MaskRule> for WireMaskRule {
    fn from(rule: &MaskRule) -> Self {
        Self {
            on: rule.on.iter().map(ColumnPattern::to_string).collect(),
            with: WireMask::from(&rule.with),
            origin: WireOrigin::from(&rule.origin),
        }
    }
}

impl From<&Mask> for WireMask {
    fn from(mask: &Mask) -> Self {
        match mask {
            Mask::Null => Self::Null,
            Mask::Redact => Self::Redact,
            Mask::Constant(value) => Self::Constant(value.clone()),
            Mask::Hash => Self::Hash,
            Mask::CreditCard => Self::CreditCard,
            Mask::Ssn => Self::Ssn,
            Mask::Phone => Self::Phone,
            Mask::Name => Self::Name,
            Mask::Email => Self::Email,
            Mask::Domain => Self::Domain,
            Mask::Truncate(unit) => Self::Truncate(WireUnit(*unit)),
            Mask::Bucket(n) => Self::Bucket(*n),
            Mask::Round(n) => Self::Round(*n),
            Mask::Network(bits) => Self::Network(*bits),
            Mask::Json(json) => Self::Json {
                paths: json.paths.iter().cloned().collect(),
                with: Box::new(Self::from(json.with.mask())),
            },
            Mask::Partial { prefix, suffix } => Self::Partial { prefix: *prefix, suffix: *suffix },
        }
    }
}

impl From<&SessionLimits> for WireSession {
    fn from(limits: &SessionLimits) -> Self {
        Self {
            max_duration_ms: limits.max_duration.map(milliseconds),
            idle_timeout_ms: limits.idle_timeout.map(milliseconds),
            statement_timeout_ms: limits.statement_timeout.map(milliseconds),
            read_only: limits.read_only,
            procedural: limits.procedural,
        }
    }
}

impl From<&RequestTerms> for WireRequest {
    fn from(terms: &RequestTerms) -> Self {
        Self {
            approvers: list(&terms.approvers),
            count: terms.count,
            max_duration_ms: milliseconds(terms.max_duration),
            reason_required: terms.reason_required,
        }
    }
}

impl From<&Origin> for WireOrigin {
    fn from(origin: &Origin) -> Self {
        Self { file: origin.file.clone(), line: origin.line }
    }
}

fn list(set: &BTreeSet<String>) -> Vec<String> {
    set.iter().cloned().collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Something to order grants by that depends on all they say.
pub(super) fn grant_key(grant: &Grant) -> String {
    // Plain strings cannot fail to serialise.
    serde_json::to_string(&WireGrant::from(grant)).unwrap_or_default()
}
