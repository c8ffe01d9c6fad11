//! The two engines, and an organization in them.

use daam_postgres::Cluster;
use daam_store::{
    AgentAuth, AgentEnrolment, Caller, Created, Db, Enrolment, EnrolmentAuth, EnrolmentKind, Holder,
    NewAgent, NewCertificate, NewKey, NewOrganization, UserAuth, UserChange,
};
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;

/// The time of most cases.
pub(crate) const NOW: i64 = 1_800_000_000;
/// When first tokens end.
pub(crate) const TOKEN_END: i64 = NOW + 86_400;

pub(crate) async fn sqlite() -> (Db, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Db::open_sqlite(&dir.path().join("daam.db")).await.unwrap(), dir)
}

pub(crate) struct Postgres(Cluster);

impl Postgres {
    pub(crate) fn start() -> Self {
        Self(Cluster::for_test().unwrap())
    }

    pub(crate) fn dsn(&self, database: &str) -> String {
        self.0.superuser_dsn(database)
    }

    pub(crate) fn dsn_of(&self, role: &str, password: &str, database: &str) -> String {
        self.0.dsn(role, password, database)
    }

    pub(crate) async fn database(&self, name: &str) -> Db {
        let name: String = name.chars().take(60).collect();
        let (client, connection) =
            tokio_postgres::connect(&self.0.superuser_dsn("postgres"), tokio_postgres::NoTls).await.unwrap();
        let served = tokio::spawn(connection);
        client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await.unwrap();
        drop(client);
        served.await.unwrap().unwrap();
        Db::open_postgres(&self.0.superuser_dsn(&name)).await.unwrap()
    }
}

pub(crate) fn organization<'a>(slug: &'a str, admin_email: &'a str) -> NewOrganization<'a> {
    let key = |public| NewKey { public, sealed: "sealed" };
    NewOrganization {
        slug,
        name: "An organization",
        admin_email,
        authority: key("ca"),
        ticket: key("ticket"),
        token_expires_at: TOKEN_END,
        link_expires_at: NOW + 600,
    }
}

/// An organization's admin.
pub(crate) async fn admin(db: &Db, slug: &str) -> UserAuth {
    let email = format!("admin@{slug}.example");
    let Created::Made { token, .. } = db.create_organization(&organization(slug, &email), NOW).await.unwrap()
    else {
        panic!("`{slug}` is taken");
    };
    user(db, &token.reveal(), NOW).await.unwrap()
}

pub(crate) async fn user(db: &Db, token: &str, now: i64) -> Option<UserAuth> {
    match db.authenticate(token, now).await.unwrap() {
        Some(Caller::User(user)) => Some(user),
        None => None,
        other => panic!("not a user: {other:?}"),
    }
}

/// Somebody signed in to the console by something no token began.
pub(crate) async fn person(db: &Db, slug: &str, email: &str) -> UserAuth {
    let link = db.recovery_link(slug, email, (NOW, NOW + 600)).await.unwrap().unwrap().reveal();
    let cookie = db.use_link(&link, None, NOW).await.unwrap().unwrap().reveal();
    db.session(&cookie, NOW).await.unwrap().unwrap().user().clone()
}

pub(crate) async fn put(db: &Db, by: &UserAuth, email: &str, disabled: bool) -> daam_store::Stored {
    let (groups, attributes) =
        (BTreeSet::from(["eu".to_owned()]), BTreeMap::from([("tier".to_owned(), 2.into())]));
    let change = UserChange { email, role: None, groups: &groups, attributes: &attributes, disabled };
    db.put_user(by.scope(), &change, NOW).await.unwrap()
}

pub(crate) async fn enrolment(db: &Db, by: &UserAuth, kind: &EnrolmentKind) -> (String, EnrolmentAuth) {
    let (_, secret) = db.create_enrolment(by, &Enrolment { kind, expires_at: NOW + 60 }, NOW).await.unwrap();
    let text = secret.reveal();
    match db.authenticate(&text, NOW).await.unwrap() {
        Some(Caller::Enrolment(auth)) => (text, auth),
        other => panic!("not an enrolment: {other:?}"),
    }
}

/// An enrolled agent of `database`.
pub(crate) async fn agent(db: &Db, by: &UserAuth, id: &str, database: &str) -> AgentAuth {
    let kind = EnrolmentKind::Agent { database: database.to_owned() };
    let (_, token) = enrolment(db, by, &kind).await;
    let serial = format!("serial of {id}");
    let certificate =
        NewCertificate { serial: &serial, holder: Holder::Agent(id), not_after: NOW + 600, authority: 1 };
    let new = NewAgent { id, name: "one", audit_key: "key", certificate };
    let AgentEnrolment::Made(link) = db.enrol_agent(&token, &new, NOW).await.unwrap() else {
        panic!("the token is used");
    };
    match db.authenticate(&link.reveal(), NOW).await.unwrap() {
        Some(Caller::Agent(agent)) => agent,
        other => panic!("not an agent: {other:?}"),
    }
}
