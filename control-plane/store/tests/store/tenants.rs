//! Two organizations with the same names for everything.

use crate::engine::{NOW, TOKEN_END, admin, agent, put};
use daam_store::{Db, Holder, NewBundle, NewCertificate, Published, TokenOwner, Violation};

pub(crate) async fn no_tenant_sees_or_changes_another_ones_rows(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    put(&db, &ana, "bo@x.org", false).await;
    let one = agent(&db, &ana, "one", "shop").await;
    let owner = TokenOwner { email: "bo@x.org", name: "ci", expires_at: TOKEN_END };
    let (token_id, _) = db.create_token(&ana, &owner, NOW).await.unwrap().unwrap();
    let bundle =
        |head| NewBundle { database: "shop", epoch: 1, serial: 1, statement_sha256: "s", head, bytes: b"x" };
    assert_eq!(db.publish(ana.scope(), &bundle("hers"), 0, NOW).await.unwrap(), Published::Done);
    db.put_trust(ana.scope(), 1, "trust", NOW).await.unwrap();
    db.replace_schema(&one, "{}", NOW).await.unwrap();
    let seen = Violation { policy_id: "p", schema: "s", table: "t", site: "x" };
    db.violation(&one, seen, NOW).await.unwrap();
    let of =
        |user| NewCertificate { serial: "1", holder: Holder::User(user), not_after: TOKEN_END, authority: 1 };
    assert!(db.record_certificate(ana.scope(), &of(&ana), NOW).await.unwrap());
    assert!(!db.record_certificate(eve.scope(), &of(&ana), NOW).await.unwrap(), "not her token");

    let other = eve.scope();
    assert_eq!(db.users(other).await.unwrap().len(), 1);
    assert!(db.databases(other, 0).await.unwrap().is_empty());
    assert!(db.agents(other, 0, 0).await.unwrap().is_empty());
    assert!(db.online_agents(other, "shop", 0).await.unwrap().is_empty());
    assert_eq!(db.bundle(other, "shop").await.unwrap(), None);
    assert_eq!(db.head(other, "shop").await.unwrap(), None);
    assert_eq!(db.trust(other).await.unwrap(), None);
    assert_eq!(db.schema(other, "shop").await.unwrap(), None);
    assert!(!db.delete_token(&eve, &token_id, NOW).await.unwrap());
    assert!(db.create_token(&eve, &owner, NOW).await.unwrap().is_none(), "not her user");
    assert_eq!(db.audit(other).await.unwrap().0.len(), 1);

    // The same names again, beside and not over the first organization's.
    put(&db, &eve, "bo@x.org", true).await;
    assert_eq!(db.publish(other, &bundle("eves"), 0, NOW).await.unwrap(), Published::Done);
    assert!(db.put_trust(other, 1, "other", NOW).await.unwrap());
    assert!(db.record_certificate(other, &of(&eve), NOW).await.unwrap());
    let bo = db.users(ana.scope()).await.unwrap().into_iter().find(|user| user.email == "bo@x.org").unwrap();
    assert!(!bo.disabled);
    assert_eq!(db.head(ana.scope(), "shop").await.unwrap().as_deref(), Some("hers"));
    assert_eq!(db.trust(ana.scope()).await.unwrap().as_deref(), Some("trust"));
    assert!(db.revoked_serials(ana.scope(), NOW).await.unwrap().is_empty());
    assert_eq!(db.authorities(other).await.unwrap().1[0].certificate, "ca");
}
