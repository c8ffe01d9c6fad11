//! Providers that speak SAML: what counts once, whose sessions end, what may be changed.

use crate::engine::{NOW, admin};
use crate::identity::{enter, proven, provider, rules, session};
use daam_api::v1::ProviderRules;
use daam_store::{Db, Flow, Proven, SignInOutcome, StoredProvider, new_provider_id};

pub(crate) async fn a_saml_provider_is_changed_but_never_becomes_another_one(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let new = StoredProvider {
        id: new_provider_id(),
        name: "Company".to_owned(),
        issuer: "https://idp.example".to_owned(),
        client_id: "https://daam.example/metadata".to_owned(),
        sealed_secret: Some("sealed".to_owned()),
        rules: ProviderRules::default(),
        saml: Some("one".to_owned()),
    };
    db.add_saml_provider(&ana, (&new, &["k1".to_owned()]), NOW).await.unwrap();
    let door = &db.providers_of("calm-otter").await.unwrap()[0];
    assert_eq!((door.id.as_str(), door.speaks()), (new.id.as_str(), "saml"));
    let changed = StoredProvider { name: "Renamed".to_owned(), saml: Some("two".to_owned()), ..new.clone() };
    let keys = ["k2".to_owned()];
    assert!(
        !db.change_saml_provider(&eve, ("one", &changed, &keys), NOW).await.unwrap(),
        "another organization's"
    );
    let moved = StoredProvider { issuer: "https://evil.example".to_owned(), ..changed.clone() };
    assert!(
        !db.change_saml_provider(&ana, ("one", &moved, &keys), NOW).await.unwrap(),
        "it is somebody else now"
    );
    assert!(db.change_saml_provider(&ana, ("one", &changed, &keys), NOW).await.unwrap());
    let back = StoredProvider { saml: Some("one".to_owned()), ..changed.clone() };
    assert!(
        !db.change_saml_provider(&ana, ("one", &back, &keys), NOW).await.unwrap(),
        "it is another by now"
    );
    let now = db.sign_in_provider(&new.id).await.unwrap().unwrap();
    let found = now.provider();
    assert_eq!((found.name.as_str(), found.saml.as_deref()), ("Renamed", Some("two")));
    assert_eq!(found.sealed_secret.as_deref(), Some("sealed"), "our key stays");
    let other = provider(&db, &ana, rules()).await;
    let other = StoredProvider { saml: Some("x".to_owned()), ..other.provider().clone() };
    assert!(
        !db.change_saml_provider(&ana, ("x", &other, &keys), NOW).await.unwrap(),
        "it does not speak SAML"
    );
    let (entries, whole) = db.audit(ana.scope()).await.unwrap();
    let told: Vec<&str> =
        entries.iter().filter(|e| e.action.starts_with("provider.")).map(|e| e.action.as_str()).collect();
    assert!(whole && told.contains(&"provider.add") && told.contains(&"provider.change"), "{told:?}");
    assert!(entries.iter().any(|entry| entry.detail.contains("k2")), "the audit names the keys");
}

pub(crate) async fn what_a_saml_provider_says_counts_once_and_ends_what_it_names(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let said = |subject: &str, index: &str, id: &str| Proven {
        session: Some(index.to_owned()),
        name_id: Some(format!("name of {subject}")),
        once: Some((id.to_owned(), NOW + 900)),
        ends_by: Some(NOW + 600),
        ..proven(subject, &format!("{subject}@x.org"))
    };
    let one = session(enter(&db, &at, &said("s1", "i1", "_1")).await);
    assert!(matches!(enter(&db, &at, &said("s1", "i1", "_1")).await, SignInOutcome::Repeated));
    let two = session(enter(&db, &at, &said("s1", "i2", "_2")).await);
    let three = session(enter(&db, &at, &said("s1", "i3", "_3")).await);
    let other = session(enter(&db, &at, &said("s2", "i1", "_4")).await);
    let auth = db.session(&one, NOW).await.unwrap().unwrap();
    assert_eq!(auth.expires_at(), NOW + 600, "no longer than the provider says");
    let there = db.known_there(&auth).await.unwrap().unwrap();
    assert_eq!((there.name_id.as_str(), there.session.as_deref()), ("name of s1", Some("i1")));
    let lives = async |secret: &str| db.session(secret, NOW).await.unwrap().is_some();
    let ended = async |sessions: &[&str], id: &str| {
        let sessions: Vec<String> = sessions.iter().map(|one| (*one).to_owned()).collect();
        db.signed_out_of(&at, ("s1", &sessions), (id, NOW + 900), NOW).await.unwrap()
    };
    assert!(ended(&["i9"], "_5").await && lives(&one).await);
    assert!(ended(&["i1", "i2"], "_6").await);
    assert!(!lives(&one).await && !lives(&two).await && lives(&three).await && lives(&other).await);
    assert!(!ended(&[], "_6").await && lives(&three).await, "a notice counts once");
    assert!(ended(&[], "_7").await);
    assert!(!lives(&three).await && lives(&other).await);
}

pub(crate) async fn the_session_a_sign_in_began_in_is_found_and_ended_without_its_cookie(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let bo = session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
    let auth = db.session(&bo, NOW).await.unwrap().unwrap();
    let flow = Flow {
        nonce: "n".to_owned(),
        verifier: String::new(),
        return_to: "/".to_owned(),
        user_id: None,
        invite_sha256: None,
        session_id: Some(auth.id().to_owned()),
    };
    db.begin_flow(&at, ("state", "browser"), &flow, (NOW, NOW + 600)).await.unwrap();
    let (_, taken) = db.take_flow(("state", "browser"), NOW).await.unwrap().unwrap();
    let id = taken.session_id.unwrap();
    assert_eq!(id, auth.id());
    let still = async |user: &str| db.still_signed_in(&id, user, NOW).await.unwrap();
    assert!(still(auth.user().user_id()).await && !still(ana.user_id()).await);
    db.end_session_before(&id, NOW).await.unwrap();
    assert!(db.session(&bo, NOW).await.unwrap().is_none());
    assert!(!still(auth.user().user_id()).await);
    db.end_session_before(&id, NOW).await.unwrap();
    assert!(db.audit(ana.scope()).await.unwrap().1);
}
