//! Whether an answer signs somebody in. Either the assertion is signed or the whole response; whatever signature is there
//! must hold, and every rule is applied to the one assertion there is.

use crate::message::{from_form, read};
use crate::signature::{children, signed};
use crate::{FORGETTABLE, IdentityProvider, LONGEST_NAME, LONGEST_WAY, NameId, Refused, SKEW, Us};
use chrono::{DateTime, Utc};
use gamlastan::core::assertion::attribute::AttributeValue;
use gamlastan::core::assertion::name_id::NameIdOrEncryptedId;
use gamlastan::core::assertion::types::Assertion as Read;
use gamlastan::core::constants::{NAMEID_EMAIL, NAMEID_TRANSIENT};
use gamlastan::core::identifiers::SamlVersion;
use gamlastan::core::protocol::response::{Response, ResponseRef};
use gamlastan::security::{AssertionValidator, ReplayCache, SecurityConfig, ValidationParams};
use gamlastan::xml::{Document, NodeId, parse_saml};
use std::collections::BTreeMap;

const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// What is encrypted, whatever it is.
const ENCRYPTED: [&str; 4] = ["EncryptedAssertion", "EncryptedID", "EncryptedAttribute", "EncryptedData"];

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// From whom.
    pub provider: &'a IdentityProvider,
    /// For whom.
    pub us: &'a Us,
    /// To what.
    pub request: &'a str,
    /// Unix seconds.
    pub now: i64,
}

/// What a provider vouches for. Only [`response`] makes one.
#[derive(Debug, Clone)]
pub struct Assertion {
    id: String,
    name_id: NameId,
    attributes: BTreeMap<String, Vec<String>>,
    session: Option<String>,
    ends_by: Option<i64>,
    forgettable_at: i64,
}

impl Assertion {
    /// It counts once.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// From when on the id need not be remembered, unix seconds.
    pub fn forgettable_at(&self) -> i64 {
        self.forgettable_at
    }
    /// Whom.
    pub fn name_id(&self) -> &NameId {
        &self.name_id
    }
    /// The provider's own session.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }
    /// When what begins with it ends whatever happens, unix seconds.
    pub fn ends_by(&self) -> Option<i64> {
        self.ends_by
    }
    /// The values of an attribute, by its name.
    pub fn attribute(&self, name: &str) -> &[String] {
        self.attributes.get(name).map_or(&[], Vec::as_slice)
    }
    /// Whether the name is an e-mail address, as the provider says it.
    pub fn is_named_by_email(&self) -> bool {
        self.name_id.format.as_deref() == Some(NAMEID_EMAIL)
    }
}

/// Checks a posted answer.
pub fn response(encoded: &str, expected: &Expected<'_>) -> Result<Assertion, Refused> {
    let xml = from_form(encoded)?;
    let (document, root) = read(&xml)?;
    let assertion = the_assertion(&document, root)?;
    let signed = signed((&xml, &document), &[root, assertion], &expected.provider.certificates())?;
    let response: ResponseRef<'_> =
        parse_saml(&document).map_err(|_| Refused::Form("it is not a response of SAML 2.0"))?;
    let response = response.to_owned();
    let [assertion] = response.assertions.as_slice() else {
        return Err(Refused::Form("it has no assertion"));
    };
    if response.base.version != SamlVersion::V2_0 || assertion.version != SamlVersion::V2_0 {
        return Err(Refused::Form("it is not a response of SAML 2.0"));
    }
    let is_signed = |id: &str| signed.contains(id);
    let config = SecurityConfig {
        clock_skew_seconds: SKEW,
        max_assertion_age_seconds: LONGEST_WAY,
        require_signed_assertions: is_signed(&assertion.id),
        require_signed_responses: !is_signed(&assertion.id),
        ..SecurityConfig::default()
    };
    judged(
        &response,
        assertion,
        (&config, &signed.iter().map(String::as_str).collect::<Vec<_>>()),
        expected,
    )?;
    assertion_of(assertion, expected)
}

/// The one assertion, right below the response; a second one anywhere is somebody else's.
fn the_assertion(document: &Document<'_>, root: NodeId) -> Result<NodeId, Refused> {
    let named =
        |node: NodeId, name: &str| document.element(node).is_some_and(|e| &*e.name.local_name == name);
    if !document.element(root).is_some_and(|element| element.matches_name_ns(PROTOCOL, "Response")) {
        return Err(Refused::Form("it is not a response"));
    }
    let all = document.descendants(root);
    if all.iter().any(|node| ENCRYPTED.iter().any(|name| named(*node, name))) {
        return Err(Refused::Encrypted);
    }
    // Who was not signed in has no assertion, and that is what to be told.
    let status = children(document, root, (PROTOCOL, "Status"));
    let codes = status.iter().flat_map(|status| children(document, *status, (PROTOCOL, "StatusCode")));
    let good = codes.filter_map(|code| document.get_attribute(code, "Value"));
    if good.collect::<Vec<_>>() != ["urn:oasis:names:tc:SAML:2.0:status:Success"] {
        return Err(Refused::Status);
    }
    let anywhere = all.iter().filter(|node| named(**node, "Assertion")).count();
    let below = all.iter().any(|node| named(*node, "Response"));
    match children(document, root, (ASSERTION, "Assertion")).as_slice() {
        [one] if anywhere == 1 && !below => Ok(*one),
        [] => Err(Refused::Form("it has no assertion")),
        _ => Err(Refused::Form("it has more than one assertion")),
    }
}

