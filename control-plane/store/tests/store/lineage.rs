//! Credentials that others were made with: they end together.

use crate::engine::{NOW, TOKEN_END, admin, person, put, user};
use crate::identity::{enter, proven, provider, rules, session};
use daam_store::{
    Db, Fetched, Holder, Invited, NewCertificate, NewInvite, ProgramRequest, Role, SessionAuth, TokenOwner,
    UserAuth, UserChange,
};
use std::collections::{BTreeMap, BTreeSet};

async fn token(db: &Db, by: &UserAuth, email: &str) -> String {
    made(db, by, email).await.1
}

async fn made(db: &Db, by: &UserAuth, email: &str) -> (String, String) {
    let owner = TokenOwner { email, name: "t", expires_at: TOKEN_END };
    let (id, secret) = db.create_token(by, &owner, NOW).await.unwrap().unwrap();
    (id, secret.reveal())
}

async fn stands(db: &Db, token: &str) -> bool {
    user(db, token, NOW).await.is_some()
}

async fn auth(db: &Db, token: &str) -> UserAuth {
    user(db, token, NOW).await.unwrap()
}

async fn becomes(db: &Db, by: &UserAuth, email: &str, (role, disabled): (Role, bool)) {
    let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
    let change = UserChange { email, role: Some(role), groups: &groups, attributes: &attributes, disabled };
    db.put_user(by.scope(), &change, NOW).await.unwrap();
}

/// What a program is given by a browser session.
async fn program(db: &Db, by: &SessionAuth, code: &str) -> String {
    let asked =
        ProgramRequest { device: "laptop", user_code: code, fetch_sha256: code, expires_at: NOW + 60 };
    assert!(db.ask_sign_in(&asked, 9, NOW).await.unwrap());
    assert!(db.answer_sign_in(by, (code, true), NOW).await.unwrap());
    match db.fetch_sign_in(code, None, NOW).await.unwrap() {
        Fetched::Done(token, _) => token.reveal(),
        other => panic!("{other:?}"),
    }
}

/// A browser session by a token.
async fn browser(db: &Db, by: &UserAuth) -> (String, SessionAuth) {
    let link = db.link_for_token(by, NOW + 300, NOW).await.unwrap().reveal();
    let secret = db.use_link(&link, None, NOW).await.unwrap().unwrap().reveal();
    let session = db.session(&secret, NOW).await.unwrap().unwrap();
    (secret, session)
}

pub(crate) async fn what_an_admin_made_for_others_ends_with_them(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let ana = person(&db, "calm-otter", ana.email()).await;
    for after in [(Role::Admin, true), (Role::Member, false)] {
        becomes(&db, &ana, "mal@x.org", (Role::Admin, false)).await;
        let mal = person(&db, "calm-otter", "mal@x.org").await;
        let for_ana = token(&db, &mal, ana.email()).await;
        let child = token(&db, &auth(&db, &for_ana).await, ana.email()).await;
        let own = token(&db, &ana, ana.email()).await;
        let new = NewInvite {
            email: "ghost@x.org",
            role: Some(Role::Admin),
            groups: None,
            recover: false,
            expires_at: NOW + 600,
        };
        let again = NewInvite { role: None, ..new };
        let invite = match db.invite(&mal, &new, NOW).await.unwrap() {
            Invited::Exists => db.invite(&mal, &again, NOW).await.unwrap(),
            other => other,
        };
        let Invited::Done { secret: invite, .. } = invite else { panic!("not made") };
        let invite = invite.reveal();
        assert!(db.link_target(&invite, NOW).await.unwrap().is_some());
        becomes(&db, &ana, "mal@x.org", after).await;
        assert!(!stands(&db, &for_ana).await, "an admin's token made by another who is gone");
        assert!(!stands(&db, &child).await, "and what was made with it");
        assert!(stands(&db, &own).await);
        assert!(db.link_target(&invite, NOW).await.unwrap().is_none());
        assert!(db.use_link(&invite, None, NOW).await.unwrap().is_none());
        becomes(&db, &ana, "mal@x.org", (Role::Admin, false)).await;
        assert!(!stands(&db, &for_ana).await, "nor does it come back");
        assert!(db.use_link(&invite, None, NOW).await.unwrap().is_none());
    }
    assert!(db.audit(ana.scope()).await.unwrap().1);
}

