//! What we say ourselves: the question who somebody is, that somebody signed out here, that a notice was heard, and our
//! metadata. Everything that is sent goes by a redirect and is signed.

use crate::{IdentityProvider, LogoutService, NameId, OurKey, Us};
use chrono::{DateTime, TimeDelta, Utc};
use gamlastan::bindings::redirect::{RedirectEncodeParams, redirect_encode};
use gamlastan::bindings::relay_state::RelayState;
use gamlastan::core::assertion::issuer::Issuer;
use gamlastan::core::assertion::name_id::{NameId as Wire, NameIdOrEncryptedId, NameIdPolicy};
use gamlastan::core::constants::{BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, LOGOUT_REASON_USER};
use gamlastan::core::identifiers::SamlVersion;
use gamlastan::core::protocol::logout::{LogoutRequest, LogoutResponse};
use gamlastan::core::protocol::request::{AuthnRequest, RequestBase};
use gamlastan::core::protocol::status::Status;
use gamlastan::crypto::{KeysManager, SamlSigner, build_x509_key_info_from_der};
use gamlastan::metadata::{
    Endpoint, EntityDescriptor, EntityRoles, IndexedEndpoint, KeyDescriptor, RoleDescriptorBase,
    SpSsoDescriptor, SsoDescriptorBase,
};
use gamlastan::xml::SamlSerialize;
use std::sync::Arc;

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// Seconds a notice of ours is good for.
const NOTICE: i64 = 300;
/// What a provider wants to have back is its own business, within reason.
const LONGEST_STATE: usize = 2048;

/// Who sends, with which key, when, and under which id of the message.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Us.
    pub us: &'a Us,
    /// Our key there.
    pub key: OurKey,
    /// The message's id, made by the caller.
    pub id: &'a str,
    /// Unix seconds.
    pub now: i64,
}

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be written")]
pub struct OutgoingError;

impl Outgoing<'_> {
    /// Where to send somebody who wants to sign in; what comes back brings `state` along.
    pub fn sign_in(self, provider: &IdentityProvider, state: &str) -> Result<String, OutgoingError> {
        let request = AuthnRequest {
            base: RequestBase {
                id: self.id.to_owned(),
                version: SamlVersion::V2_0,
                issue_instant: self.time()?,
                destination: Some(provider.sign_in.clone()),
                consent: None,
                issuer: Some(Issuer::entity(&self.us.entity_id)),
                has_signature: false,
            },
            subject: None,
            // Which kind of name is for the provider's admin to say.
            name_id_policy: Some(NameIdPolicy { format: None, sp_name_qualifier: None, allow_create: true }),
            conditions: None,
            requested_authn_context: None,
            scoping: None,
            force_authn: None,
            is_passive: None,
            assertion_consumer_service_index: None,
            assertion_consumer_service_url: Some(self.us.acs.clone()),
            protocol_binding: Some(BINDING_HTTP_POST.to_owned()),
            attribute_consuming_service_index: None,
            provider_name: None,
            extensions: None,
        };
        self.to(&provider.sign_in, &request, (true, Some(state)))
    }

    /// Where to send somebody who signed out here.
    pub fn logout(
        self,
        service: &LogoutService,
        (name, session): (&NameId, Option<&str>),
    ) -> Result<String, OutgoingError> {
        let now = self.time()?;
        let request = LogoutRequest {
            id: self.id.to_owned(),
            version: SamlVersion::V2_0,
            issue_instant: now,
            destination: Some(service.requests.clone()),
            consent: None,
            issuer: Some(Issuer::entity(&self.us.entity_id)),
            has_signature: false,
            not_on_or_after: now.checked_add_signed(TimeDelta::seconds(NOTICE)),
            reason: Some(LOGOUT_REASON_USER.to_owned()),
            name_id: NameIdOrEncryptedId::NameId(Wire {
                value: name.value.clone(),
                format: name.format.clone(),
                name_qualifier: name.name_qualifier.clone(),
                sp_name_qualifier: name.sp_name_qualifier.clone(),
                sp_provided_id: None,
            }),
            session_indexes: session.into_iter().map(str::to_owned).collect(),
        };
        self.to(&service.requests, &request, (true, None))
    }

    /// Where to send whoever brought a notice, with the answer that it was heard.
    pub fn heard(
        self,
        service: &LogoutService,
        (notice, state): (&str, Option<&str>),
    ) -> Result<String, OutgoingError> {
        let answer = LogoutResponse {
            id: self.id.to_owned(),
            version: SamlVersion::V2_0,
            issue_instant: self.time()?,
            destination: Some(service.answers.clone()),
            consent: None,
            issuer: Some(Issuer::entity(&self.us.entity_id)),
            has_signature: false,
            in_response_to: Some(notice.to_owned()),
            status: Status::success(),
        };
        self.to(&service.answers, &answer, (false, state))
    }

    fn time(&self) -> Result<DateTime<Utc>, OutgoingError> {
        DateTime::from_timestamp(self.now, 0).ok_or(OutgoingError)
    }

    fn to(
        self,
        destination: &str,
        message: &impl SamlSerialize,
        (is_request, state): (bool, Option<&str>),
    ) -> Result<String, OutgoingError> {
        let xml = message.to_xml_string().map_err(|_| OutgoingError)?;
        let state = state.filter(|state| state.len() <= LONGEST_STATE).map(RelayState::echo);
        let signer = SamlSigner::with_hsm_signer(KeysManager::new(), Arc::new(self.key));
        redirect_encode(&RedirectEncodeParams {
            saml_xml: xml.as_bytes(),
            is_request,
            destination,
            relay_state: state.as_ref(),
            signer: Some((&signer, RSA_SHA256)),
        })
        .map_err(|_| OutgoingError)
    }
}

impl Us {
    /// Our metadata, with the certificate of the key we sign with (DER).
    pub fn metadata(&self, certificate: &[u8]) -> Result<String, OutgoingError> {
        let mut base = RoleDescriptorBase::new(vec![PROTOCOL.to_owned()]);
        base.key_descriptors = vec![KeyDescriptor::signing(build_x509_key_info_from_der(&[certificate]))];
        let logout =
            [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST].map(|binding| Endpoint::new(binding, &self.logout));
        let provider = SpSsoDescriptor {
            sso_base: SsoDescriptorBase {
                base,
                artifact_resolution_services: Vec::new(),
                single_logout_services: logout.to_vec(),
                manage_name_id_services: Vec::new(),
                name_id_formats: Vec::new(),
            },
            authn_requests_signed: Some(true),
            want_assertions_signed: Some(true),
            assertion_consumer_services: vec![IndexedEndpoint::new_default(
                Endpoint::new(BINDING_HTTP_POST, &self.acs),
                0,
            )],
            attribute_consuming_services: Vec::new(),
        };
        let entity = EntityDescriptor {
            entity_id: self.entity_id.clone(),
            id: None,
            valid_until: None,
            cache_duration: None,
            has_signature: false,
            extensions: None,
            roles: EntityRoles::Roles {
                idp_sso: Vec::new(),
                sp_sso: vec![provider],
                authn_authority: Vec::new(),
                attr_authority: Vec::new(),
                pdp: Vec::new(),
            },
            organization: None,
            contact_persons: Vec::new(),
            additional_metadata_locations: Vec::new(),
        };
        entity.to_xml_document().map_err(|_| OutgoingError)
    }
}