fn judged(
    response: &Response,
    assertion: &Read,
    (config, signed): (&SecurityConfig, &[&str]),
    expected: &Expected<'_>,
) -> Result<(), Refused> {
    let Expected { provider, us, request, now } = *expected;
    let now = DateTime::<Utc>::from_timestamp(now, 0).ok_or(Refused::Time)?;
    let issuers = response.base.issuer.iter().chain([&assertion.issuer]);
    if !issuers.into_iter().all(|issuer| provider.is(issuer)) {
        return Err(Refused::Issuer);
    }
    // The library lets a slash at the end pass.
    if response.base.destination.as_ref().is_some_and(|destination| *destination != us.acs) {
        return Err(Refused::Destination);
    }
    let params = ValidationParams {
        received_url: &us.acs,
        expected_idp_entity_id: &provider.entity_id,
        sp_entity_id: &us.entity_id,
        acs_url: &us.acs,
        expected_request_id: Some(request),
        client_address: None,
        relay_state: None,
        response_signature_xml: None,
        response_signature_verified: Some(signed.contains(&response.base.id.as_str())),
        verified_signed_ids: signed,
        current_proxy_depth: 0,
        now,
    };
    let once = Once;
    let result =
        AssertionValidator::new(config).with_replay_cache(&once).validate_response(response, &params);
    match result.failures().first() {
        None => Ok(()),
        Some(failed) => Err(refusal(failed.check_number)),
    }
}

/// That an assertion counts once is for the store to say, in the transaction that signs in.
struct Once;

impl ReplayCache for Once {
    fn check_and_insert(&self, _: &str, _: DateTime<Utc>) -> bool {
        true
    }

    fn cleanup(&self) {}
}

/// The library's numbers of its checks.
fn refusal(check: u32) -> Refused {
    match check {
        1 => Refused::Destination,
        2 | 5 => Refused::Issuer,
        3 | 17 => Refused::Request,
        4 | 6..=8 => Refused::Signature("what is signed in it is not what counts"),
        9 | 10 | 16 | 23 | 35 => Refused::Time,
        11..=13 => Refused::Audience,
        14 | 15 | 18 | 19 => Refused::Recipient,
        21 | 22 => Refused::Statement,
        33 => Refused::Status,
        34 => Refused::Form("it has no assertion"),
        _ => Refused::Form("it breaks a rule of the standard"),
    }
}

fn assertion_of(read: &Read, expected: &Expected<'_>) -> Result<Assertion, Refused> {
    let subject = read.subject.as_ref().and_then(|subject| subject.name_id.as_ref());
    let name_id = match subject {
        Some(NameIdOrEncryptedId::NameId(name)) => NameId {
            value: name.value.clone(),
            format: name.format.clone(),
            name_qualifier: name.name_qualifier.clone(),
            sp_name_qualifier: name.sp_name_qualifier.clone(),
        },
        Some(NameIdOrEncryptedId::EncryptedId(_)) => return Err(Refused::Encrypted),
        None => return Err(Refused::Subject("there is no `NameID`")),
    };
    known_again(&name_id, expected)?;
    let [statement] = read.authn_statements.as_slice() else { return Err(Refused::Statement) };
    let session = statement.session_index.clone();
    if session.as_deref().is_some_and(|session| !is_short(session)) || !is_short(&read.id) {
        return Err(Refused::Form("a name in it is too long"));
    }
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for attribute in read.attribute_statements.iter().flat_map(|statement| &statement.attributes) {
        let texts = attribute.values.iter().filter_map(AttributeValue::as_str).map(str::to_owned);
        attributes.entry(attribute.name.clone()).or_default().extend(texts);
    }
    Ok(Assertion {
        id: read.id.clone(),
        name_id,
        attributes,
        session,
        ends_by: statement.session_not_on_or_after.map(|at| at.timestamp()),
        forgettable_at: expected.now.saturating_add(FORGETTABLE),
    })
}

/// A name that is the same at the next sign-in, of this provider, for us.
fn known_again(name: &NameId, expected: &Expected<'_>) -> Result<(), Refused> {
    if name.format.as_deref() == Some(NAMEID_TRANSIENT) {
        return Err(Refused::Subject("its `NameID` is made up anew for every sign-in (transient)"));
    }
    if !is_short(&name.value) || name.value.trim() != name.value {
        return Err(Refused::Subject("its `NameID` is empty, too long or not plain text"));
    }
    let ours = |said: &Option<String>, whose: &str| said.as_deref().is_none_or(|said| said == whose);
    if !ours(&name.name_qualifier, &expected.provider.entity_id)
        || !ours(&name.sp_name_qualifier, &expected.us.entity_id)
    {
        return Err(Refused::Subject("its `NameID` is another provider's, or made for somebody else"));
    }
    Ok(())
}

pub(crate) fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}
