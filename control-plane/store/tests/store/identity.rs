//! Signing in by a provider, and programs by a browser: what counts, where, and until when.

use crate::engine::{NOW, admin, put};
use daam_api::v1::ProviderRules;
use daam_store::{
    Db, Fetched, Flow, Holder, Invited, NewCertificate, NewInvite, ProgramRequest, Proven, SignInOutcome,
    SignInProvider, StoredProvider, UserAuth, digest, new_provider_id,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn rules() -> ProviderRules {
    ProviderRules {
        provision: true,
        allowed_domains: BTreeSet::from(["x.org".to_owned()]),
        groups_claim: Some("groups".to_owned()),
        groups: BTreeMap::from([("theirs".to_owned(), "dba".to_owned())]),
        ..ProviderRules::default()
    }
}

pub(crate) async fn provider(db: &Db, by: &UserAuth, rules: ProviderRules) -> SignInProvider {
    let id = new_provider_id();
    let new = StoredProvider {
        id: id.clone(),
        name: "Company".to_owned(),
        issuer: "https://login.example".to_owned(),
        client_id: "daam".to_owned(),
        sealed_secret: None,
        rules,
        saml: None,
    };
    db.add_provider(by, &new, NOW).await.unwrap();
    db.sign_in_provider(&id).await.unwrap().unwrap()
}

pub(crate) fn proven(subject: &str, email: &str) -> Proven {
    Proven {
        subject: subject.to_owned(),
        email: Some(email.to_owned()),
        email_verified: true,
        groups: BTreeSet::from(["theirs".to_owned()]),
        session: Some(format!("session of {subject}")),
        ..Proven::default()
    }
}

fn flow() -> Flow {
    Flow {
        nonce: "n".to_owned(),
        verifier: "v".to_owned(),
        return_to: "/".to_owned(),
        user_id: None,
        invite_sha256: None,
        session_id: None,
    }
}

pub(crate) async fn enter(db: &Db, at: &SignInProvider, who: &Proven) -> SignInOutcome {
    db.sign_in(at, (who, &flow()), NOW).await.unwrap()
}

pub(crate) fn session(outcome: SignInOutcome) -> String {
    match outcome {
        SignInOutcome::Done(secret) => secret.reveal(),
        other => panic!("{other:?}"),
    }
}

async fn groups(db: &Db, by: &UserAuth, email: &str) -> BTreeSet<String> {
    let users = db.users(by.scope()).await.unwrap();
    users.into_iter().find(|user| user.email == email).unwrap().groups
}

pub(crate) async fn a_provider_lets_in_by_subject_and_never_by_address(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let before = db.directory_version(ana.scope()).await.unwrap();
    let first = session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
    assert!(db.directory_version(ana.scope()).await.unwrap() > before, "agents hear of it");
    let bo = db.session(&first, NOW).await.unwrap().unwrap();
    assert_eq!((bo.user().email(), bo.person()), ("bo@x.org", None));
    // The same subject under another address is the same member, another subject under the same address is nobody.
    let again = session(enter(&db, &at, &proven("s1", "renamed@x.org")).await);
    assert_eq!(db.session(&again, NOW).await.unwrap().unwrap().user().user_id(), bo.user().user_id());
    assert!(matches!(enter(&db, &at, &proven("s2", "bo@x.org")).await, SignInOutcome::EmailTaken));
    assert!(matches!(enter(&db, &at, &proven("s2", ana.email())).await, SignInOutcome::Domain));
    let unverified = Proven { email_verified: false, ..proven("s3", "cy@x.org") };
    assert!(matches!(enter(&db, &at, &unverified).await, SignInOutcome::Unverified));
    let nameless = Proven { email: None, ..proven("s3", "") };
    assert!(matches!(enter(&db, &at, &nameless).await, SignInOutcome::Domain));
    let closed = provider(&db, &ana, ProviderRules::default()).await;
    assert!(matches!(enter(&db, &closed, &proven("s1", "di@x.org")).await, SignInOutcome::Unknown));
    // The first of an invite's two users takes it; the member who is signed in links their own.
    let new = NewInvite { email: "di@x.org", role: None, groups: None, recover: false, expires_at: NOW + 60 };
    let Invited::Done { secret, .. } = db.invite(&ana, &new, NOW).await.unwrap() else { panic!("not made") };
    let invited = Flow { invite_sha256: Some(digest(&secret.reveal())), ..flow() };
    let di = db.sign_in(&closed, (&proven("d1", "whoever@y.org"), &invited), NOW).await.unwrap();
    assert_eq!(db.session(&session(di), NOW).await.unwrap().unwrap().user().email(), "di@x.org");
    let late = db.sign_in(&closed, (&proven("d2", "whoever@y.org"), &invited), NOW).await.unwrap();
    assert!(matches!(late, SignInOutcome::NotLinked));
    let own = Flow { user_id: Some(ana.user_id().to_owned()), ..flow() };
    let linked = db.sign_in(&closed, (&proven("a1", "a@elsewhere.org"), &own), NOW).await.unwrap();
    assert_eq!(db.session(&session(linked), NOW).await.unwrap().unwrap().user().email(), ana.email());
    let other = db.sign_in(&closed, (&proven("a2", "a@elsewhere.org"), &own), NOW).await.unwrap();
    assert!(matches!(other, SignInOutcome::NotLinked), "one account of a provider for one member");
    // Another organization's member cannot be linked, whatever a flow says.
    let eve = admin(&db, "sly-fox").await;
    let theirs = provider(&db, &eve, ProviderRules::default()).await;
    let across = db.sign_in(&theirs, (&proven("a1", "a@elsewhere.org"), &own), NOW).await.unwrap();
    assert!(matches!(across, SignInOutcome::Disabled));
    assert!(db.audit(ana.scope()).await.unwrap().1 && db.audit(eve.scope()).await.unwrap().1);
}

pub(crate) async fn named_groups_are_what_the_provider_says_and_others_stay(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
    assert_eq!(groups(&db, &ana, "bo@x.org").await, BTreeSet::from(["dba".to_owned()]));
    put(&db, &ana, "bo@x.org", false).await;
    assert_eq!(groups(&db, &ana, "bo@x.org").await, BTreeSet::from(["eu".to_owned()]));
    session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
    assert_eq!(groups(&db, &ana, "bo@x.org").await, BTreeSet::from(["dba".to_owned(), "eu".to_owned()]));
    let left = Proven { groups: BTreeSet::new(), ..proven("s1", "bo@x.org") };
    session(enter(&db, &at, &left).await);
    assert_eq!(
        groups(&db, &ana, "bo@x.org").await,
        BTreeSet::from(["eu".to_owned()]),
        "saying nothing is none"
    );
    put(&db, &ana, "bo@x.org", true).await;
    assert!(matches!(enter(&db, &at, &left).await, SignInOutcome::Disabled));
}

pub(crate) async fn a_sign_in_under_way_is_of_one_browser_and_once(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let begin = async |state: &str| {
        db.begin_flow(&at, (state, "browser"), &flow(), (NOW, NOW + 600)).await.unwrap();
    };
    begin("one").await;
    assert!(db.take_flow(("one", "another browser"), NOW).await.unwrap().is_none());
    assert!(db.take_flow(("one", "browser"), NOW).await.unwrap().is_none(), "tried is gone");
    begin("two").await;
    let (found, taken) = db.take_flow(("two", "browser"), NOW).await.unwrap().unwrap();
    assert_eq!((found.provider().id.as_str(), taken.nonce.as_str()), (at.provider().id.as_str(), "n"));
    assert!(db.take_flow(("two", "browser"), NOW).await.unwrap().is_none());
    begin("three").await;
    assert!(db.take_flow(("three", "browser"), NOW + 600).await.unwrap().is_none());
}

pub(crate) async fn signing_out_at_the_provider_ends_what_was_begun_there(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let bo = session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
    let cy = session(enter(&db, &at, &proven("s2", "cy@x.org")).await);
    let auth = db.session(&bo, NOW).await.unwrap().unwrap();
    let asked =
        ProgramRequest { device: "laptop", user_code: "BCDF-GHJK", fetch_sha256: "f", expires_at: NOW + 60 };
    assert!(db.ask_sign_in(&asked, 9, NOW).await.unwrap());
    assert!(!db.ask_sign_in(&ProgramRequest { fetch_sha256: "g", ..asked }, 9, NOW).await.unwrap(), "taken");
    assert!(matches!(db.fetch_sign_in("f", None, NOW).await.unwrap(), Fetched::Pending));
    assert!(db.answer_sign_in(&auth, ("BCDF-GHJK", true), NOW).await.unwrap());
    assert!(!db.answer_sign_in(&auth, ("BCDF-GHJK", true), NOW).await.unwrap());
    let Fetched::Done(token, ends) = db.fetch_sign_in("f", None, NOW).await.unwrap() else {
        panic!("not done")
    };
    assert_eq!(ends, auth.expires_at());
    assert!(matches!(db.fetch_sign_in("f", None, NOW).await.unwrap(), Fetched::Unknown));
    let token = token.reveal();
    let program = crate::engine::user(&db, &token, NOW).await.unwrap();
    let certificate =
        NewCertificate { serial: "1", holder: Holder::User(&program), not_after: NOW + 600, authority: 1 };
    assert!(db.record_certificate(program.scope(), &certificate, NOW).await.unwrap());

    let out =
        async |session, jti| db.signed_out(&at, (Some("s1"), session), (jti, NOW + 600), NOW).await.unwrap();
    assert!(out(Some("some other session"), "j1").await);
    assert!(db.session(&bo, NOW).await.unwrap().is_some());
    assert!(out(Some("session of s1"), "j2").await);
    assert!(!out(Some("session of s1"), "j2").await, "a notice counts once");
    assert!(db.session(&bo, NOW).await.unwrap().is_none());
    assert!(crate::engine::user(&db, &token, NOW).await.is_none());
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap(), BTreeSet::from(["1".to_owned()]));
    assert!(db.session(&cy, NOW).await.unwrap().is_some());
    let none = db.signed_out(&at, (None, None), ("j3", NOW + 600), NOW);
    assert!(!none.await.unwrap(), "it names nobody and no session");
    let dee = session(enter(&db, &at, &proven("s3", "dee@x.org")).await);
    let alone = db.signed_out(&at, (None, Some("session of s3")), ("j4", NOW + 600), NOW);
    assert!(alone.await.unwrap());
    assert!(db.session(&dee, NOW).await.unwrap().is_none(), "a session is named without its person");
    assert!(db.session(&cy, NOW).await.unwrap().is_some());
    assert!(db.remove_provider(&ana, &at.provider().id, NOW).await.unwrap());
    assert!(db.session(&cy, NOW).await.unwrap().is_none());
    assert!(db.sign_in_provider(&at.provider().id).await.unwrap().is_none());
}

pub(crate) async fn whoever_fills_the_list_of_sign_ins_keeps_nobody_out(db: Db) {
    admin(&db, "calm-otter").await;
    let ask = async |code: &str, at: i64| {
        let new = ProgramRequest { device: "d", user_code: code, fetch_sha256: code, expires_at: at + 60 };
        db.ask_sign_in(&new, 3, at).await.unwrap()
    };
    for (at, code) in (NOW..).zip(["a", "b", "c", "d", "e"]) {
        assert!(ask(code, at).await, "{code}");
    }
    for (code, waits) in [("a", false), ("b", false), ("c", true), ("d", true), ("e", true)] {
        assert_eq!(db.asked_sign_in(code, NOW + 9).await.unwrap().is_some(), waits, "{code}");
    }
}
