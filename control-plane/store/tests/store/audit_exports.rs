//! Audits on their way out: how far they got moves only from where it was seen.

use crate::engine::{NOW, admin, put};
use daam_store::Db;
use std::collections::BTreeSet;

pub(crate) async fn an_audit_goes_on_where_it_arrived_whoever_sends_it(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    put(&db, &ana, "cy@x.org", false).await;
    let names = BTreeSet::from(["authorization".to_owned()]);
    assert!(db.due_audit_exports(9, NOW).await.unwrap().is_empty());
    db.set_audit_export(&ana, ("https://one.example/", &names, "sealed"), NOW).await.unwrap();
    assert!(db.audit_export(eve.scope()).await.unwrap().is_none());
    let due = db.due_audit_exports(9, NOW).await.unwrap();
    let [due] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((due.scope.org(), due.after, due.sealed_headers.as_str()), ("calm-otter", 0, "sealed"));
    // Two servers, one turn; it comes again if nobody settles it.
    assert!(db.claim_audit_export(due, NOW + 15).await.unwrap());
    assert!(!db.claim_audit_export(due, NOW + 15).await.unwrap());
    assert!(db.due_audit_exports(9, NOW + 14).await.unwrap().is_empty());
    let again = db.due_audit_exports(9, NOW + 15).await.unwrap().remove(0);
    assert_eq!((again.after, again.attempts), (0, 1));
    let entries = db.audit_to_export(&again, 2).await.unwrap();
    assert_eq!(entries.iter().map(|(entry, _)| entry.seq).collect::<Vec<_>>(), [1, 2]);
    db.audit_export_failed(&again, "no answer", NOW + 20).await.unwrap();
    let shown = db.audit_export(ana.scope()).await.unwrap().unwrap();
    assert_eq!((shown.failure.as_deref(), shown.header_names), (Some("no answer"), names.clone()));
    assert_eq!((shown.sent_at, shown.failed_at), (None, Some(NOW + 20)));
    let backlog = shown.backlog;
    // The first one to settle it is believed, and a late one moves nothing back.
    db.audit_exported_to(&again, (2, None), NOW + 21).await.unwrap();
    db.audit_exported_to(due, (1, None), NOW + 22).await.unwrap();
    let shown = db.audit_export(ana.scope()).await.unwrap().unwrap();
    assert_eq!((shown.after, shown.failure), (2, None));
    assert_eq!((shown.sent_at, shown.failed_at), (Some(NOW + 21), Some(NOW + 20)));
    assert_eq!(shown.backlog, backlog - 2);
    let next = db.due_audit_exports(9, NOW + 21).await.unwrap().remove(0);
    let rest = db.audit_to_export(&next, 500).await.unwrap();
    assert!(rest.iter().all(|(entry, hash)| entry.seq > 2 && hash.len() == 64) && !rest.is_empty());
    let last = rest.last().unwrap().0.seq;
    db.audit_exported_to(&next, (last, Some("one was rejected")), NOW + 23).await.unwrap();
    assert!(db.due_audit_exports(9, NOW + 23).await.unwrap().is_empty(), "nothing is left");
    let shown = db.audit_export(ana.scope()).await.unwrap().unwrap();
    assert_eq!((shown.sent_at, shown.failed_at, shown.backlog), (Some(NOW + 23), Some(NOW + 23), 0));
    put(&db, &ana, "bo@x.org", false).await;
    assert_eq!(db.audit_export(ana.scope()).await.unwrap().unwrap().backlog, 1);
    assert_eq!(db.due_audit_exports(9, NOW + 23).await.unwrap().len(), 1);
    // Another place has not been tried.
    db.set_audit_export(&ana, ("https://two.example/", &names, "sealed"), NOW).await.unwrap();
    let shown = db.audit_export(ana.scope()).await.unwrap().unwrap();
    assert_eq!((shown.sent_at, shown.failed_at, shown.after), (None, None, last));
    assert!(!db.remove_audit_export(&eve, NOW).await.unwrap());
    assert!(db.remove_audit_export(&ana, NOW).await.unwrap());
    assert!(!db.remove_audit_export(&ana, NOW).await.unwrap());
    assert!(db.audit(ana.scope()).await.unwrap().1);
}
