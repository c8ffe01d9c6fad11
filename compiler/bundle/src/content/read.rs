//! From serialised structs to checked policies.

use super::wire::{
    WireCeiling, WireGrant, WireGroup, WireMask, WireMaskRule, WireOrigin, WirePolicy, WirePolicySet,
    WireRequest, WireSession, WireSubjects,
};
use super::{ContentError, VERSION};
use crate::statement::MAX_EXACT;
use daam_catalog::Identifier;
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_model::{
    Ceiling, EffectiveMask, Grant, JsonMask, Mask, MaskRule, Origin, Policy, PolicySet, RequestTerms,
    SessionLimits, Subjects,
};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn policy_set(wire: WirePolicySet) -> Result<PolicySet, ContentError> {
    if wire.version != VERSION {
        return Err(ContentError::Version(wire.version));
    }
    require(!wire.database.is_empty(), "database", "name", "a name is")?;
    for WireGroup { name, members } in &wire.groups {
        require(!name.is_empty(), "groups", "name", "a name is")?;
        require(members.iter().all(|member| is_address(member)), name, "members", ADDRESS)?;
    }
    let policies = wire.policies.into_iter().map(policy).collect::<Result<Vec<_>, _>>()?;
    let ceilings = wire.ceilings.into_iter().map(ceiling).collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    let all = policies.iter().map(|policy| &policy.name).chain(ceilings.iter().map(|ceiling| &ceiling.name));
    if let Some(twice) = all.into_iter().find(|name| !names.insert(*name)) {
        return Err(ContentError::Duplicate(twice.clone()));
    }
    Ok(PolicySet {
        database: wire.database,
        attributes: wire.attributes.into_iter().map(|attribute| (attribute.name, attribute.kind)).collect(),
        groups: wire.groups.into_iter().map(|group| (group.name, set(group.members))).collect(),
        policies,
        ceilings,
    })
}

const ADDRESS: &str = "lower-case e-mail addresses are";

fn policy(wire: WirePolicy) -> Result<Policy, ContentError> {
    let name = wire.name;
    require(!name.is_empty(), "policies", "name", "a name is")?;
    let subjects = subjects(wire.subjects, &name)?;
    let grants = wire.grants.into_iter().map(|wire| grant(wire, &name)).collect::<Result<_, _>>()?;
    let masks = wire.masks.into_iter().map(|wire| mask_rule(wire, &name)).collect::<Result<_, _>>()?;
    Ok(Policy {
        description: wire.description,
        subjects,
        grants,
        masks,
        session: session(&wire.session, &name)?,
        request: wire.request.map(|wire| request(wire, &name)).transpose()?,
        origin: origin(wire.origin),
        name,
    })
}

fn ceiling(wire: WireCeiling) -> Result<Ceiling, ContentError> {
    let name = wire.name;
    require(!name.is_empty(), "ceilings", "name", "a name is")?;
    let who = subjects(wire.who, &name)?;
    let grants: Vec<Grant> =
        wire.grants.into_iter().map(|wire| grant(wire, &name)).collect::<Result<_, _>>()?;
    let plain = grants.iter().all(|grant| grant.restrict.is_none() && grant.functions.is_empty());
    require(plain, &name, "grants", "in a request ceiling, grants of relations without `restrict` are")?;
    Ok(Ceiling {
        description: wire.description,
        who,
        grants,
        masks: wire.masks.into_iter().map(|wire| mask_rule(wire, &name)).collect::<Result<_, _>>()?,
        terms: request(wire.request, &name)?,
        origin: origin(wire.origin),
        name,
    })
}

fn subjects(wire: WireSubjects, policy: &str) -> Result<Subjects, ContentError> {
    let WireSubjects { everyone, groups, users } = wire;
    require(users.iter().all(|user| is_address(user)), policy, "users", ADDRESS)?;
    Ok(Subjects { everyone, groups: set(groups), users: set(users) })
}

fn grant(wire: WireGrant, policy: &str) -> Result<Grant, ContentError> {
    let mut columns = std::collections::BTreeMap::new();
    for narrowing in wire.columns {
        let names = narrowing.columns.into_iter().map(Identifier::stored).collect::<Result<BTreeSet<_>, _>>();
        let names = names.map_err(|source| ContentError::Name { policy: policy.to_owned(), source })?;
        columns.insert(narrowing.verb.0, names);
    }
    let filter = |text: &Option<String>, field| {
        let usable = text.as_ref().is_none_or(|text| !text.trim().is_empty() && !text.contains('\0'));
        require(usable, policy, field, "an expression is")
    };
    filter(&wire.rows, "rows")?;
    filter(&wire.restrict, "restrict")?;
    Ok(Grant {
        on: relations(&wire.on, policy)?,
        allow: wire.allow.into_iter().map(|verb| verb.0).collect(),
        columns,
        rows: wire.rows,
        restrict: wire.restrict,
        functions: relations(&wire.functions, policy)?,
        origin: origin(wire.origin),
    })
}

