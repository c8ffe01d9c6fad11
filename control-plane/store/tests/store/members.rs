//! Ways in: invites, recovery, sessions; and what each may reach.

use crate::engine::{NOW, TOKEN_END, admin, organization, put, user};
use daam_store::{
    Created, Db, IDLE_SECONDS, Invited, LONGEST_SECONDS, NewInvite, Role, Secret, SessionAuth, TokenOwner,
    UserAuth,
};
use std::collections::BTreeSet;

async fn invite(db: &Db, by: &UserAuth, email: &str) -> Invited {
    let groups = BTreeSet::from(["eu".to_owned()]);
    let new = NewInvite {
        email,
        role: Some(Role::Approver),
        groups: Some(&groups),
        recover: false,
        expires_at: NOW + 600,
    };
    db.invite(by, &new, NOW).await.unwrap()
}

fn secret(invited: Invited) -> String {
    match invited {
        Invited::Done { secret, .. } => secret.reveal(),
        other => panic!("{other:?}"),
    }
}

async fn session(db: &Db, secret: Option<Secret>, now: i64) -> SessionAuth {
    db.session(&secret.unwrap().reveal(), now).await.unwrap().unwrap()
}

/// An organization whose admin holds it as a person, by the link of the beginning.
async fn founded(db: &Db, slug: &str) -> SessionAuth {
    let email = format!("admin@{slug}.example");
    let made = db.create_organization(&organization(slug, &email), NOW).await.unwrap();
    let Created::Made { link, .. } = made else { panic!("taken") };
    session(db, db.use_link(&link.reveal(), None, NOW).await.unwrap(), NOW).await
}

pub(crate) async fn an_invite_is_used_once_and_joins_whoever_takes_it_up(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let before = db.directory_version(ana.scope()).await.unwrap();
    let earlier = secret(invite(&db, &ana, "bo@x.org").await);
    assert_eq!(db.directory_version(ana.scope()).await.unwrap(), before + 1, "agents hear of somebody new");
    assert!(matches!(invite(&db, &ana, "bo@x.org").await, Invited::Exists), "an invite changes nobody");
    let again =
        NewInvite { email: "bo@x.org", role: None, groups: None, recover: false, expires_at: NOW + 600 };
    let link = secret(db.invite(&ana, &again, NOW).await.unwrap());
    assert!(db.use_link(&earlier, None, NOW).await.unwrap().is_none(), "the later invite replaced it");
    let target = db.link_target(&link, NOW).await.unwrap().unwrap();
    assert_eq!((target.org.as_str(), target.email.as_str(), target.joins), ("calm-otter", "bo@x.org", true));
    assert!(db.use_link(&link, None, NOW + 600).await.unwrap().is_none(), "too late");
    assert_eq!(db.invites(ana.scope(), NOW).await.unwrap().len(), 1);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (db, link) = (db.clone(), link.clone());
            tokio::spawn(async move { db.use_link(&link, None, NOW).await.unwrap() })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        sessions.extend(task.await.unwrap());
    }
    assert_eq!(sessions.len(), 1, "one of four who asked at once");
    let bo = session(&db, sessions.pop(), NOW).await;
    assert_eq!((bo.user().email(), bo.user().role()), ("bo@x.org", Role::Approver));
    assert!(db.invites(ana.scope(), NOW).await.unwrap().is_empty());
    assert!(db.link_target(&link, NOW).await.unwrap().is_none());
    let (entries, whole) = db.audit(ana.scope()).await.unwrap();
    assert!(whole);
    for action in ["invite.create", "member.join", "session.begin"] {
        assert!(entries.iter().any(|entry| entry.action == action), "{action}");
    }
}

pub(crate) async fn a_membership_somebody_took_up_cannot_be_invited_to(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let link = secret(invite(&db, &ana, "bo@x.org").await);
    assert!(db.use_link(&link, None, NOW).await.unwrap().is_some());
    let again =
        NewInvite { email: "bo@x.org", role: None, groups: None, recover: false, expires_at: NOW + 600 };
    assert!(matches!(db.invite(&ana, &again, NOW).await.unwrap(), Invited::Joined));
    put(&db, &ana, "cy@x.org", true).await;
    let cy = NewInvite { email: "cy@x.org", ..again };
    assert!(matches!(db.invite(&ana, &cy, NOW).await.unwrap(), Invited::Disabled));
    let eve = admin(&db, "sly-fox").await;
    let Invited::Done { id, secret } = invite(&db, &ana, "di@x.org").await else { panic!("not made") };
    assert!(db.invites(eve.scope(), NOW).await.unwrap().is_empty());
    assert!(!db.withdraw_invite(eve.scope(), &id, NOW).await.unwrap(), "not hers");
    assert!(db.withdraw_invite(ana.scope(), &id, NOW).await.unwrap());
    assert!(db.use_link(&secret.reveal(), None, NOW).await.unwrap().is_none());
}

