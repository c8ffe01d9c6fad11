//! The attempts of the corpus that need a policy change in between, or messages no ordinary client sends.
//! Each is marked with its id in the corpus.

use crate::bypass::{mallory, sandbox};
use daam_e2e::wire::{Answer, Connection, WireError};
use daam_e2e::{Fabric, wait_for};
use std::time::Duration;

const MASK: &str = "  - { on: public.users.email, with: email }\n";

/// Publishes the corpus policy with or without the mask on `users.email`.
fn publish(fabric: &Fabric, masked: bool) {
    let path = fabric.project().join("policies/attacker.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace(MASK, "");
    let text = if masked { text.replace("masks:\n", &format!("masks:\n{MASK}")) } else { text };
    std::fs::write(&path, text).unwrap();
    fabric.publish().unwrap();
}

fn shows_a_secret(answer: &Answer) -> bool {
    answer.texts().iter().any(|text| text.contains("zz-secret-"))
}

/// Waits until a fresh session sees the column masked: the new policy is in force.
fn until_masked(person: &daam_e2e::Person) {
    wait_for(Duration::from_secs(20), || {
        let answer = person.connect()?.query("select email from users where id = 1");
        Ok((answer.errors.is_empty() && !shows_a_secret(&answer)).then_some(()))
    })
    .unwrap();
}

#[test]
fn what_was_opened_before_the_mask_shows_nothing_after_it() {
    let fabric = sandbox();
    let mallory = mallory(&fabric);
    publish(&fabric, false);
    wait_for(Duration::from_secs(20), || {
        Ok(shows_a_secret(&mallory.connect()?.query("select email from users")).then_some(()))
    })
    .unwrap();

    // LIV01: a cursor WITH HOLD that was materialised before.
    let mut held = mallory.connect().unwrap();
    assert!(held.query("declare c cursor with hold for select email from users").errors.is_empty());
    // LIV04: a REPEATABLE READ transaction that was begun before.
    let mut repeatable = mallory.connect().unwrap();
    assert!(repeatable.query("begin isolation level repeatable read").errors.is_empty());
    assert!(shows_a_secret(&repeatable.query("select email as x from users")));
    // LIV05: a portal that was suspended before.
    let mut suspended = mallory.connect().unwrap();
    assert!(suspended.query("begin").errors.is_empty());
    suspended.send(b'P', b"\0select email from users order by id\0\0\0").unwrap();
    suspended.send(b'B', b"held\0\0\0\0\0\0\0\0").unwrap();
    suspended.send(b'E', &[&b"held\0"[..], &1_i32.to_be_bytes()].concat()).unwrap();
    assert!(shows_a_secret(&suspended.exchange(b'S', b"")));
    // LIV06: a COPY that is still running. The window of what the client has not read yet is bounded by buffers,
    // so the statement itself is made slow.
    let mut copying = mallory.connect().unwrap();
    let slow = b"copy (select email, pg_sleep(1) from users, generate_series(1, 60)) to stdout\0";
    copying.send(b'Q', slow).unwrap();
    let running = "select count(*) from pg_stat_activity where usename like 'daam_s_%' and state = 'active' and query like '%pg_sleep(1)%'";
    wait_for(Duration::from_secs(20), || Ok((fabric.upstream(running)? == "1").then_some(()))).unwrap();

    publish(&fabric, true);
    until_masked(&mallory);

    for (id, answer) in [
        ("LIV01", held.query("fetch all from c")),
        ("LIV04", repeatable.query("select email as x from users")),
        ("LIV05", {
            suspended.send(b'E', b"held\0\0\0\0\0").unwrap();
            suspended.exchange(b'S', b"")
        }),
    ] {
        assert!(!shows_a_secret(&answer), "{id}: {:?}", answer.texts());
    }
    let copied = copying.collect();
    assert!(!copied.errors.is_empty(), "LIV06: the COPY ran to its end");
    assert!(copied.copied.len() < 60, "LIV06: {} rows", copied.copied.len());
}

#[test]
fn who_loses_everything_loses_the_session() {
    // LIV08
    let fabric = sandbox();
    let mallory = mallory(&fabric);
    let mut session = mallory.connect().unwrap();
    assert!(session.query("select id from users").errors.is_empty());
    let path = fabric.project().join("policies/attacker.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("groups: [attackers]", "groups: [nobody-here]")).unwrap();
    fabric.publish().unwrap();
    wait_for(Duration::from_secs(20), || Ok(session.query("select 1").closed.then_some(()))).unwrap();
    assert!(matches!(mallory.connect_with(&[]), Err(WireError::Refused(_))));
}

#[test]
fn another_database_and_odd_start_up_messages_open_nothing() {
    let fabric = sandbox();
    let mallory = mallory(&fabric);
    // PRO10: the client names a database of its own choice.
    let other = Connection::open(&mallory.socket(), "mallory", "postgres", &[]);
    let Err(WireError::Refused(fields)) = other else { panic!("another database was opened: {other:?}") };
    assert!(fields.contains(&('C', "3D000".to_owned())), "{fields:?}");

    // PRO16: protocol 3.2 and an option nobody knows.
    let mut body = 196_610_i32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0mallory\0database\0corpus\0_pq_.unheard_of\0on\0\0");
    let mut session = Connection::start(&mallory.socket(), &body).unwrap();
    let answer = session.query("select email from users order by id");
    assert!(answer.errors.is_empty() && !shows_a_secret(&answer), "{:?}", answer.texts());
}

#[test]
fn a_client_that_is_out_of_step_learns_nothing() {
    let fabric = sandbox();
    let mallory = mallory(&fabric);
    // PRO12: one statement name for two texts; the second Parse fails at the server.
    let mut session = mallory.connect().unwrap();
    session.send(b'P', b"s1\0select id from users\0\0\0").unwrap();
    session.send(b'P', b"s1\0select email from public.users\0\0\0").unwrap();
    assert!(!session.exchange(b'S', b"").errors.is_empty());
    session.send(b'B', b"\0s1\0\0\0\0\0\0\0").unwrap();
    session.send(b'E', b"\0\0\0\0\0").unwrap();
    let answer = session.exchange(b'S', b"");
    assert!(!shows_a_secret(&answer) && !answer.rows.is_empty(), "{:?}", answer.errors);

    // PRO13: after an error everything up to Sync is skipped, a Query among it too.
    let mut session = mallory.connect().unwrap();
    session.send(b'P', b"\0select email from users\0\0\0").unwrap();
    session.send(b'B', b"\0no-such-statement\0\0\0\0\0\0\0").unwrap();
    session.send(b'E', b"\0\0\0\0\0").unwrap();
    session.send(b'Q', b"select email from public.users\0").unwrap();
    let answer = session.exchange(b'S', b"");
    assert!(!answer.errors.is_empty() && answer.rows.is_empty(), "{:?}", answer.texts());
    let next = session.query("select email from users where id = 1");
    assert!(next.errors.is_empty() && !shows_a_secret(&next), "{:?}", next.texts());
}
