//! Changes reach sessions that are already open.

use crate::shop;
use daam_e2e::{Fabric, wait_for};
use std::time::Duration;

fn edit(fabric: &Fabric, file: &str, from: &str, to: &str) {
    let path = fabric.project().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} does not contain `{from}`");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn a_new_mask_hits_the_open_session_and_its_cursor() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut idle = sam.connect().unwrap();
    let name = fabric.upstream("select full_name from customers where id = 1").unwrap();
    assert_eq!(idle.query("select full_name from customers where id = 1").table(), name);
    let mut busy = sam.connect().unwrap();
    assert!(busy.query("begin").errors.is_empty());
    assert!(busy.query("declare c cursor for select full_name from customers order by id").errors.is_empty());
    assert_eq!(busy.query("fetch 1 from c").table(), name);

    edit(
        &fabric,
        "policies/support.yaml",
        "masks:\n",
        "masks:\n  - on: public.customers.full_name\n    with: name\n",
    );
    fabric.publish().unwrap();

    let masked = |text: &str| text.contains("***") && text != name;
    wait_for(Duration::from_secs(20), || {
        let answer = idle.query("select full_name from customers where id = 1");
        Ok(masked(&answer.table()).then_some(()))
    })
    .unwrap();
    let fetched = busy.query("fetch 1 from c");
    assert!(!fetched.errors.is_empty(), "the old cursor went on: {}", fetched.table());
    busy.query("rollback");
    let again = busy.query("select full_name from customers where id = 1").table();
    assert!(masked(&again), "{again}");
}

#[test]
fn a_withdrawn_grant_closes_the_table_in_the_open_session() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query("select count(*) from orders").errors.is_empty());
    edit(
        &fabric,
        "policies/support.yaml",
        "public.orders\n    allow: [select, update]",
        "public.products\n    allow: [select, update]",
    );
    edit(
        &fabric,
        "policies/support.yaml",
        "      update: [status]\n    rows: region = subject.region",
        "      update: [name]",
    );
    fabric.publish().unwrap();
    wait_for(Duration::from_secs(20), || {
        let answer = session.query("select count(*) from orders");
        Ok((answer.sqlstate() == Some("42501")).then_some(()))
    })
    .unwrap();
}

#[test]
fn leaving_a_group_takes_effect_without_reconnecting() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query("select count(*) from customers").errors.is_empty());
    let moved = shop::person(&fabric, "sam@acme.test", "warehouse", &["region=eu"]);
    wait_for(Duration::from_secs(20), || {
        let answer = session.query("select count(*) from customers");
        Ok((answer.sqlstate() == Some("42501") || answer.closed).then_some(()))
    })
    .unwrap();
    drop(moved);
}
