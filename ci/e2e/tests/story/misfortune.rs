//! Bad input and bad luck: each a clear error or a clean close, and nothing left in the database.

use crate::shop;
use daam_e2e::{Fabric, wait_for};
use std::time::Duration;

fn nothing_of_ours_is_left(fabric: &Fabric) {
    let gone = wait_for(Duration::from_secs(20), || Ok(shop::our_roles(fabric).is_empty().then_some(())));
    assert!(gone.is_ok(), "left behind: {:?}\n{}", shop::our_roles(fabric), fabric.logs());
}

#[test]
fn an_upstream_that_dies_in_a_query_is_a_clean_error() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    session.send(b'Q', b"select pg_sleep(60), count(*) from customers\0").unwrap();
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename like 'daam_s_%' and state = 'active' and query like '%pg_sleep(60)%'";
    wait_for(Duration::from_secs(20), || Ok((fabric.upstream(kill)? == "1").then_some(()))).unwrap();
    let answer = session.collect();
    assert!(answer.closed);
    assert!(!answer.errors.is_empty(), "the connection closed without a word");
    nothing_of_ours_is_left(&fabric);
    assert_eq!(sam.connect().unwrap().query("select 1").table(), "1");
}

#[test]
fn broken_messages_close_the_session_and_nothing_else() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let oversized = [&b"Q"[..], &i32::MAX.to_be_bytes()].concat();
    let negative = [&b"Q"[..], &(-1_i32).to_be_bytes()].concat();
    let no_terminator = [&b"Q"[..], &12_i32.to_be_bytes(), b"select 1"].concat();
    let short_bind = [&b"B"[..], &6_i32.to_be_bytes(), b"\0\0"].concat();
    let unknown = [&b"?"[..], &4_i32.to_be_bytes()].concat();
    for (message, code) in [
        (oversized, "54000"),
        (negative, "08P01"),
        (no_terminator, "08P01"),
        (short_bind, "08P01"),
        (unknown, "08P01"),
    ] {
        let mut session = sam.connect().unwrap();
        session.send_raw(&message).unwrap();
        session.send(b'S', b"").ok();
        let answer = session.collect();
        assert_eq!(answer.sqlstate(), Some(code), "{message:?}: {:?}", answer.errors);
    }
    let mut cut = sam.connect().unwrap();
    cut.send_raw(b"Q\0\0").unwrap();
    drop(cut);
    nothing_of_ours_is_left(&fabric);
    assert_eq!(sam.connect().unwrap().query("select 1").table(), "1");
}

#[test]
fn a_client_that_vanishes_in_a_transaction_leaves_no_role_and_no_lock() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    session.query("begin");
    assert_eq!(session.query("update customers set note = 'half done' where id = 1").tags, ["UPDATE 1"]);
    drop(session);
    nothing_of_ours_is_left(&fabric);
    assert_eq!(fabric.upstream("select count(*) from customers where note = 'half done'").unwrap(), "0");
    fabric.upstream("alter table customers add column later text").unwrap();
}

#[test]
fn a_program_that_is_killed_on_the_laptop_leaves_no_role_and_no_lock() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    session.query("begin");
    assert_eq!(session.query("update customers set note = 'half done' where id = 1").tags, ["UPDATE 1"]);
    assert!(!shop::our_roles(&fabric).is_empty());
    sam.kill().unwrap();
    // Nothing says goodbye; the tunnel notices the silence.
    let gone = wait_for(Duration::from_secs(60), || Ok(shop::our_roles(&fabric).is_empty().then_some(())));
    assert!(gone.is_ok(), "left behind: {:?}\n{}", shop::our_roles(&fabric), fabric.logs());
    fabric.upstream("alter table customers add column later text").unwrap();
    assert_eq!(fabric.upstream("select count(*) from customers where note = 'half done'").unwrap(), "0");
}

#[test]
fn many_sessions_at_once_leave_nothing() {
    let fabric = shop::open();
    let before = fabric.upstream("select count(*) from pg_roles").unwrap();
    let sam = shop::support(&fabric);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let mut session = sam.connect().unwrap();
                    assert_eq!(
                        session.query("select email from customers where id = 1").table(),
                        "j***@e***.com"
                    );
                }
            });
        }
    });
    nothing_of_ours_is_left(&fabric);
    assert_eq!(fabric.upstream("select count(*) from pg_roles").unwrap(), before);
}