fn relations(texts: &[String], policy: &str) -> Result<Vec<RelationPattern>, ContentError> {
    let patterns: Result<_, _> = texts.iter().map(|text| RelationPattern::parse(text)).collect();
    patterns.map_err(|source| ContentError::Pattern { policy: policy.to_owned(), source })
}

fn mask_rule(wire: WireMaskRule, policy: &str) -> Result<MaskRule, ContentError> {
    let on: Result<_, _> = wire.on.iter().map(|text| ColumnPattern::parse(text)).collect();
    Ok(MaskRule {
        on: on.map_err(|source| ContentError::Pattern { policy: policy.to_owned(), source })?,
        with: mask(wire.with, policy)?,
        origin: origin(wire.origin),
    })
}

pub(super) fn mask(wire: WireMask, policy: &str) -> Result<Mask, ContentError> {
    let check = |holds, field, accepted| require(holds, policy, field, accepted);
    Ok(match wire {
        WireMask::Null => Mask::Null,
        WireMask::Redact => Mask::Redact,
        WireMask::Constant(value) => {
            check(!value.contains('\0'), "constant", "a text without NUL characters is")?;
            Mask::Constant(value)
        }
        WireMask::Hash => Mask::Hash,
        WireMask::CreditCard => Mask::CreditCard,
        WireMask::Ssn => Mask::Ssn,
        WireMask::Phone => Mask::Phone,
        WireMask::Name => Mask::Name,
        WireMask::Email => Mask::Email,
        WireMask::Domain => Mask::Domain,
        WireMask::Truncate(unit) => Mask::Truncate(unit.0),
        WireMask::Bucket(n) => {
            check((1..=MAX_EXACT).contains(&n), "bucket", "whole numbers from 1 to 2^53-1 are")?;
            Mask::Bucket(n)
        }
        WireMask::Round(n) => {
            check((1..=MAX_EXACT).contains(&n), "round", "whole numbers from 1 to 2^53-1 are")?;
            Mask::Round(n)
        }
        WireMask::Network(bits) => {
            check(bits <= 128, "network", "0 to 128 bits are")?;
            Mask::Network(bits)
        }
        WireMask::Json { paths, with } => {
            let usable = !paths.is_empty() && paths.iter().all(|path| !path.is_empty());
            check(usable, "json", "at least one path of at least one key is")?;
            check(!matches!(*with, WireMask::Json { .. }), "json", "`null` or a text preset is")?;
            let with = Box::new(EffectiveMask::new(mask(*with, policy)?));
            Mask::Json(JsonMask { paths: paths.into_iter().collect(), with })
        }
        WireMask::Partial { prefix, suffix } => Mask::Partial { prefix, suffix },
    })
}

fn session(wire: &WireSession, policy: &str) -> Result<SessionLimits, ContentError> {
    let limit =
        |milliseconds: Option<u64>| milliseconds.map(|ms| duration(ms, policy, "session")).transpose();
    Ok(SessionLimits {
        max_duration: limit(wire.max_duration_ms)?,
        idle_timeout: limit(wire.idle_timeout_ms)?,
        statement_timeout: limit(wire.statement_timeout_ms)?,
        read_only: wire.read_only,
        procedural: wire.procedural,
    })
}

fn request(wire: WireRequest, policy: &str) -> Result<RequestTerms, ContentError> {
    require(!wire.approvers.is_empty(), policy, "approvers", "at least one group is")?;
    require(wire.count >= 1, policy, "count", "at least 1 is")?;
    Ok(RequestTerms {
        approvers: set(wire.approvers),
        count: wire.count,
        max_duration: duration(wire.max_duration_ms, policy, "request")?,
        reason_required: wire.reason_required,
    })
}

/// A limit of zero would read as "no limit" to PostgreSQL.
fn duration(milliseconds: u64, policy: &str, field: &'static str) -> Result<Duration, ContentError> {
    require((1..=MAX_EXACT).contains(&milliseconds), policy, field, "durations from 1 ms to 2^53-1 ms are")?;
    Ok(Duration::from_millis(milliseconds))
}

fn origin(wire: WireOrigin) -> Origin {
    Origin { file: wire.file, line: wire.line }
}

fn is_address(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn set(list: Vec<String>) -> BTreeSet<String> {
    list.into_iter().collect()
}

fn require(
    holds: bool,
    place: &str,
    field: &'static str,
    accepted: &'static str,
) -> Result<(), ContentError> {
    if holds { Ok(()) } else { Err(ContentError::Value { place: place.to_owned(), field, accepted }) }
}
