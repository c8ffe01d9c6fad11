//! The shop of `policy-examples/shop` as a running sandbox, and its people.

use daam_e2e::wire::Connection;
use daam_e2e::{Fabric, FabricOptions, Person, PersonOptions};
use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The shop, seeded and published.
pub(crate) fn open() -> Fabric {
    let project = root().join("policy-examples/shop");
    let seeds = vec![project.join("schema.sql"), project.join("data.sql")];
    Fabric::start(&FabricOptions { project, seeds }).unwrap()
}

/// Sam of European support.
pub(crate) fn support(fabric: &Fabric) -> Person {
    person(fabric, "sam@acme.test", "support", &["region=eu"])
}

/// Ana, an analyst.
pub(crate) fn analyst(fabric: &Fabric) -> Person {
    person(fabric, "ana@acme.test", "analyst", &[])
}

/// Ada, an administrator of the data.
pub(crate) fn admin(fabric: &Fabric) -> Person {
    person(fabric, "ada@acme.test", "admin", &[])
}

pub(crate) fn person(fabric: &Fabric, email: &str, groups: &str, attributes: &[&str]) -> Person {
    let attributes = attributes.iter().map(|text| (*text).to_owned()).collect();
    let options =
        PersonOptions { email: email.to_owned(), groups: groups.to_owned(), attributes, relay: false };
    Person::open(fabric, &options).unwrap()
}

/// Names of every role of ours on the upstream.
pub(crate) fn our_roles(fabric: &Fabric) -> Vec<String> {
    let text =
        fabric.upstream(r"select rolname from pg_roles where rolname ~ '^daam_[a-z]_' order by 1").unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The role a session runs as.
pub(crate) fn role_of(session: &mut Connection) -> String {
    session.query("select current_user").table()
}
