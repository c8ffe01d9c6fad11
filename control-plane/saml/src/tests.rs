//! Answers of a provider that is made here, and what may be done to them on the way.

use crate::{
    Assertion, Carried, Expected, IdentityProvider, LogoutService, MetadataError, NameId, OurKey, Outgoing,
    Refused, Us, logout_answer, logout_request, response,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use gamlastan::core::assertion::name_id::NameId as Wire;
use gamlastan::crypto::{KeysManager, SamlSigner};
use gamlastan::profiles::sso::idp::create_signed_response;
use gamlastan::profiles::sso::web_browser::{ResponseOptions, ResponseTimes};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use zeroize::Zeroizing;

const NOW: i64 = 1_800_000_000;
const IDP: &str = "https://idp.example/metadata";

static KEYS: LazyLock<[(Zeroizing<String>, Vec<u8>); 2]> =
    LazyLock::new(|| [OurKey::make().unwrap(), OurKey::make().unwrap()]);

fn us() -> Us {
    Us {
        entity_id: "https://daam.example/saml/1/metadata".to_owned(),
        acs: "https://daam.example/saml/1".to_owned(),
        logout: "https://daam.example/saml/1/logout".to_owned(),
    }
}

fn metadata(certificates: &[&[u8]], protocol: &str) -> String {
    let key = |der: &&[u8]| {
        format!(
            "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate>\
             </ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
            STANDARD.encode(der)
        )
    };
    let keys = certificates.iter().map(key).collect::<Vec<_>>().concat();
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"{IDP}\"><!-- of a federation -->\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"{protocol}\">{keys}\
         <md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.example/slo\" ResponseLocation=\"https://idp.example/slo/done\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.example/sso?a=b\"/></md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

fn provider(keys: &[usize]) -> IdentityProvider {
    let certificates: Vec<&[u8]> = keys.iter().map(|key| KEYS[*key].1.as_slice()).collect();
    IdentityProvider::from_metadata(&metadata(&certificates, SAML), NOW).unwrap()
}

fn answered(key: usize, (sign_assertion, sign_response): (bool, bool)) -> String {
    let us = us();
    let options = ResponseOptions {
        idp_entity_id: IDP.to_owned(),
        in_response_to: Some("_asked".to_owned()),
        sp_entity_id: us.entity_id,
        acs_url: us.acs,
        assertion_lifetime_seconds: 300,
        session_index: Some("s1".to_owned()),
        session_not_on_or_after: None,
        authn_context_class_ref: Some("urn:oasis:names:tc:SAML:2.0:ac:classes:Password".to_owned()),
        client_address: None,
        attributes: vec![],
    };
    let name = Wire {
        value: "bo".to_owned(),
        format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        name_qualifier: None,
        sp_name_qualifier: None,
        sp_provided_id: None,
    };
    let times = ResponseTimes::at(DateTime::from_timestamp(NOW, 0).unwrap());
    let (pem, certificate) = &KEYS[key];
    let signer = SamlSigner::with_hsm_signer(KeysManager::new(), Arc::new(OurKey::from_pem(pem).unwrap()));
    let certificate = STANDARD.encode(certificate);
    create_signed_response(&options, &name, times, &signer, &certificate, sign_assertion, sign_response)
        .unwrap()
}

fn judged(xml: &str, provider: &IdentityProvider) -> Result<Assertion, Refused> {
    let expected = Expected { provider, us: &us(), request: "_asked", now: NOW };
    response(&STANDARD.encode(xml), &expected)
}

#[test]
fn an_answer_holds_by_its_own_signature_or_its_assertions_under_any_pinned_key() {
    for signed in [(true, false), (false, true), (true, true)] {
        for key in [0, 1] {
            let assertion = judged(&answered(key, signed), &provider(&[0, 1])).unwrap();
            assert_eq!((assertion.name_id().value.as_str(), assertion.session()), ("bo", Some("s1")));
            let other = judged(&answered(key, signed), &provider(&[1 - key]));
            assert!(matches!(other, Err(Refused::Signature(_))), "{other:?}");
        }
    }
    let unsigned = judged(&answered(0, (false, false)), &provider(&[0]));
    assert!(matches!(unsigned, Err(Refused::Signature(_))), "{unsigned:?}");
}

#[test]
fn an_answer_is_of_its_moment_and_to_its_question() {
    let (xml, provider, us) = (answered(0, (true, false)), provider(&[0]), us());
    let at = |now| {
        response(&STANDARD.encode(&xml), &Expected { provider: &provider, us: &us, request: "_asked", now })
    };
    assert!(at(NOW + 299).is_ok() && at(NOW - 179).is_ok());
    for now in [NOW + 302, NOW - 181, i64::MAX, i64::MIN] {
        assert_eq!(at(now).unwrap_err(), Refused::Time);
    }
    let other = Expected { provider: &provider, us: &us, request: "_other", now: NOW };
    assert_eq!(response(&STANDARD.encode(&xml), &other).unwrap_err(), Refused::Request);
    let elsewhere = Us { acs: format!("{}/", us.acs), ..us.clone() };
    let other = Expected { provider: &provider, us: &elsewhere, request: "_asked", now: NOW };
    assert_eq!(response(&STANDARD.encode(&xml), &other).unwrap_err(), Refused::Destination);
}

#[test]
fn metadata_pins_keys_and_without_them_it_is_refused() {
    let read = |xml: &str| IdentityProvider::from_metadata(xml, NOW);
    let good = metadata(&[&KEYS[0].1, &KEYS[1].1, &KEYS[0].1], SAML);
    let provider = read(&good).unwrap();
    assert_eq!((provider.pinned().len(), provider.sign_in.as_str()), (2, "https://idp.example/sso?a=b"));
    let service = LogoutService {
        requests: "https://idp.example/slo".to_owned(),
        answers: "https://idp.example/slo/done".to_owned(),
    };
    assert_eq!(provider.logout, Some(service));
    assert_eq!(read(&metadata(&[], SAML)), Err(MetadataError::NoKey));
    assert_eq!(read(&metadata(&[b"not a certificate"], SAML)), Err(MetadataError::WeakKey));
    assert_eq!(
        read(&metadata(&[&KEYS[0].1], "urn:oasis:names:tc:SAML:1.1:protocol")),
        Err(MetadataError::NoProvider)
    );
    assert_eq!(read(&good.replace("use=\"signing\"", "use=\"encryption\"")), Err(MetadataError::NoKey));
    assert_eq!(
        read(&good.replace("https://idp.example/sso", "http://idp.example/sso")),
        Err(MetadataError::Address)
    );
    assert_eq!(
        read(&good.replace("https://idp.example/sso", "javascript://x/%0a")),
        Err(MetadataError::Address)
    );
    assert_eq!(read(&good.replace("HTTP-Redirect", "HTTP-POST")), Err(MetadataError::Address));
    let old = good.replace("entityID=", "validUntil=\"2001-01-01T00:00:00Z\" entityID=");
    assert_eq!(read(&old), Err(MetadataError::Expired));
    let doctype = format!("<!DOCTYPE x [<!ENTITY y \"z\">]>{good}");
    for bad in ["", "<x/>", doctype.as_str(), &good.replace("md:EntityDescriptor", "md:EntitiesDescriptor")] {
        assert_eq!(read(bad), Err(MetadataError::Form), "{bad}");
    }
    assert_eq!(read(&format!("{good}{}", " ".repeat(300_000))), Err(MetadataError::Size));
}

#[test]
fn what_we_say_is_signed_and_a_logout_holds_only_as_it_was_signed() {
    // What we send as one party is what we take as the other.
    let (pem, certificate) = &KEYS[0];
    let them = Us { entity_id: IDP.to_owned(), acs: String::new(), logout: String::new() };
    let us = us();
    let service = LogoutService { requests: us.logout.clone(), answers: us.logout.clone() };
    let outgoing = || Outgoing { us: &them, key: OurKey::from_pem(pem).unwrap(), id: "_1", now: NOW };
    let name = NameId { value: "bo".to_owned(), format: None, name_qualifier: None, sp_name_qualifier: None };
    let url = outgoing().logout(&service, (&name, Some("s1"))).unwrap();
    let query = url.strip_prefix(&format!("{}?", us.logout)).unwrap();
    let provider = provider(&[1, 0]);
    let heard = |query: &str, now| logout_request(Carried::Query(query), (&provider, &us), now);
    let notice = heard(query, NOW).unwrap();
    assert_eq!((notice.id(), notice.subject(), notice.sessions()), ("_1", "bo", &["s1".to_owned()][..]));
    for now in [NOW + 481, NOW - 181] {
        assert_eq!(heard(query, now), Err(Refused::Time));
    }
    let (unsigned, _) = query.split_once("&SigAlg=").unwrap();
    assert!(matches!(heard(unsigned, NOW), Err(Refused::Signature(_))));
    let more = heard(&query.replace("&SigAlg=", "&RelayState=x&SigAlg="), NOW);
    assert!(matches!(more, Err(Refused::Signature(_))), "{more:?}");
    assert_eq!(heard(&query.replace("rsa-sha256", "rsa-sha1"), NOW), Err(Refused::Algorithm));
    assert!(matches!(heard(&format!("{query}&SAMLRequest=x"), NOW), Err(Refused::Form(_))));
    let other = IdentityProvider::from_metadata(&metadata(&[&KEYS[1].1], SAML), NOW).unwrap();
    let other = logout_request(Carried::Query(query), (&other, &us), NOW);
    assert!(matches!(other, Err(Refused::Signature(_))), "{other:?}");

    let url = outgoing().heard(&service, ("_2", Some("a b&c"))).unwrap();
    let query = url.split_once('?').unwrap().1;
    assert!(query.contains("RelayState=a%20b%26c"), "{query}");
    let answer = logout_answer(Carried::Query(query), (&provider, &us), NOW).unwrap();
    assert_eq!((answer.request(), answer.succeeded()), ("_2", Ok(())));
    assert!(matches!(heard(query, NOW), Err(Refused::Form(_))), "an answer is no request");
    let document = us.metadata(certificate).unwrap();
    assert!(document.contains(&us.acs) && document.contains(&STANDARD.encode(certificate)), "{document}");
}

#[test]
fn what_would_take_minutes_is_refused_before_it_is_read() {
    let (good, provider) = (answered(0, (true, false)), provider(&[0]));
    let with = |attributes: &str, inside: &str| {
        good.replacen(
            "<saml:Issuer",
            &format!("<samlp:Extensions{attributes}>{inside}</samlp:Extensions><saml:Issuer"),
            1,
        )
    };
    let many = |write: &dyn Fn(usize) -> String, n: usize| (0..n).map(write).collect::<Vec<_>>().concat();
    let wide = with(&many(&|n| format!(" a{n} = ''"), 33), "");
    let spaces = with(&many(&|n| format!(" xmlns:n{n}=\"u\""), 33), "");
    let long = with("", &"<a/>".repeat(20_000));
    let deep = with("", &format!("{}{}", "<a>".repeat(16), "</a>".repeat(16)));
    let full = with("", &many(&|n| format!("<a b{n}='' c='' d='' e=''/>"), 5001));
    for bad in [wide, spaces, long, deep, full] {
        let refused = judged(&bad, &provider);
        assert!(matches!(refused, Err(Refused::Form(_))), "{refused:?}");
    }
    let groups = many(&|n| format!("<a b='{n}'>=\"</a>"), 2000);
    assert!(judged(&with("", &groups), &provider).is_ok(), "what many members' groups take");
    let metadata = metadata(&[&KEYS[0].1], SAML);
    let wide = metadata.replace("entityID", &(many(&|n| format!("a{n}=\"\" "), 33) + "entityID"));
    assert_eq!(IdentityProvider::from_metadata(&wide, NOW), Err(MetadataError::Form));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_changed_on_the_way_nobody_else_is_signed_in(at in any::<prop::sample::Index>(), to in any::<u8>(), insert in any::<bool>()) {
        static GOOD: LazyLock<(String, IdentityProvider)> = LazyLock::new(|| (answered(0, (true, true)), provider(&[0])));
        let (xml, provider) = &*GOOD;
        let mut bytes = xml.clone().into_bytes();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, to) } else { bytes[at] = to }
        let us = us();
        let expected = Expected { provider, us: &us, request: "_asked", now: NOW };
        if let Ok(assertion) = response(&STANDARD.encode(&bytes), &expected) {
            prop_assert_eq!(assertion.name_id().value.as_str(), "bo");
        }
    }

    #[test]
    fn nothing_a_stranger_posts_is_more_than_refused(text in "\\PC{0,200}") {
        let us = us();
        let provider = IdentityProvider::from_metadata(&metadata(&[&KEYS[0].1], SAML), NOW).unwrap();
        let expected = Expected { provider: &provider, us: &us, request: "_asked", now: NOW };
        prop_assert!(response(&text, &expected).is_err());
        prop_assert!(response(&STANDARD.encode(&text), &expected).is_err());
        prop_assert!(logout_request(Carried::Query(&text), (&provider, &us), NOW).is_err());
        prop_assert!(logout_request(Carried::Form(&STANDARD.encode(&text)), (&provider, &us), NOW).is_err());
        prop_assert!(IdentityProvider::from_metadata(&text, NOW).is_err());
    }
}