pub(crate) async fn one_person_in_two_organizations_moves_between_them_only_with_proof_of_their_own(db: Db) {
    let ana = founded(&db, "calm-otter").await;
    let zoe = founded(&db, "sly-fox").await;
    let link = secret(invite(&db, zoe.user(), "ana@fox.example").await);
    let there = session(&db, db.use_link(&link, ana.person(), NOW).await.unwrap(), NOW).await;
    assert_eq!(there.user().scope().org(), "sly-fox");
    assert_eq!(there.person(), None, "the other organization's word for her counts there alone");
    assert!(db.memberships(&there).await.unwrap().is_empty());
    assert!(db.switch_organization(&there, "calm-otter", NOW).await.unwrap().is_none());

    let orgs: Vec<_> = db.memberships(&ana).await.unwrap().into_iter().map(|m| m.org).collect();
    assert_eq!(orgs, ["calm-otter", "sly-fox"]);
    let moved = session(&db, db.switch_organization(&ana, "sly-fox", NOW).await.unwrap(), NOW).await;
    assert_eq!((moved.user().email(), moved.user().role()), ("ana@fox.example", Role::Approver));
    assert!(
        db.switch_organization(&ana, "sly-fox", NOW).await.unwrap().is_none(),
        "the old session has ended"
    );
    assert!(db.switch_organization(&moved, "no-such", NOW).await.unwrap().is_none());
    assert!(
        db.switch_organization(&zoe, "calm-otter", NOW).await.unwrap().is_none(),
        "she is not a member there"
    );
    let lost = db.recovery_link("sly-fox", "ana@fox.example", (NOW, NOW + 60)).await.unwrap().unwrap();
    let back = session(&db, db.use_link(&lost.reveal(), None, NOW).await.unwrap(), NOW).await;
    assert_eq!(back.person(), moved.person(), "the operator's link is for the same person");
    assert!(db.recovery_link("sly-fox", "nobody@x.org", (NOW, NOW + 60)).await.unwrap().is_none());
}

pub(crate) async fn a_session_ends_by_idleness_by_age_and_with_its_membership(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let begun = async |email: &str| {
        put(&db, &ana, email, false).await;
        let new = NewInvite { email, role: None, groups: None, recover: false, expires_at: NOW + 600 };
        let link = secret(db.invite(&ana, &new, NOW).await.unwrap());
        db.use_link(&link, None, NOW).await.unwrap().unwrap().reveal()
    };
    let idle = begun("idle@x.org").await;
    assert!(db.session(&idle, NOW + IDLE_SECONDS - 1).await.unwrap().is_some());
    assert!(db.session(&idle, NOW + IDLE_SECONDS + 1).await.unwrap().is_some(), "it was used meanwhile");
    assert!(db.session(&idle, NOW + 3 * IDLE_SECONDS).await.unwrap().is_none());
    let busy = begun("busy@x.org").await;
    for step in 1..LONGEST_SECONDS / 1800 {
        assert!(db.session(&busy, NOW + step * 1800).await.unwrap().is_some(), "{step}");
    }
    assert!(db.session(&busy, NOW + LONGEST_SECONDS).await.unwrap().is_none());
    let gone = begun("gone@x.org").await;
    put(&db, &ana, "gone@x.org", true).await;
    put(&db, &ana, "gone@x.org", false).await;
    assert!(db.session(&gone, NOW).await.unwrap().is_none(), "not even when enabled again");
    let out = begun("out@x.org").await;
    let auth = db.session(&out, NOW).await.unwrap().unwrap();
    let other = begun("other@x.org").await;
    let theirs = db.session(&other, NOW).await.unwrap().unwrap();
    assert!(!db.end_other_session(theirs.user(), auth.id(), NOW).await.unwrap(), "not hers to end");
    db.end_session(&auth, NOW).await.unwrap();
    assert!(db.session(&out, NOW).await.unwrap().is_none());
    assert!(db.session("daam_ses_nonsense", NOW).await.unwrap().is_none());
    assert!(db.authenticate(&other, NOW).await.unwrap().is_none(), "a session is no API token");
}

pub(crate) async fn a_link_made_with_a_token_ends_with_it(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    put(&db, &ana, "bo@x.org", false).await;
    let owner = TokenOwner { email: "bo@x.org", name: "laptop", expires_at: NOW + 120 };
    let (id, token) = db.create_token(&ana, &owner, NOW).await.unwrap().unwrap();
    let bo = user(&db, &token.reveal(), NOW).await.unwrap();
    let link = db.link_for_token(&bo, NOW + 60, NOW).await.unwrap().reveal();
    let unused = db.link_for_token(&bo, NOW + 60, NOW).await.unwrap().reveal();
    let begun = db.use_link(&link, None, NOW).await.unwrap().unwrap().reveal();
    let auth = db.session(&begun, NOW).await.unwrap().unwrap();
    assert_eq!(auth.expires_at(), NOW + 120, "no longer than the token");
    assert_eq!(auth.person(), None);
    let invited =
        NewInvite { email: "bo@x.org", role: None, groups: None, recover: false, expires_at: TOKEN_END };
    assert!(
        matches!(db.invite(&ana, &invited, NOW).await.unwrap(), Invited::Done { .. }),
        "nobody has joined by it"
    );
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    assert!(db.session(&begun, NOW).await.unwrap().is_none());
    assert!(db.use_link(&unused, None, NOW).await.unwrap().is_none());
}