pub(crate) async fn a_token_ends_with_the_one_it_was_made_with(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let (id, parent) = made(&db, &ana, ana.email()).await;
    let parent = auth(&db, &parent).await;
    let child = token(&db, &parent, ana.email()).await;
    let grandchild = token(&db, &auth(&db, &child).await, ana.email()).await;
    let (cookie, session) = browser(&db, &auth(&db, &child).await).await;
    let by_session = token(&db, session.user(), ana.email()).await;
    let program = program(&db, &session, "BCDF-GHJK").await;
    let holder = auth(&db, &grandchild).await;
    let certificate =
        NewCertificate { serial: "1", holder: Holder::User(&holder), not_after: TOKEN_END, authority: 1 };
    assert!(db.record_certificate(ana.scope(), &certificate, NOW).await.unwrap());
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    for ended in [&child, &grandchild, &by_session, &program] {
        assert!(!stands(&db, ended).await);
    }
    assert!(db.session(&cookie, NOW).await.unwrap().is_none());
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap(), BTreeSet::from(["1".to_owned()]));
}

pub(crate) async fn what_was_made_in_a_sign_in_at_a_provider_ends_with_it(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let ana = person(&db, "calm-otter", ana.email()).await;
    put(&db, &ana, "ci@x.org", false).await;
    let at = provider(&db, &ana, rules()).await;
    for (round, removed) in [(1, false), (2, true)] {
        let (who, code) = (proven("s1", "bo@x.org"), format!("CODE-{round}"));
        let bo = session(enter(&db, &at, &who).await);
        let bo = db.session(&bo, NOW).await.unwrap().unwrap();
        becomes(&db, &ana, "bo@x.org", (Role::Admin, false)).await;
        let bo = match db.session(&session(enter(&db, &at, &who).await), NOW).await.unwrap() {
            Some(later) => later,
            None => bo,
        };
        let given = auth(&db, &program(&db, &bo, &code).await).await;
        let child = token(&db, &given, "bo@x.org").await;
        let (cookie, by_token) = browser(&db, &given).await;
        let page = token(&db, bo.user(), "bo@x.org").await;
        let deeper = token(&db, by_token.user(), "bo@x.org").await;
        let pipeline = token(&db, &given, "ci@x.org").await;
        if removed {
            assert!(db.remove_provider(&ana, &at.provider().id, NOW).await.unwrap());
        } else {
            let out = db.signed_out(&at, (Some("s1"), Some("session of s1")), ("j", NOW + 600), NOW);
            assert!(out.await.unwrap());
        }
        for ended in [&child, &page, &deeper] {
            assert!(!stands(&db, ended).await, "round {round}");
        }
        assert!(db.session(&cookie, NOW).await.unwrap().is_none());
        assert!(stands(&db, &pipeline).await, "a pipeline's own account is not somebody's being signed in");
    }
}

pub(crate) async fn a_program_is_signed_out_with_the_session_that_let_it_in(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let at = provider(&db, &ana, rules()).await;
    let sign_in = async |code: &str| {
        let cookie = session(enter(&db, &at, &proven("s1", "bo@x.org")).await);
        let session = db.session(&cookie, NOW).await.unwrap().unwrap();
        let given = program(&db, &session, code).await;
        (session, given)
    };
    let (first, given) = sign_in("A").await;
    let (second, elsewhere) = sign_in("B").await;
    db.end_session(&first, NOW).await.unwrap();
    assert!(!stands(&db, &given).await, "it was for as long as the session lasts");
    assert!(stands(&db, &elsewhere).await);
    let (third, given) = sign_in("C").await;
    assert!(db.end_other_session(second.user(), third.id(), NOW).await.unwrap());
    assert!(!stands(&db, &given).await);
    becomes(&db, &ana, "bo@x.org", (Role::Approver, false)).await;
    assert!(!stands(&db, &elsewhere).await);
}

pub(crate) async fn a_credential_that_ended_makes_no_more(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let ana = person(&db, "calm-otter", ana.email()).await;
    let (id, secret) = made(&db, &ana, ana.email()).await;
    let gone = auth(&db, &secret).await;
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    let owner = TokenOwner { email: ana.email(), name: "t", expires_at: TOKEN_END };
    assert!(
        db.create_token(&gone, &owner, NOW).await.unwrap().is_none(),
        "asked just before, made just after"
    );
    becomes(&db, &ana, "eve@x.org", (Role::Admin, false)).await;
    let eve = auth(&db, &token(&db, &ana, "eve@x.org").await).await;
    becomes(&db, &ana, "eve@x.org", (Role::Member, false)).await;
    assert!(db.create_token(&eve, &owner, NOW).await.unwrap().is_none(), "no admin any more");
}
