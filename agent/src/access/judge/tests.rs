//! What a hostile control plane could come up with, and what it gets: a reason.

use super::*;
use daam_api::link::{AskedRows, DirectoryUser};
use daam_catalog::{
    Column, DataType, Identifier, Relation, RelationKind, RelationName, RelationPattern, TypeClass,
};
use daam_model::{Ceiling, Grant, Origin, Policy, SessionLimits, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(in crate::access) const START: i64 = 1_000_000;
pub(in crate::access) const HOUR: i64 = 3600;

fn terms(count: u32) -> RequestTerms {
    RequestTerms {
        approvers: BTreeSet::from(["dba".into()]),
        count,
        max_duration: Duration::from_secs(7200),
        reason_required: true,
    }
}

fn reads(on: &str) -> Grant {
    let on = vec![RelationPattern::parse(on).unwrap()];
    Grant { on, allow: BTreeSet::from([Verb::Select]), ..Grant::default() }
}

pub(in crate::access) fn policies() -> PolicySet {
    let engineers = Subjects { groups: BTreeSet::from(["engineering".into()]), ..Subjects::default() };
    let policy = |name: &str, request| Policy {
        name: name.into(),
        description: String::new(),
        subjects: engineers.clone(),
        grants: vec![reads("public.orders")],
        masks: Vec::new(),
        session: SessionLimits::default(),
        request,
        origin: Origin::default(),
    };
    let ceiling = Ceiling {
        name: "ad-hoc".into(),
        description: String::new(),
        who: engineers.clone(),
        grants: vec![reads("public.*")],
        masks: Vec::new(),
        terms: terms(1),
        origin: Origin::default(),
    };
    PolicySet {
        policies: vec![policy("incident", Some(terms(2))), policy("standing", None)],
        ceilings: vec![ceiling],
        ..PolicySet::default()
    }
}

pub(in crate::access) fn catalog() -> Catalog {
    let id = Column::new(
        Identifier::stored("id").unwrap(),
        DataType { sql: "integer".into(), class: TypeClass::Integer },
    );
    let table = |schema: &str, table: &str| {
        let name = RelationName::stored(schema, table).unwrap();
        let owner = Identifier::stored("owner").unwrap();
        (
            name.clone(),
            Relation { columns: vec![id.clone()], ..Relation::new(name, RelationKind::Table, owner) },
        )
    };
    Catalog {
        relations: [table("public", "orders"), table("public", "users"), table("hr", "staff")].into(),
        ..Catalog::default()
    }
}

pub(in crate::access) fn user(id: &str, groups: &[&str]) -> DirectoryUser {
    DirectoryUser {
        id: id.into(),
        email: format!("{id}@acme.test"),
        disabled: false,
        groups: groups.iter().map(ToString::to_string).collect(),
        attributes: BTreeMap::new(),
    }
}

pub(in crate::access) fn people() -> Vec<DirectoryUser> {
    vec![
        user("ann", &["engineering", "dba"]),
        user("bob", &["dba"]),
        user("cem", &["dba"]),
        user("dan", &["support"]),
        DirectoryUser { disabled: true, ..user("eve", &["dba"]) },
        DirectoryUser { email: "Ann@acme.test".into(), ..user("ann-too", &["dba"]) },
        DirectoryUser { disabled: true, ..user("fay", &["engineering"]) },
    ]
}

pub(in crate::access) fn grant(id: &str) -> AccessGrant {
    AccessGrant {
        id: id.into(),
        user_id: "ann".into(),
        what: AccessAsked::Policy { policy_id: "incident".into() },
        starts_at: START,
        ends_at: START + HOUR,
        approved_by: ["bob".to_owned(), "cem".to_owned()].into(),
        reason: "incident 4711".into(),
    }
}

pub(in crate::access) fn ad_hoc(id: &str, schema: &str, name: &str) -> AccessGrant {
    let relation = AskedRelation {
        schema: schema.into(),
        name: name.into(),
        verbs: ["select".to_owned()].into(),
        columns: BTreeMap::new(),
        masks: BTreeMap::new(),
        rows: Vec::new(),
    };
    AccessGrant {
        what: AccessAsked::AdHoc { ceiling_id: "ad-hoc".into(), relations: vec![relation] },
        ..grant(id)
    }
}

fn judged(grant: &AccessGrant) -> Result<Admitted, Refused> {
    let (policies, catalog, directory) = (policies(), catalog(), Directory::new(1, people()));
    judge(grant, Facts { policies: &policies, catalog: &catalog, directory: &directory })
}

fn refused(grant: &AccessGrant) -> String {
    judged(grant).map_or_else(|refused| refused.to_string(), |_| "admitted".to_owned())
}

#[test]
fn what_the_bundle_declares_and_the_right_people_approved_is_admitted() {
    let admitted = judged(&grant("r1")).unwrap();
    assert_eq!((admitted.user_id(), admitted.what()), ("ann", &What::Policy("incident".into())));
    let admitted = judged(&ad_hoc("r2", "public", "users")).unwrap();
    let What::AdHoc(policy) = admitted.what() else { panic!("{admitted:?}") };
    assert_eq!(policy.grants[0].on[0].literal(), RelationName::stored("public", "users").ok());
    // The whole time, and not a second more.
    assert!(judged(&AccessGrant { ends_at: START + 2 * HOUR, ..grant("r1") }).is_ok());
}

#[test]
fn an_invented_grant_is_refused_with_a_reason() {
    let approved =
        |by: &[&str]| AccessGrant { approved_by: by.iter().map(ToString::to_string).collect(), ..grant("r") };
    let policy =
        |name: &str| AccessGrant { what: AccessAsked::Policy { policy_id: name.into() }, ..grant("r") };
    let of = |user: &str| AccessGrant { user_id: user.into(), ..grant("r") };
    let until = |ends_at| AccessGrant { ends_at, ..grant("r") };
    for (grant, expected) in [
        (policy("standing"), "cannot be asked for"),
        (policy("root"), "has no policy `root`"),
        (policy("ad-hoc"), "has no policy `ad-hoc`"),
        (of("dan"), "not among those who may ask"),
        (of("nobody"), "not in the directory"),
        (of("fay"), "or is disabled"),
        (until(START + 2 * HOUR + 1), "at most 7200 s"),
        (until(i64::MAX), "at most 7200 s"),
        (until(START), "does not end after it begins"),
        (until(i64::MIN), "does not end after it begins"),
        (AccessGrant { starts_at: i64::MIN, ..until(i64::MAX) }, "at most 7200 s"),
        (approved(&["ann", "bob", "cem"]), "who asked is among those who approved"),
        (approved(&["ann-too", "bob", "cem"]), "who asked is among those who approved"),
        (approved(&[]), "0 approvals count"),
        (approved(&["bob"]), "1 approvals count, `incident` needs 2"),
        (approved(&["bob", "dan"]), "1 approvals count"),
        (approved(&["bob", "eve"]), "1 approvals count"),
        (approved(&["bob", "nobody"]), "1 approvals count"),
        (AccessGrant { reason: " \n".into(), ..grant("r") }, "requires one"),
        (grant(""), "1 to 64 letters"),
        (grant("r 1"), "1 to 64 letters"),
        (grant("r\u{1b}[1m"), "1 to 64 letters"),
        (grant(&"r".repeat(65)), "1 to 64 letters"),
        (ad_hoc("r", "hr", "staff"), "above the ceiling"),
        (ad_hoc("r", "public", "nothing"), "no relation `public.nothing`"),
        (ad_hoc("r", "pg_catalog", "pg_authid"), "no relation"),
        (ad_hoc("r", "public", ""), "no name of PostgreSQL's"),
    ] {
        let said = refused(&grant);
        assert!(said.contains(expected), "{grant:?}: {said}");
    }
}

#[test]
fn an_ad_hoc_grant_that_cannot_be_read_is_refused() {
    let with = |change: fn(&mut AskedRelation)| {
        let mut grant = ad_hoc("r", "public", "orders");
        if let AccessAsked::AdHoc { relations, .. } = &mut grant.what {
            relations.iter_mut().for_each(change);
        }
        grant
    };
    for (grant, expected) in [
        (with(|asked| asked.verbs = ["SELECT".to_owned()].into()), "`SELECT` is no verb"),
        (with(|asked| asked.verbs = ["references".to_owned()].into()), "is no verb"),
        (with(|asked| asked.verbs = BTreeSet::new()), "at least one verb"),
        (with(|asked| asked.verbs = ["delete".to_owned()].into()), "above the ceiling"),
        (
            with(|asked| asked.masks = [("id".to_owned(), serde_json::json!("plain"))].into()),
            "the mask of `id` is none",
        ),
        (
            with(|asked| {
                asked.rows = vec![AskedRows { column: "id".into(), any_of: ["1) OR (true".into()].into() }];
            }),
            "the condition on `public.orders.id`",
        ),
        (
            AccessGrant {
                what: AccessAsked::AdHoc { ceiling_id: "incident".into(), relations: vec![] },
                ..grant("r")
            },
            "no request ceiling",
        ),
        (
            AccessGrant {
                what: AccessAsked::AdHoc { ceiling_id: "ad-hoc".into(), relations: vec![] },
                ..grant("r")
            },
            "at least one",
        ),
    ] {
        let said = refused(&grant);
        assert!(said.contains(expected), "{grant:?}: {said}");
    }
}
